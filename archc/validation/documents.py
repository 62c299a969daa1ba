"""Files read by their description: YAML of a person with diagnostics, JSON of a program with the place of its first mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Any, TypeVar, cast

from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.source import Source, Span
from archc.validation import plain
from archc.validation.description import taken_apart
from archc.validation.faults import DataFault, Where, sentence, words

T = TypeVar("T")


class Damaged(ValueError):
    """What is wrong with a JSON file. `line` and `column` are those of the key."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line, self.column = line, column


def read_json(described: type[T], content: bytes) -> T:
    """The value that JSON describes; keys that are not known are left out. Raises Damaged."""
    from archc.validation.checked import NotJson, read  # reads as fast as it parses, and needs pydantic

    faults: list[DataFault] = []
    try:
        value = read(described, content, False, faults)
    except NotJson as error:
        raise Damaged("it is not JSON", error.line, error.column) from None
    if not faults:
        return cast(T, value)
    text = content.decode("utf-8", "replace")
    shown, at = place_of(text, faults[0].where)
    found = Source("", text)
    raise Damaged(sentence(faults[0], shown), *found.position(at))


def read_tree(described: type[T], tree: t.Tree, diagnostics: Diagnostics, *, what: str, data: Any = None, ours: bool = False) -> T | None:
    """The value that a YAML tree describes; None where anything is wrong, which is told.

    what: the file in words
    data: what stands in the tree, where something was put in
    ours: the file ships with archc, and is read without pydantic
    """
    data = data_of(tree) if data is None else data
    faults: list[DataFault] = []
    value = plain.read(taken_apart(described), data, True, faults) if ours else _check_data(described, data, faults)
    for fault in faults:
        part, span = _place(tree, fault)
        if not _is_told(part, fault):
            said = words(fault, what)
            diagnostics.error(said.code, span, said.message, said.hint)
    return None if diagnostics.failed else value


def _check_data(described: Any, data: Any, faults: list[DataFault]) -> Any:
    """Read by pydantic, or in the same way by the plain reader where its compiled core cannot be loaded."""
    try:
        from archc.validation import checked
    except ImportError:
        return plain.read(taken_apart(described), data, True, faults)
    return checked.read(described, json.dumps(data), True, faults)


def data_of(tree: t.Tree | None, words: bool = False) -> Any:
    """A tree as data of JSON's kinds; scalars as they are written if they are `words`. What was refused is null."""
    if isinstance(tree, t.Mapping):
        return {key.value: data_of(value, words) for key, value in tree.items}
    if isinstance(tree, t.Sequence):
        return [data_of(part, words) for part in tree.items]
    if not isinstance(tree, t.Scalar) or tree.value is t.BROKEN:
        return None
    return tree.span.text.strip() if words and not tree.quoted and tree.end > tree.start else tree.value


def _place(tree: t.Tree, fault: DataFault) -> tuple[t.Tree, Span]:
    """The part of a tree that a fault is about, and the characters to mark."""
    part, key, exact = _follow(tree, fault.where)
    if fault.kind == "missing":
        return part, part.span.within(0, 1)
    return part, key.span if key is not None and (fault.kind == "unknown" or not exact) else part.span


def _follow(tree: t.Tree, where: Where) -> tuple[t.Tree, t.Scalar | None, bool]:
    """The part that keys lead to, its own key, and whether all of them are there: if not, those of the part around it."""
    found: t.Scalar | None = None
    for part in where:
        if isinstance(tree, t.Sequence) and isinstance(part, int) and part < len(tree.items):
            tree = tree.items[part]
        elif isinstance(tree, t.Mapping) and (pair := next((pair for pair in tree.items if pair[0].value == part), None)) is not None:
            found, tree = pair
        else:
            return tree, found, False
    return tree, found, True


def _is_told(part: t.Tree, fault: DataFault) -> bool:
    """Whether the reason is told already: a value that was refused, or a key that was, which may be the one that is missing."""
    refused_key = fault.kind == "missing" and isinstance(part, t.Mapping) and part.broken
    return refused_key or (isinstance(part, t.Scalar) and part.value is t.BROKEN)


_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = JSONDecoder(strict=False)


def place_of(text: str, where: Where) -> tuple[Any, int]:
    """The value that keys lead to and the offset of its key; of one that is not there, those of the value around it."""
    at = begin = _skip(text, 0)
    for part in where:
        found = next((pair for key, *pair in _parts(text, begin) if key == part), None)
        if found is None:
            break
        at, begin = found
    return _DECODER.raw_decode(text, begin)[0], at


def _parts(text: str, begin: int) -> Iterator[tuple[str | int, int, int]]:
    """The parts of an object or list that begins here, the last first: key, where the key stands, where the value does."""
    found: list[tuple[str | int, int, int]] = []
    closing = {"{": "}", "[": "]"}.get(text[begin])
    at = _skip(text, begin + 1)
    while closing is not None and text[at] != closing:
        key_at, key = at, len(found)
        if closing == "}":
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        found.append((key, key_at, at))
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
    return reversed(found)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
