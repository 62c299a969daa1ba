"""Where a value stands in a JSON text. Looked for only once something is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecoder
from typing import Any

from archc.validation.faults import Where

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
