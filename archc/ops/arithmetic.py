"""Arithmetic value by value: functions of one value, and a value with a constant."""

from __future__ import annotations

from archc.ops.facts import INPUT, OUTPUT, Expression, Facts, Kept, Work, new, weightless
from archc.ops.layout import ELEMENTWISE, INVERTED, PACKED, SCALED
from archc.ops.reach import POINT
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.signature import Fault, Real


def _each(x: Shape, name: str, work: Work, *keeps: Kept, text: str = "") -> Facts:
    """A function of every value; `work` is that of one."""
    counts = Work(*(x.values * each if each else 0 for each in work))
    form = Expression(text or f"torch.{name}({{0}})")
    return weightless(x, work=counts, keeps=keeps, reach=POINT, torch=form, classic=name.upper(), layout=ELEMENTWISE)


@op
def abs(x: Shape) -> Facts:
    """[*] -> [*]. The magnitude |x|: one compare a value."""
    return _each(x, "abs", Work(compare=1), INPUT)


@op
def neg(x: Shape) -> Facts:
    """[*] -> [*]. -x. A sign is no operation."""
    return _each(x, "neg", Work(), text="-{0}")


@op
def square(x: Shape) -> Facts:
    """[*] -> [*]. x*x: one multiply a value."""
    return _each(x, "square", Work(multiply=1), INPUT)


@op
def sqrt(x: Shape) -> Facts:
    """[*] -> [*]. The square root."""
    return _each(x, "sqrt", Work(special=1), OUTPUT)


@op
def rsqrt(x: Shape) -> Facts:
    """[*] -> [*]. 1/sqrt(x), one special function a value."""
    return _each(x, "rsqrt", Work(special=1), OUTPUT)


@op
def exp(x: Shape) -> Facts:
    """[*] -> [*]. The exponential function."""
    return _each(x, "exp", Work(special=1), OUTPUT)


@op
def log(x: Shape) -> Facts:
    """[*] -> [*]. The natural logarithm."""
    return _each(x, "log", Work(special=1), INPUT)


@op
def sin(x: Shape) -> Facts:
    """[*] -> [*]. The sine, of radians."""
    return _each(x, "sin", Work(special=1), INPUT)


@op
def cos(x: Shape) -> Facts:
    """[*] -> [*]. The cosine, of radians."""
    return _each(x, "cos", Work(special=1), INPUT)


@op(bare="say which bound it is: {clamp: {low: 0}} or {clamp: {high: 6}}")
def clamp(x: Shape, *, low: Real | None = None, high: Real | None = None) -> Facts:
    """[*] -> [*]. x, cut to low and high, either of which may be left out: torch.clamp. One compare a value for each.

    low: the least value
    high: the greatest value
    """
    if low is None and high is None:
        raise Fault("low", "clamp needs low, high or both", "as in {clamp: {low: 0}}", code="A403")
    if low is not None and high is not None and low >= high:
        raise Fault("low", f"low, {low:g}, must be less than high, {high:g}")
    bounds = [f"{name}={float(bound)!r}" for name, bound in (("min", low), ("max", high)) if bound is not None]
    return _each(x, "clamp", Work(compare=len(bounds)), INPUT, text=f"torch.clamp({{0}}, {', '.join(bounds)})")


def with_number(x: Shape, sign: str, value: float, reverse: bool = False) -> Facts:
    """A value and a constant: `x + 2.0`, or where it is reversed `2.0 / x`. It is called by the operators that combine several values."""
    special = sign in ("/", "**")
    keeps, layout = {
        ("/", True): ((new(x.values),), INVERTED),  # PyTorch takes the reciprocal, and multiplies it with the number
        ("**", False): ((INPUT,), ELEMENTWISE),
        ("**", True): ((INPUT, OUTPUT), PACKED),
    }.get((sign, reverse), ((), SCALED))
    work = Work(special=x.values) if special else Work(add=x.values)
    number, name = repr(float(value)), {"+": "ADD", "-": "SUB", "/": "DIV", "**": "POW"}[sign]
    text = f"{number} {sign} {{0}}" if reverse else f"{{0}} {sign} {number}"
    return weightless(x, work=work, keeps=keeps, reach=POINT, torch=Expression(text), classic=name, layout=layout)
