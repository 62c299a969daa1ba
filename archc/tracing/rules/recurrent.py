"""Recurrent layers: torch's functions over a whole sequence, which torch.nn.RNN, LSTM and GRU call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from archc.tracing.rules.registry import RULES
from archc.tracing.steps import Layer, Rule, Unsaid
from archc.tracing.trace import Trace


def _recurrence(kind: str, gates: int, more: dict[str, Any]) -> Rule:
    def recurrence(
        trace: Trace, input: Tensor, hx: Any, params: Sequence[Tensor], has_biases: Any, num_layers: Any, dropout: float, train: bool,
        bidirectional: bool, batch_first: Any,
    ) -> Layer:  # fmt: skip
        if not isinstance(has_biases, bool):
            raise Unsaid("its sequences are packed")
        trace.image(input, anywhere=True)
        starts = tuple(hx) if isinstance(hx, list | tuple) else (hx,)
        known = tuple(one for one in starts if trace.live(one))
        axis = 0 if batch_first else 1
        if trace.batch_axis(input) != axis or any(trace.batch_axis(one) != 1 for one in known):
            raise Unsaid("it goes along the batch")
        if not all(trace.live(one) or trace.is_zero(one) for one in starts) or len(known) not in (0, len(starts)):
            raise Unsaid("it starts from a state that is no layer's output")
        projected = params[0].shape[0] != gates * params[1].shape[1]
        weights = dict(zip(_names(int(num_layers), bidirectional, has_biases, projected), params, strict=True))
        trace.result_axes = (axis, *(1,) * (len(trace.results) - 1))
        args = {"hidden": params[0].shape[0] // gates, "layers": num_layers, "bidirectional": bidirectional, "bias": has_biases,
                "dropout": float(dropout), "states": True}  # fmt: skip
        return Layer(kind, (input, *known), args | ({"projection": params[1].shape[1]} if projected else {}) | more, weights)

    return recurrence


def _names(layers: int, bidirectional: bool, biases: bool, projected: bool) -> list[str]:
    """Those of torch.nn, in the order in which it gives its tensors."""
    kinds = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if biases else []), *(["weight_hr"] if projected else [])]
    ends = [f"l{layer}{way}" for layer in range(layers) for way in ("", "_reverse")[: 1 + bidirectional]]
    return [f"{kind}_{end}" for end in ends for kind in kinds]


RULES["lstm"] = _recurrence("lstm", 4, {})
RULES["gru"] = _recurrence("gru", 3, {})
RULES["rnn_tanh"] = _recurrence("rnn", 1, {})
RULES["rnn_relu"] = _recurrence("rnn", 1, {"nonlinearity": "relu"})
