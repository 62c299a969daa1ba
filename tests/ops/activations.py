"""The activations, one operation at a time: one value in, one out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .counting import Number, choose, exp, larger, log, smaller, special


def elu(x: Number, alpha: float) -> Number:
    return choose(x.value > 0, x, alpha * (exp(x) - 1))


def sigmoid(x: Number) -> Number:
    return 1 / (1 + exp(-x))


def relu6(x: Number) -> Number:
    return smaller(larger(x, 0), 6)


def softplus(x: Number, beta: float = 2.0) -> Number:
    scaled = beta * x
    return choose(scaled.value > 20, x, log(1 + exp(scaled)) / beta)


def hardshrink(x: Number) -> Number:
    return choose(x.value > 0.5, x, choose(x.value < -0.5, x, Number(0)))


def softshrink(x: Number) -> Number:
    shift = choose(x.value > 0.5, 0.5, choose(x.value < -0.5, -0.5, None))
    moved = x - (shift or 0)
    return moved if shift else Number(0)


def gelu_tanh(x: Number) -> Number:
    cube = x * x * x
    return 0.5 * x * (1 + special(math.tanh, math.sqrt(2 / math.pi) * (x + 0.044715 * cube)))


ACTIVATIONS: list[tuple[str, dict[str, Any], Callable[[Number], Any]]] = [
    ("relu", {}, lambda x: larger(x, 0)),
    ("relu6", {}, relu6),
    ("leaky_relu", {"slope": 0.2}, lambda x: choose(x.value > 0, x, 0.2 * x)),
    ("prelu", {}, lambda x: choose(x.value > 0, x, 0.25 * x)),
    ("elu", {"alpha": 0.5}, lambda x: elu(x, 0.5)),
    ("selu", {}, lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    ("celu", {"alpha": 0.5}, lambda x: choose(x.value > 0, x, 0.5 * (exp(x / 0.5) - 1))),
    ("gelu", {}, lambda x: 0.5 * x * (1 + special(math.erf, x * math.sqrt(0.5)))),
    ("gelu", {"approximate": "tanh"}, gelu_tanh),
    ("silu", {}, lambda x: x * sigmoid(x)),
    ("mish", {}, lambda x: x * special(math.tanh, log(1 + exp(x)))),
    ("sigmoid", {}, sigmoid),
    ("tanh", {}, lambda x: special(math.tanh, x)),
    ("hardswish", {}, lambda x: x * relu6(x + 3) * (1 / 6)),
    ("hardsigmoid", {}, lambda x: relu6(x + 3) * (1 / 6)),
    ("hardtanh", {}, lambda x: smaller(larger(x, -1), 1)),
    ("softplus", {"beta": 2.0}, softplus),
    ("softsign", {}, lambda x: x / (1 + larger(x, -x))),
    ("logsigmoid", {}, lambda x: log(sigmoid(x))),
    ("tanhshrink", {}, lambda x: x - special(math.tanh, x)),
    ("hardshrink", {}, hardshrink),
    ("softshrink", {}, softshrink),
    ("abs", {}, lambda x: larger(x, -x)),
    ("square", {}, lambda x: x * x),
    ("sqrt", {}, lambda x: special(math.sqrt, x)),
    ("rsqrt", {}, lambda x: special(lambda v: v**-0.5, x)),
    ("exp", {}, exp),
    ("log", {}, log),
    ("sin", {}, lambda x: special(math.sin, x)),
    ("cos", {}, lambda x: special(math.cos, x)),
    ("threshold", {"threshold": 0.1, "value": 2.0}, lambda x: choose(x.value > 0.1, x, Number(2))),
]
