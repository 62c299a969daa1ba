"""What a dataclass says of the data that it is read from: the types of its fields, with limits, units and names as marks.

`Annotated[float, Range(least=0)]` describes a value for pydantic (checked.py) and for the reader without it (plain.py) alike.
Nothing here imports pydantic: it asks a mark for the schema of the value that the mark stands at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from math import inf, isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from archc.text.quantity import Units, read_amount

LARGEST = 2**53  # beyond this, JSON readers lose digits


class Unreadable(ValueError):
    """A value that a mark cannot read: what is wrong with it, what would be right, and the code of the diagnostic."""

    def __init__(self, message: str, hint: str, code: str = "A402") -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code


@dataclass(frozen=True, slots=True)
class Range:
    """A finite number from `least` to `most`; above `least` where that is excluded."""

    least: float = -inf
    most: float = inf
    excluded: bool = False

    def holds(self, value: float) -> bool:
        return isfinite(value) and (value > self.least or (value == self.least and not self.excluded)) and value <= self.most

    def __str__(self) -> str:
        if self.least == -inf:
            return ""
        beginning = f"{'above' if self.excluded else 'from'} {_plain(self.least)}"
        return f"{beginning} to {_plain(self.most)}" if self.most < LARGEST else beginning if self.excluded else f"{beginning} up"

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        schema = handler(source)
        for choice in schema.get("choices", [schema]):
            if self.least > -inf:
                choice["gt" if self.excluded else "ge"] = int(self.least) if choice["type"] == "int" else self.least
            if self.most < inf:
                choice["le"] = int(self.most) if choice["type"] == "int" else self.most
            if choice["type"] == "float":
                choice["allow_inf_nan"] = False
        return schema


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 10_000 else f"{value:g}"


@dataclass(frozen=True, eq=False)
class Amount:
    """A number that may be written as a text with a unit. One of bytes is `whole`."""

    units: Units
    whole: bool = False

    def number(self, value: Any) -> Any:
        """The number of a text. What is neither text nor number is left for others to refuse. Raises Unreadable."""
        if isinstance(value, str):
            text, value = value, read_amount(value, self.units)
            if value is None:
                hint = f'write it as "{self.units.example}"; the units are {", ".join(self.units.names)}'
                raise Unreadable(f'"{text}" is not a quantity that is possible here', hint)
        return int(value) if self.whole and isinstance(value, float) and isfinite(value) else value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.number, handler(source))


@dataclass(frozen=True)
class OneOf:
    """A text that is one of some names."""

    names: tuple[str, ...]

    def holds(self, value: str) -> bool:
        return value in self.names

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.literal_schema(list(self.names))


@dataclass(frozen=True)
class Match:
    """A text of a certain form; `means` says it in words."""

    pattern: re.Pattern[str]
    means: str

    def matched(self, value: str) -> str:
        if self.pattern.fullmatch(value) is None:
            raise Unreadable(f'"{value}" cannot be a name', self.means, "A306")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.matched, handler(source))


@dataclass(frozen=True)
class Read:
    """A value that has a reader of its own, which raises Unreadable."""

    reader: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.reader)


@dataclass(frozen=True, eq=False)
class Entries:
    """A mapping of which some keys, where they are there, hold values of types of their own. For files with room for unknown keys."""

    types: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        known = {name: core_schema.typed_dict_field(handler.generate_schema(inner), required=False) for name, inner in self.types.items()}
        others = handler.generate_schema(get_args(source)[1])
        return core_schema.typed_dict_schema(known, extras_schema=others, extra_behavior="allow")


Mark = Range | Amount | OneOf | Match | Read | Entries


@dataclass(frozen=True)
class Shape:
    """A type, taken apart: its bare type, its marks, and whether it may be null."""

    bare: Any
    marks: tuple[Mark, ...] = ()
    optional: bool = False

    @property
    def kind(self) -> str:
        """object, list, text, flag, whole number, number or any."""
        if is_dataclass(self.bare) or get_origin(self.bare) is dict:
            return "object"
        if get_origin(self.bare) is tuple:
            return "list"
        return {str: "text", bool: "flag", int: "whole number", float: "number", int | float: "number"}.get(self.bare, "any")

    def mark(self, kind: type[Any]) -> Any:
        """The mark of a kind, or None."""
        return next((mark for mark in self.marks if isinstance(mark, kind)), None)

    @property
    def fields(self) -> dict[str, Shape]:
        """Those of a dataclass, by name."""
        described: Any = self.bare
        return shapes(described)

    def inner(self, key: str | int) -> Shape:
        """That of what stands under a key, or at a place of a list."""
        if is_dataclass(self.bare):
            return self.fields.get(str(key), Shape(Any))
        if self.kind in ("object", "list"):
            entries = self.mark(Entries)
            own = entries.types.get(key) if entries else None
            return taken_apart(own if own is not None else get_args(self.bare)[1 if self.kind == "object" else 0])
        return Shape(Any)

    def key(self) -> Shape:
        """That of the keys of a mapping."""
        return taken_apart(get_args(self.bare)[0])

    def names(self) -> tuple[str, ...]:
        """The keys that there can be; none where any can."""
        if is_dataclass(self.bare):
            return tuple(self.fields)
        named = self.key().mark(OneOf)
        return named.names if named else ()


def taken_apart(hint: Any) -> Shape:
    """A type as its parts."""
    marks: tuple[Mark, ...] = ()
    optional = False
    while True:
        if get_origin(hint) is Annotated:
            hint, *found = get_args(hint)
            marks = (*found, *marks)
        elif get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint):
            left = [arg for arg in get_args(hint) if arg is not NoneType]
            hint, optional = (left[0] if len(left) == 1 else Union[tuple(left)]), True  # noqa: UP007 - of a list, at run time
        else:
            return Shape(hint, marks, optional)


@cache
def shapes(described: type[Any]) -> dict[str, Shape]:
    """The fields of a dataclass by name."""
    hints = get_type_hints(described, include_extras=True)
    return {field.name: taken_apart(hints[field.name]) for field in fields(described)}


@cache
def required_fields(described: type[Any]) -> frozenset[str]:
    """The fields of a dataclass that have no default."""
    return frozenset(field.name for field in fields(described) if not _has_default(field))


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING
