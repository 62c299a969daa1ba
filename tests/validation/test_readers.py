"""One description, two readers: pydantic's and the plain one give the same value, or the same mistakes at the same places."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, nan
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.catalog.devices.catalogue import FOLDER, parse_devices
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.quantity import Units
from archc.text.source import Source
from archc.validation import checked, plain
from archc.validation.description import Amount, Entries, Match, OneOf, Range, Read, Unreadable, taken_apart
from archc.validation.documents import Damaged, place_of, read_json, read_tree
from archc.validation.faults import DataFault

METRES = Units("3 m", {"m": 1.0})


def _pair(value: object) -> tuple[str, str]:
    if isinstance(value, str) and value.count("-") == 1:
        return (*value.split("-"),)  # type: ignore[return-value]
    raise Unreadable("no pair", "write a-b", "A202")


@dataclass(frozen=True)
class Inner:
    count: Annotated[int, Range(0, 99)]
    flag: bool = False


@dataclass(frozen=True)
class Outer:
    """One field of each kind that a description can have."""

    name: Annotated[str, Match(re.compile("[a-z]{1,3}"), "at most three letters")]
    inner: Inner
    length: Annotated[float, Range(0, 50, excluded=True), Amount(METRES)] = 1.0
    whole: Annotated[int, Range(0), Amount(METRES, whole=True)] | None = None
    free: float = 0.0
    either: dict[str, Annotated[int | float, Range(0)]] = field(default_factory=dict)
    colours: dict[Annotated[str, OneOf(("red", "blue"))], Inner] = field(default_factory=dict)
    colour: Annotated[str, OneOf(("red", "blue"))] | None = None
    numbers: tuple[Annotated[float, Range()], ...] = ()
    pairs: tuple[Annotated[tuple[str, str], Read(_pair)], ...] = ()
    best: Annotated[dict[str, float], Entries({"step": Annotated[int, Range(0)]})] = field(default_factory=dict)


def both(data: Any, closed: bool) -> tuple[Any, Any]:
    """What the two readers make of the same data: a value, or mistakes by their place and kind."""
    read: list[tuple[Any, Any]] = []
    readers: tuple[Callable[[list[DataFault]], Any], ...] = (
        lambda faults: checked.read(Outer, json.dumps(data), closed, faults),
        lambda faults: plain.read(taken_apart(Outer), data, closed, faults),
    )
    for reader in readers:
        faults: list[DataFault] = []
        value = reader(faults)
        read.append((None if faults else repr(value), sorted(((one.where, one.kind) for one in faults), key=repr)))
    return read[0], read[1]


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 120)
    | st.floats(width=16)
    | st.sampled_from(["", "abc", "abcd", "red", "3 m", "99 m", "a-b"])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["red", "step", "count"]), inner, max_size=2),
    max_leaves=4,
)
inners = st.fixed_dictionaries({"count": st.integers(-1, 100)}, optional={"flag": st.booleans() | scalars, "more": scalars}) | anything
outers = st.fixed_dictionaries(
    {"name": st.sampled_from(["abc", "A", "abcd"]) | anything, "inner": inners},
    optional={
        "length": scalars,
        "whole": scalars,
        "free": scalars,
        "either": st.dictionaries(st.text(max_size=2), scalars, max_size=2),
        "colours": st.dictionaries(st.sampled_from(["red", "blue", "green"]), inners, max_size=2),
        "colour": scalars,
        "numbers": st.lists(scalars, max_size=3) | anything,
        "pairs": st.lists(scalars, max_size=2) | anything,
        "best": st.dictionaries(st.sampled_from(["step", "loss"]), scalars, max_size=2) | anything,
        "unknown": scalars,
    },
)  # fmt: skip


@given(outers | anything, st.booleans())
def test_both_readers_agree(data: Any, closed: bool) -> None:
    if closed and isinstance(data, dict):
        data.pop("best", None)  # its mark has no meaning there
    first, second = both(data, closed)
    assert first == second


@pytest.mark.parametrize(
    "data",
    [
        {"name": "abc", "inner": {"count": 3}},
        {"name": "abc", "inner": {"count": 3, "flag": True}, "length": 4, "whole": "7 m", "free": inf, "either": {"a": 1, "b": 2.5}},
        {"name": "a", "inner": {"count": 0}, "colours": {"red": {"count": 1}}, "numbers": [1, 2.5], "pairs": ["a-b"]},
    ],
)
def test_both_readers_read(data: Any) -> None:
    first, second = both(data, True)
    assert first == second and first[0] is not None, first


def test_the_files_that_ship_are_read_alike() -> None:
    """The catalogue is read by the plain reader alone when it is used, and without checks it could not have passed."""
    for path in sorted(FOLDER.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        ours, strangers = parse_devices(Source(path.name, text), ours=True), parse_devices(Source(path.name, text))
        assert ours and ours == strangers and repr(ours) == repr(strangers)


def told(text: str) -> list[str]:
    found = Diagnostics()
    tree = t.parse(Source("file", text), found)
    assert tree is not None
    value = read_tree(Outer, tree, found, what="a file")
    assert (value is None) == bool(len(found))
    return [f"{one.span.line}:{one.span.column} {one.code} {one.message} | {one.hint}" for one in found]


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = """\
name: Abc
inner: {flags: true}
length: 3 km
whole: -1
colours:
  green: {count: 1}
colour: rod
numbers: [1, two, .inf]
pairs: [a-b, ab]
"""
    assert told(text) == [
        '1:7 A306 "Abc" cannot be a name | at most three letters',
        "2:8 A204 inner needs `count` | write count: …",
        '2:9 A201 inner has no key "flags" | did you mean "flag"?',
        '3:9 A402 "3 km" is not a quantity that is possible here | write it as "3 m"; the units are m',
        "4:8 A404 whole: this should be a whole number from 0 up | None",
        '6:3 A201 colours has no key "green" | it has red, blue',
        '7:9 A404 no colour is called rod | did you mean "red"?',
        "8:14 A402 1: this should be a number | None",
        "8:19 A107 .inf is too large or not finite | write a finite number",
        "9:14 A202 no pair | write a-b",
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{\n "name": "abc",\n "inner": {"count": 1,\n           "flag": 7}}', "4:12 inner.flag is 7, where true or false was expected"),
        ('{"name": "abc"}', "1:1 it has no inner"),
        ('{"name": "abc",\n "inner": {}}', "2:2 it has no inner.count"),
        ('{"name": "abc", "inner": {"count": 100}}', "1:27 inner.count is 100, where a whole number from 0 to 99 was expected"),
        ('{"name": "abc", "inner": {"count": 1}, "numbers": [0,\n NaN]}', "2:2 numbers[1] is NaN, where a finite number was expected"),
        ('{"name": "abc", "inner": [[1], {"a": "]"}]}', '1:17 inner is [[1], {"a": "]"}], where an object, as {…} was expected'),
        ('{"name": "abc", "inner": {"count": 1}, "inner": {"count": true}}', "1:50 inner.count is true, where a whole number from 0 to 99"),
        ('{"name": "\\u001b[31m", "inner": {"count": 1}}', '1:2 name is "\\u001b[31m": "\\x1b[31m" cannot be a name'),
        ("[" * 100_000, "1:202 it is not JSON"),
        ('{"name": "abc",\n "inner": [}', "2:12 it is not JSON"),
        ('{"name": 1' + "0" * 9999 + "}", "1:4311 it is not JSON"),
        ("\x00", "1:1 it is not JSON"),
        ("", "1:1 it is not JSON"),
        ("null", "1:1 it is null, where an object, as {…} was expected"),
    ],
)  # fmt: skip
def test_json_is_told_of_at_the_line_of_its_key(text: str, wanted: str) -> None:
    with pytest.raises(Damaged) as caught:
        read_json(Outer, text.encode())
    assert f"{caught.value.line}:{caught.value.column} {caught.value}".startswith(wanted)
    assert str(caught.value).isprintable()


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(Damaged, match="it is not JSON"):
        read_json(Outer, b'{"name": "\xff"}')


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@given(documents, st.sampled_from([None, 0, 2]), st.data())
def test_every_value_of_a_document_is_found_where_it_stands(document: Any, indent: int | None, data: st.DataObject) -> None:
    text = json.dumps(document, indent=indent)
    where: list[str | int] = []
    value = document
    while isinstance(value, dict | list) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(list(value) if isinstance(value, dict) else list(range(len(value)))))
        where.append(key)
        value = value[key]
    found, at = place_of(text, tuple(where))
    assert found == value
    key_or_value = json.dumps(where[-1]) if where and isinstance(where[-1], str) else json.dumps(value, indent=indent).split("\n")[0]
    assert text[at:].startswith(key_or_value)


def test_what_a_json_reader_may_not_do() -> None:
    assert repr(read_json(Outer, b'{"name": "abc", "inner": {"count": 1}, "free": NaN, "more": 3}').free) == repr(nan)
