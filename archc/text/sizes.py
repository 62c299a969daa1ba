"""Sizes of memory as people write them, read and told in one way everywhere: GB and G are 10^9 bytes, GiB 2^30, a bare number GiB."""

from __future__ import annotations

import re

LARGEST = 2**60
_SIZE = re.compile(r"\s*(?P<number>[0-9][0-9_,]*(?:\.[0-9]+)?)\s*(?P<unit>[A-Za-z]*)\s*\Z")
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


def unit_bytes(unit: str) -> int | None:
    """The bytes of a unit, in any case: `GiB`, `GB`, `G`, `B`, or nothing for GiB. None where it is no unit."""
    name = unit.lower()
    if name in ("", "b"):
        return 1 if name else 2**30
    power = _POWERS.get(name[0])
    if power is None or name[1:] not in ("", "b", "ib"):
        return None
    return int(2 ** (10 * power) if name[1:] == "ib" else 10 ** (3 * power))


def read_size(text: str) -> int | None:
    """The bytes that a text states, from 1 up; None where it states none."""
    match = _SIZE.match(text)
    one = unit_bytes(match["unit"]) if match is not None else None
    if match is None or one is None:
        return None
    size = float(match["number"].replace("_", "").replace(",", "")) * one
    return int(size) if 1 <= size < LARGEST else None


def reading(text: str) -> str:
    """How a size was read: `24GB is 24,000,000,000 bytes`."""
    return f"{text.strip()} is {read_size(text) or 0:,} bytes"
