"""Recurrent layers, a token and a unit at a time: the arrays of an image and the layer's own tensors in, the sequence out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .activations import sigmoid
from .cases import Case
from .counting import Number, filled, special, total


def recurrence(one: Case, inputs: list[Any], own: dict[str, Any]) -> Any:
    sequence = list(inputs[0])
    for layer in range(one.args.get("layers", 1)):
        forward = _one_way(one, sequence, own, f"l{layer}")
        if one.args.get("bidirectional"):
            backward = _one_way(one, sequence[::-1], own, f"l{layer}_reverse")[::-1]
            forward = [np.concatenate(pair) for pair in zip(forward, backward, strict=True)]
        sequence = forward
    return np.array(sequence, dtype=object)


def _one_way(one: Case, sequence: list[Any], own: dict[str, Any], end: str) -> list[Any]:
    hidden = one.args["hidden"]
    cell, state, found = filled((hidden,), 0), filled((one.args.get("projection", hidden),), 0), []
    for x in sequence:
        of_input, of_state = (_rows(own, f"{kind}_{end}", values) for kind, values in (("ih", x), ("hh", state)))
        if one.op == "rnn":
            state = np.array([_tanh(a + b) for a, b in zip(of_input, of_state, strict=True)])
        elif one.op == "gru":
            state = np.array([_gru(of_input[u::hidden], of_state[u::hidden], state[u]) for u in range(hidden)])
        else:
            pairs = [_lstm(of_input[u::hidden], of_state[u::hidden], cell[u]) for u in range(hidden)]
            state, cell = (np.array(values) for values in zip(*pairs, strict=True))
        if f"weight_hr_{end}" in own:
            state = np.array([total(w * h for w, h in zip(row, state, strict=True)) for row in own[f"weight_hr_{end}"]])
        found.append(state)
    return found


def _rows(own: dict[str, Any], name: str, values: Any) -> list[Number]:
    sums = [total(w * x for w, x in zip(row, values, strict=True)) for row in own[f"weight_{name}"]]
    bias = own.get(f"bias_{name}")
    return sums if bias is None else [a + b for a, b in zip(sums, bias, strict=True)]


def _tanh(x: Number) -> Number:
    return special(math.tanh, x)


def _gru(of_input: list[Number], of_state: list[Number], state: Number) -> Number:
    reset, update = (sigmoid(a + b) for a, b in list(zip(of_input, of_state, strict=True))[:2])
    new = _tanh(of_input[2] + reset * of_state[2])
    return (state - new) * update + new


def _lstm(of_input: list[Number], of_state: list[Number], cell: Number) -> tuple[Number, Number]:
    gates = [a + b for a, b in zip(of_input, of_state, strict=True)]
    cell = sigmoid(gates[1]) * cell + sigmoid(gates[0]) * _tanh(gates[2])
    return sigmoid(gates[3]) * _tanh(cell), cell
