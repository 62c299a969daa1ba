"""What is wrong with a value, and where; told in archc's words, whoever found it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from archc.text.diagnostics import printable
from archc.text.suggest import did_you_mean
from archc.validation.description import OneOf, Range, Shape, Unreadable

SHOWN = 40  # characters of a value in a sentence
LONGEST_KEY = 80
Where = tuple[str | int, ...]


@dataclass(frozen=True)
class DataFault:
    """One mistake.

    where: the keys and places that lead to the value, or to the key that is unknown or missing
    kind: `unknown` and `missing` are of keys; `type` and `limit` of values; `unreadable` is what a mark says in `why`
    shape: of the value; of the object around it where a key is unknown or missing
    """

    where: Where
    kind: Literal["unknown", "missing", "type", "limit", "unreadable"]
    shape: Shape
    value: Any = None
    why: Unreadable | None = None


def dotted_path(where: Iterable[str | int]) -> str:
    """`best.step`, `images[2]`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def sentence(fault: DataFault, value: Any) -> str:
    """The mistake in a file that a program wrote. `value` is what stands there."""
    name = printable(dotted_path(fault.where))[:LONGEST_KEY] or "it"
    if fault.kind == "missing":
        return f"it has no {name}"
    if fault.kind == "unknown":
        return f"it has {name}, which is not known here"
    shown = printable(json.dumps(value))
    shown = shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"
    if fault.why is not None:
        return printable(f"{name} is {shown}: {fault.why.message}; {fault.why.hint}")
    return f"{name} is {shown}, where {expected_text(fault.shape, fault.kind == 'limit')} was expected"


_PHRASES = {"object": "an object, as {…}", "text": "a text", "flag": "true or false", "any": "something else"}


def expected_text(shape: Shape, limits: bool = True) -> str:
    """The values that there can be, in words; of numbers, the limits as well."""
    if shape.kind == "list":
        inner = expected_text(shape.inner(0)).removeprefix("an ").removeprefix("a ")
        return f"a list of {inner.replace('number', 'numbers', 1) if 'number' in inner else inner + 's'}"
    if (named := shape.mark(OneOf)) is not None:
        return "one of " + ", ".join(named.names)
    if shape.kind == "whole number":
        return f"a whole number {shape.mark(Range) or ''}".rstrip()
    if shape.kind == "number":
        return f"a finite number {shape.mark(Range)}".rstrip() if limits and shape.mark(Range) else "a number"
    return _PHRASES[shape.kind]


@dataclass(frozen=True)
class Words:
    """The mistake in a file that a person wrote: a diagnostic without its place."""

    code: str
    message: str
    hint: str | None = None


def words(fault: DataFault, what: str) -> Words:
    """`what` is the file in words."""
    last = str(fault.where[-1]) if fault.where else ""
    outer = dotted_path(fault.where[:-1]) or what
    if fault.why is not None:
        return Words(fault.why.code, fault.why.message, fault.why.hint)
    if fault.kind == "missing":
        return Words("A204", f"{outer} needs `{last}`", f"write {last}: …")
    if fault.kind == "unknown":
        names = fault.shape.names()
        return Words("A201", f'{outer} has no key "{last}"', did_you_mean(last, names) or f"it has {', '.join(names)}")
    return _of_value(fault, dotted_path(fault.where) or what, last)


def _of_value(fault: DataFault, name: str, last: str) -> Words:
    shape, kind = fault.shape, fault.shape.kind
    if kind == "object":
        return Words("A202", f"{name}: this is not a mapping", "write `name: value` below it")
    if kind == "list":
        return Words("A202", f"{name}: this is not a list", "write [a, b]")
    if kind == "flag":
        return Words("A402", f"{last}: this is true or false")
    if kind == "whole number":
        return Words("A404", f"{last}: this should be {expected_text(shape)}")
    if fault.kind == "type":
        return Words("A402", f"{last}: this should be {expected_text(shape, False)}", "put it in quotes" if kind == "text" else None)
    if kind == "number":
        return Words("A404", f"{fault.value:g} is out of range", f"it is {expected_text(shape)}")
    names = shape.mark(OneOf).names
    return Words("A404", f"no {last} is called {fault.value}", did_you_mean(str(fault.value), names) or ", ".join(names))
