"""Where rules register themselves, and what they share.

A rule's own parameters are the function's, so Python binds them. It raises Unsaid where no operator says what the function
does, and returns no layer where the tensor stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from archc.tracing.steps import Rule, Rules
from archc.tracing.trace import Trace

RULES: Rules = {}
Sizes = int | Sequence[int]


def rule(names: str) -> Callable[[Rule], Rule]:
    """Registers a rule under the names of functions, without the marks of writing in place or of operators (`__iadd__`)."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names.split(), function))
        return function

    return register


def short(value: Sizes) -> Any:
    """One number where all are the same."""
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,)
    return int(numbers[0]) if len(set(numbers)) == 1 else tuple(map(int, numbers))


def in_place(trace: Trace) -> dict[str, Any]:
    """The argument of operators that can write over their input."""
    return {"inplace": True} if trace.in_place else {}


def with_bias(weight: Tensor, bias: Tensor | None) -> dict[str, Tensor]:
    """The weights of a layer that may have a bias."""
    return {"weight": weight} | ({"bias": bias} if bias is not None else {})
