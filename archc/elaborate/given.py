"""Shapes and parameters as a Python program gives them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from archc.elaborate.compiler import Given, value_as_text
from archc.errors import ArgumentError

Size = int | str | Sequence[int | str]  # (3, 224, 224), "3x224x224", or 784 for a vector; (3, "H", "W") for `formulas`
Input = Size | dict[str, Size] | None


def changes_of(input: Input, params: dict[str, Any]) -> tuple[dict[str, str], dict[str, Given]]:
    """The `--set` and the `--input` of a command line that say the same."""
    shapes = {"": input} if input is not None and not isinstance(input, dict) else input or {}
    return {name: value_as_text(value) for name, value in params.items()}, {name: _sizes(shape) for name, shape in shapes.items()}


def _sizes(shape: Any) -> Given:
    """A shape as whole numbers, of Python, numpy or torch; a text is read as `--input` is."""
    if isinstance(shape, str):
        return shape
    sizes = tuple(shape) if hasattr(shape, "__iter__") else (shape,)
    return tuple(index(size) if hasattr(size, "__index__") and not isinstance(size, bool) else size for size in sizes)


def batch_hint(input: object) -> str:
    """What a shape may be meant as that begins with a batch."""
    shape = input if isinstance(input, list | tuple) else ()
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) < len(shape) or len(sizes) < 2 or (len(sizes) < 4 and sizes[0] != 1):
        return ""
    return f"archc: a shape is without the batch: input={tuple(sizes[1:])}, if {tuple(sizes)} has one"


def describe(value: object) -> str:
    """What a value is, for messages."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def missing_input(module: object) -> ArgumentError:
    """That the shape of a module's input is needed."""
    return ArgumentError(f"{type(module).__name__} does not say what it takes: give the shape without the batch, input=(3, 224, 224)")
