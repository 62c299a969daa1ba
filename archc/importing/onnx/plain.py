"""Nodes value by value: activations, arithmetic of two values, of a value and a constant."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from archc.importing.imported import numbers
from archc.importing.onnx.file import Step
from archc.importing.onnx.reading import HANDLERS, Const, Flow, Reading, handles
from archc.importing.onnx.shaping import parameter

_SAME = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softsign": "softsign", "HardSwish": "hardswish", "Mish": "mish", "Abs": "abs",
    "Neg": "neg", "Sqrt": "sqrt", "Exp": "exp", "Log": "log", "Sin": "sin", "Cos": "cos", "Softplus": "softplus", "Swish": "silu",
}  # fmt: skip


def _each(kind: str) -> Callable[[Reading, Step], Flow]:
    return lambda reading, step: reading.add(step, kind, [reading.flow(step)])


HANDLERS.update({op: _each(kind) for op, kind in _SAME.items()})


def _short(value: float) -> float:
    return float(f"{float(value):.6g}")


@handles("Sigmoid")
def sigmoid(reading: Reading, step: Step) -> Flow:
    """With the product that follows, silu."""
    x, after = reading.flow(step), reading.follower(step.outputs[0], "Mul")
    if after is not None and set(after[1].inputs) == {step.inputs[0], step.outputs[0]}:
        made = reading.add(after[1], "silu", [x], name=_around(reading, step, after[1]))
        reading.take(after[0], made)
        return made
    return reading.add(step, "sigmoid", [x])


@handles("Softplus")
def softplus(reading: Reading, step: Step) -> Flow:
    """With the tanh and the product that follow, mish."""
    x, tanh = reading.flow(step), reading.follower(step.outputs[0], "Tanh")
    last = reading.follower(tanh[1].outputs[0], "Mul") if tanh is not None else None
    if tanh is not None and last is not None and set(last[1].inputs) == {step.inputs[0], tanh[1].outputs[0]}:
        made = reading.add(step, "mish", [x], name=_around(reading, step, last[1]))
        reading.take(tanh[0], made)
        reading.take(last[0], made)
        return made
    return reading.add(step, "softplus", [x])


def _around(reading: Reading, first: Step, last: Step) -> str:
    """The module that several nodes are of."""
    name = reading.name_of(first)
    tail = f".{first.op.lower()}"
    return name.removesuffix(tail) if name.endswith(tail) and name != tail[1:] else name


@handles("Div")
def div(reading: Reading, step: Step) -> Flow:
    """With erf and what follows, gelu as it was written before there was an operator for it."""
    erf = reading.follower(step.outputs[0], "Erf")
    value = _scalar(reading, step, 1)
    if erf is not None and value is not None and abs(value - math.sqrt(2)) < 1e-4 and (made := _gelu(reading, step, erf)) is not None:
        return made
    return _arithmetic(reading, step)


def _gelu(reading: Reading, step: Step, erf: tuple[int, Step]) -> Flow | None:
    """x * 0.5 * (1 + erf(x / sqrt 2)), with the factors in any order."""
    one = reading.follower(erf[1].outputs[0], "Add")
    if one is None or _other(reading, one[1], erf[1]) != 1:
        return None
    product = reading.follower(one[1].outputs[0], "Mul")
    if product is None:
        return None
    x, other = step.inputs[0], next((name for name in product[1].inputs if name != one[1].outputs[0]), "")
    half = next(((at, made) for at, made in enumerate(reading.steps) if other in made.outputs and made.op == "Mul"), None)
    if other != x and half is not None and x in half[1].inputs and _other(reading, half[1], x) == 0.5:
        taken, last = [half[0]] if half[0] not in reading.done else [], product
    else:
        final = reading.follower(product[1].outputs[0], "Mul")
        if other != x or final is None or _other(reading, final[1], product[1]) != 0.5:
            return None
        taken, last = [product[0]], final
    made = reading.add(step, "gelu", [reading.flow(step)], name=_around(reading, step, last[1]))
    for at in (erf[0], one[0], *taken, last[0]):
        reading.take(at, made)
    return made


def _other(reading: Reading, step: Step, beside: Step | str) -> float | None:
    """The constant number that a node has beside a value."""
    name = beside if isinstance(beside, str) else beside.outputs[0]
    at = next((at for at, one in enumerate(step.inputs) if one != name), None)
    return None if at is None else _scalar(reading, step, at)


def _scalar(reading: Reading, step: Step, at: int) -> float | None:
    """A constant input that is one number."""
    name = step.inputs[at]
    if name not in reading.values and name not in reading.model.tensors:
        return None
    value = reading.value(name)
    if not isinstance(value, Const) or numbers().asarray(value.array).size != 1:
        return None
    return float(numbers().asarray(value.array).reshape(-1)[0])


_KINDS = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow", "Max": "maximum", "Min": "minimum"}


def _arithmetic(reading: Reading, step: Step) -> Flow:
    kind, given = _KINDS[step.op], [reading.value(name) for name in step.inputs]
    if len(given) != 2:
        raise reading.refuse(step, f"it reads {len(given)} values")
    at = next((at for at, one in enumerate(given) if isinstance(one, Const)), None)
    if at is None:
        return _two(reading, step, kind, given)
    other = given[1 - at]
    assert isinstance(other, Flow)
    value = _scalar(reading, step, at)
    if value is None:
        const = given[at]
        assert isinstance(const, Const)
        return _two(reading, step, kind, [parameter(reading, step, const, other) if one is const else one for one in given])
    value = _short(value)
    if kind == "mul":
        return reading.add(step, "scale", [other], factor=value)
    if kind in ("maximum", "minimum"):
        bound: dict[str, Any] = {"low" if kind == "maximum" else "high": value}
        return reading.add(step, "clamp", [other], **bound)
    reverse: dict[str, Any] = {"reverse": True} if at == 0 and kind != "add" else {}
    return reading.add(step, kind, [other], value=value, **reverse)


HANDLERS.update({op: _arithmetic for op in _KINDS if op != "Div"})


def _two(reading: Reading, step: Step, kind: str, given: list[Any]) -> Flow:
    """Two values; axes of 1 are stretched."""
    rank = max(len(one.shape) for one in given)
    flows = [Flow(one.wire, (1,) * (rank - len(one.shape)) + one.shape) for one in given]
    if flows[0].shape == flows[1].shape or kind == "mul":
        return reading.add(step, kind, flows)
    return reading.add(step, kind, flows, broadcast=True)


@handles("Sum Mean")
def merge(reading: Reading, step: Step) -> Flow:
    return reading.add(step, "add" if step.op == "Sum" else "average", [reading.flow(step, at) for at in range(len(step.inputs))])


@handles("Reciprocal")
def reciprocal(reading: Reading, step: Step) -> Flow:
    return reading.add(step, "div", [reading.flow(step)], value=1.0, reverse=True)


@handles("Clip")
def clip(reading: Reading, step: Step) -> Flow:
    bounds = [step.args.get(name) for name in ("min", "max")]
    for at in (1, 2):
        const = reading.const(step, at)
        if const is not None:
            bounds[at - 1] = float(numbers().asarray(const.array).reshape(-1)[0])
    low, high = (None if one is None or abs(one) > 3e38 else _short(one) for one in bounds)
    if (low, high) == (0, 6):
        return reading.add(step, "relu6", [reading.flow(step)])
    if low is None and high is None:
        return reading.flow(step)
    bounded: dict[str, Any] = {name: one for name, one in (("low", low), ("high", high)) if one is not None}
    return reading.add(step, "clamp", [reading.flow(step)], **bounded)


@handles("LeakyRelu Elu Celu Selu Gelu HardSigmoid")
def activation(reading: Reading, step: Step) -> Flow:
    x, args = reading.flow(step), step.args
    if step.op == "LeakyRelu":
        return reading.add(step, "leaky_relu", [x], slope=_short(args.get("alpha", 0.01)))
    if step.op in ("Elu", "Celu"):
        return reading.add(step, step.op.lower(), [x], alpha=_short(args.get("alpha", 1.0)))
    if step.op == "Gelu":
        return reading.add(step, "gelu", [x], approximate=args.get("approximate", "none"))
    if step.op == "Selu":
        return reading.add(step, "selu", [x])
    alpha, beta = args.get("alpha", 0.2), args.get("beta", 0.5)
    if abs(alpha - 1 / 6) > 1e-4 or abs(beta - 0.5) > 1e-6:
        raise reading.refuse(step, f"a hard sigmoid of slope {alpha:.4g} is not that of archc (1/6)")
    after = reading.follower(step.outputs[0], "Mul")
    if after is not None and set(after[1].inputs) == {step.inputs[0], step.outputs[0]}:
        made = reading.add(after[1], "hardswish", [x], name=_around(reading, step, after[1]))
        reading.take(after[0], made)
        return made
    return reading.add(step, "hardsigmoid", [x])
