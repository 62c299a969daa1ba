"""Activations: functions of one value, and of one axis."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from archc.tracing.rules.registry import RULES, in_place, rule
from archc.tracing.steps import Layer, Rule, Unsaid
from archc.tracing.trace import Trace


def _activation(name: str) -> Rule:
    def plain(trace: Trace, input: Tensor, inplace: bool = False) -> Layer:
        trace.image(input)
        return Layer(name, (input,), in_place(trace))

    return plain


for _name in ["relu", "relu6", "selu", "silu", "mish", "sigmoid", "tanh", "hardswish", "hardsigmoid", "softsign", "tanhshrink"]:
    RULES[_name] = _activation(_name)
RULES["logsigmoid"] = RULES["log_sigmoid"] = _activation("logsigmoid")


@rule("gelu")
def gelu(trace: Trace, input: Tensor, approximate: str = "none") -> Layer:
    trace.image(input)
    return Layer("gelu", (input,), {"approximate": approximate})


def _exponential(name: str) -> Rule:
    def exponential(trace: Trace, input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Layer:
        trace.image(input)
        return Layer(name, (input,), {"alpha": alpha} | in_place(trace))

    return exponential


RULES["elu"], RULES["celu"] = _exponential("elu"), _exponential("celu")


@rule("leaky_relu")
def leaky_relu(trace: Trace, input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Layer:
    trace.image(input)
    return Layer("leaky_relu", (input,), {"slope": negative_slope} | in_place(trace))


@rule("prelu")
def prelu(trace: Trace, input: Tensor, weight: Tensor) -> Layer:
    trace.image(input)
    return Layer("prelu", (input,), {"shared": weight.numel() == 1}, {"weight": weight})


@rule("hardtanh")
def hardtanh(trace: Trace, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Layer:
    trace.image(input)
    if (min_val, max_val) == (0, 6):  # torch.nn.ReLU6 calls this function
        return Layer("relu6", (input,), in_place(trace))
    return Layer("hardtanh", (input,), {"low": float(min_val), "high": float(max_val)} | in_place(trace))


@rule("softplus")
def softplus(trace: Trace, input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Layer:
    trace.image(input)
    return Layer("softplus", (input,), {"beta": beta, "threshold": threshold})


def _shrink(name: str) -> Rule:
    def shrink(trace: Trace, input: Tensor, lambd: float = 0.5) -> Layer:
        trace.image(input)
        return Layer(name, (input,), {"threshold": lambd})

    return shrink


RULES["hardshrink"], RULES["softshrink"] = _shrink("hardshrink"), _shrink("softshrink")


@rule("threshold")
def cut_below(trace: Trace, input: Tensor, threshold: float, value: float, inplace: bool = False) -> Layer:
    trace.image(input)
    return Layer("threshold", (input,), {"threshold": threshold, "value": value} | in_place(trace))


@rule("glu")
def glu(trace: Trace, input: Tensor, dim: int = -1) -> Layer:
    if trace.axis(input, dim) != 0:
        raise Unsaid("glu along another axis than the first")
    return Layer("glu", (input,))


def _softmax(name: str) -> Rule:
    def softmax(trace: Trace, input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Layer:
        trace.image(input)
        if dim is None:
            dim = 0 if input.dim() in (0, 1, 3) else 1
        return Layer(name, (input,), {"axis": trace.axis(input, dim)})

    return softmax


RULES["softmax"], RULES["log_softmax"] = _softmax("softmax"), _softmax("log_softmax")
