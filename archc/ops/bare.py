"""Values without a name, `{softmax: 1}`: what several operators say of those that PyTorch or Keras would read otherwise."""

from __future__ import annotations

from typing import Any

from archc.ops.facts import Doubt
from archc.ops.registry import Bare
from archc.ops.shape import Shape
from archc.signature import is_int

LARGE_EPS = 0.1
LARGE_PART = 0.9
COUNTED = "axes are counted from 0, without the batch"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole_numbers(value: Any) -> list[int]:
    """The numbers of a list of whole numbers; none of anything else."""
    return list(value) if isinstance(value, list | tuple) and all(is_int(size) for size in value) else []


def axis_alone(kind: str) -> Bare:
    """PyTorch and Keras count the batch as axis 0, so that a 1 may be their channels or the axis after them."""

    def instead(value: Any, x: Shape) -> str | None:
        axes = [value] if is_int(value) else whole_numbers(value)
        if not axes or min(axes) < 1:
            return None
        before = [axis - 1 for axis in axes]
        counted = f"{{{kind}: {{axis: {before if isinstance(value, list | tuple) else before[0]}}}}}"
        if max(axes) == len(x):
            return f"axes are counted without the batch: {counted}"
        return f"{counted} if the batch is counted as axis 0, {{{kind}: {{axis: {value}}}}} if not" if max(axes) < len(x) else None

    return instead


def positional(kind: str, inputs: int, *names: str) -> Bare:
    """PyTorch's order of arguments, which begins with the size of the input: `[3, 64, 3]` for Conv2d(3, 64, 3).

    inputs: the axis of the input that has this size
    """

    def instead(value: Any, x: Shape) -> str | None:
        numbers = whole_numbers(value)
        if not 1 < len(numbers) <= len(names) + 1:
            return None
        given = numbers[1:] if numbers[0] == x[inputs] else numbers[: len(names)]
        named = ", ".join(f"{name}: {number}" for name, number in zip(names, given, strict=False))
        return f"the input's size is known; write {{{kind}: {{{named}}}}}" if len(given) > 1 else f"write {{{kind}: {given[0]}}}"

    return instead


def window_alone(kind: str) -> Bare:
    """`[3, 2]` is a window of 3x2, and PyTorch's kernel and stride."""

    def instead(value: Any, x: Shape) -> str | None:
        numbers = whole_numbers(value)
        if len(set(numbers)) < 2 or len(numbers) > 3:
            return None
        named = ", ".join(f"{name}: {number}" for name, number in zip(("kernel", "stride", "padding"), numbers, strict=False))
        apart = f", {{{kind}: {{kernel: {numbers}}}}} for one size an axis" if len(numbers) == len(x.space) else ""
        return f"{{{kind}: {{{named}}}}}{apart}"

    return instead


def large_eps(eps: float, argument: str = "eps") -> tuple[Doubt, ...]:
    """An eps that outweighs what it is added to."""
    if eps <= LARGE_EPS:
        return ()
    return (Doubt(argument, f"{argument} is {eps:g}: it outweighs the variance that it is added to", "most networks have 1e-05 to 0.001"),)


def large_part(p: float, argument: str = "p") -> tuple[Doubt, ...]:
    """A dropout that leaves next to nothing."""
    if p <= LARGE_PART:
        return ()
    return (Doubt(argument, f"{argument} is {p:g}: next to nothing is left in training", "it is the part that is dropped, not kept"),)
