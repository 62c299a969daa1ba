"""The facts of a layer that reads a tensor of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from archc.ops.facts import Expression, Facts, Module

TIED = ("linear", "conv", "conv_transpose", "embedding", "computed")  # operators that can read a weight of another
GIVING = (*TIED, "parameter")  # those that one can be taken from
OTHERS = "weight_of_another"  # stands in the form for the tensor itself, where that is read transposed
_SOURCE = '''
class TransposedLinear(nn.Module):
    """A dense layer by the transposed weight of another; its bias is its own."""

    def __init__(self, in_features, out_features):
        super().__init__()
        self.bias = nn.Parameter(torch.empty(out_features))
        nn.init.uniform_(self.bias, -(in_features**-0.5), in_features**-0.5)

    def forward(self, x, weight):
        return F.linear(x, weight.t(), self.bias)
'''


def tied(facts: Facts, transposed: Mapping[str, bool]) -> Facts:
    """The facts where some tensors, by name, are another layer's. One that is transposed is a part of the call."""
    weights = tuple(weight._replace(tied=weight.name in transposed) for weight in facts.tensors)
    form = facts.torch
    if any(transposed.values()) and isinstance(form, Module):
        own = [weight for weight in weights if weight.role == "bias" and not weight.tied]
        form = (
            Module("TransposedLinear", form.args, call=f"{{self}}({{0}}, {OTHERS})", source=_SOURCE)
            if own
            else Expression(f"F.linear({{0}}, {OTHERS}.t())")
        )
    return replace(facts, weights=weights, torch=form)
