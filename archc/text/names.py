"""Many names as few: `layer1.0.conv2, layer1.1.conv2` as `layer1.{0-1}.conv2`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import prod

_NUMBER = re.compile(r"(?<!\d)(?:0|[1-9][0-9]{0,8})(?!\d)")  # not 01: it would come back as 1


def fold_names(names: Iterable[str]) -> list[str]:
    """The names, those that differ in numbers alone as one pattern, in the order of their first."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(_NUMBER.sub("\0", name), []).append(tuple(map(int, _NUMBER.findall(name))))
    return [_spell_numbers(template, ranges) for template, rows in groups.items() for ranges in _boxes(rows)]


def _boxes(rows: list[tuple[int, ...]]) -> list[list[set[int]]]:
    """Few sets of numbers, place by place, whose products make up the rows."""
    sets = [set(column) for column in zip(*rows, strict=True)]
    if prod(map(len, sets)) == len(rows):
        return [sets]
    place = next(i for i, numbers in enumerate(sets) if len(numbers) > 1)
    return [box for number in sorted(sets[place]) for box in _boxes([row for row in rows if row[place] == number])]


def _spell_numbers(template: str, ranges: list[set[int]]) -> str:
    first, *rest = template.split("\0")
    return first + "".join(_range(numbers) + text for numbers, text in zip(ranges, rest, strict=True))


def _range(numbers: set[int]) -> str:
    """`3`, `{0-5}`, `{0,2,4}`."""
    low, high = min(numbers), max(numbers)
    if low == high:
        return str(low)
    contiguous = len(numbers) == high - low + 1
    return f"{{{low}-{high}}}" if contiguous else "{" + ",".join(map(str, sorted(numbers))) + "}"
