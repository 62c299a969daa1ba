"""Parameters with types and defaults: what may be written for an operator, and for a block written in YAML.

Both kinds become the same `Signature`, bound by the same `bind`, so they look alike where they are used, in errors, in
the documentation and in an editor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Annotated, Any, NamedTuple

from archc.text.source import Span
from archc.text.suggest import did_you_mean

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()
LARGEST_SIZE = 2**31 - 1
_YES, _NO = ("yes", "on", "true"), ("no", "off", "false", "none")


class Fault(Exception):
    """A user's mistake, found where no text is known: names the culprit; whoever knows the text adds the place.

    span: the place, where it is known after all: in the file of a plugin
    """

    def __init__(self, argument: str | None, message: str, hint: str | None = None, code: str = "A501", span: Span | None = None) -> None:
        super().__init__(message)
        self.argument = argument
        self.message = message
        self.hint = hint
        self.code = code
        self.span = span


@dataclass(frozen=True, slots=True, eq=False)
class Type:
    """What an argument may be. `accept` gives the value in its normal form, or MISSING where it does not fit."""

    name: str
    expected: str
    accept: Callable[[Any], Any]
    schema: dict[str, Any]


class Param(NamedTuple):
    name: str
    type: Type
    default: Any = MISSING
    doc: str = ""

    @property
    def required(self) -> bool:
        return self.default is MISSING


class Signature(NamedTuple):
    """The parameters of one operator or block, in order; the first is the main one: `{conv: 64}`.

    nameless: why no value may stand without a name, where others would take it for something else
    """

    params: dict[str, Param]
    nameless: str = ""

    @property
    def main(self) -> Param | None:
        return None if self.nameless else next(iter(self.params.values()), None)


def bind(signature: Signature, given: Mapping[str, Any], preset: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Every argument in the signature's order and normal form, and what is wrong with those that were given.

    `given` is what was written, `preset` what `defaults` says; names are known to be right.
    """
    bound: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, param in signature.params.items():
        value = given.get(name, MISSING)
        if value is MISSING:
            value = preset.get(name, MISSING)
        if value is MISSING:
            if param.default is MISSING:
                faults.append(Fault(name, f'needs "{name}", {param.type.expected}', code="A403"))
            bound[name] = param.default
            continue
        if value is None and param.default is None:
            bound[name] = None
            continue
        accepted = param.type.accept(value)
        if accepted is MISSING and value is None and not param.required:
            faults.append(Fault(name, f"{name} is null, not {param.type.expected}", "leave it out", "A402"))
        elif accepted is MISSING:
            faults.append(Fault(name, f"{name} is {shown(value)}, not {param.type.expected}", _remedy(value, param.type), "A402"))
        bound[name] = accepted
    return bound, faults


def shown(value: Any, most: int = 40) -> str:
    """A value as its writer would write it."""
    text, room = "", most + 1
    for piece in _pieces(value, room):
        text += piece
        if len(text) >= room:
            return text[: most - 1] + "…"
    return text


def _pieces(value: Any, room: int) -> Iterator[str]:
    """The text of a value bit by bit: whoever has enough of it need not wait for the rest of a long one."""
    if value is None:
        yield "null"
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, str):
        yield f'"{value[:room]}"'
    elif isinstance(value, list | tuple):
        yield "["
        for at, part in enumerate(value):
            yield ", " if at else ""
            yield from _pieces(part, room)
        yield "]"
    elif isinstance(value, dict):
        yield "{"
        for at, (key, part) in enumerate(value.items()):
            yield f"{', ' if at else ''}{str(key)[:room]}: "
            yield from _pieces(part, room)
        yield "}"
    else:
        yield str(value)


def _remedy(value: Any, wanted: Type) -> str | None:
    """What to write instead of a value that is nearly right."""
    sizes, number = wanted.name in ("int", "sizes", "padding", "groups"), wanted.name in ("number", "probability", "factors")
    if isinstance(value, float) and sizes and abs(value) < LARGEST_SIZE:
        return _nearest_whole(value, _least(wanted.schema))
    if sizes and (low := _too_low(value, _least(wanted.schema))) is not None:
        return f"write {_least(wanted.schema)} or more{f' in place of {low}' * isinstance(value, list)}"
    if wanted.name == "probability" and is_int(value, 2) and value <= 100:
        return f"write {value / 100:g} for {value}%"
    if wanted.name == "bool" and isinstance(value, int) and value in (0, 1):
        return f"write {'true' if value else 'false'}"
    if not isinstance(value, str):
        return None
    text = value.strip("\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb")
    if text != value:
        return "these quotation marks are part of the text; YAML uses \" and '"
    if wanted.name == "bool" and text.lower() in (*_YES, *_NO):
        return f"write {str(text.lower() in _YES).lower()}"
    if (sizes or number) and re.fullmatch(r"[-+]?\d+(\.\d*)?", text):
        return "write it without quotes"
    if sizes and re.fullmatch(r"\d{1,3}(,\d{3})+", text):
        return f"write {text.replace(',', '_')}"
    if text.startswith("("):
        return "a list is written [3, 3]"
    if wanted.name in ("sizes", "padding", "factors") and re.fullmatch(r"\d+((\s*[x,]\s*|\s+)\d+)*", text):
        return f"write [{', '.join(re.findall(r'[0-9]+', text))}]"
    if number and re.fullmatch(r"\d+(\.\d*)?\s*%", text):
        return f"write {float(text.rstrip('% ')) / 100:g}"
    return did_you_mean(text, _words(wanted.schema))


def _too_low(value: Any, least: int) -> int | None:
    """The first whole number below the least one, of a value or among the first of a list; no sizes are so many that more matter."""
    return next((part for part in (value[:100] if isinstance(value, list) else [value]) if is_int(part) and part < least), None)


def _nearest_whole(value: float, least: int) -> str:
    """The whole numbers around a number, and how an expression is rounded to one."""
    if value.is_integer():
        return f"write {int(value)}, or int(…) in an expression"
    near = " or ".join(str(number) for number in (floor(value), ceil(value)) if number >= least)
    return f"write {near or f'{least} or more'}; an expression is rounded by int(…), round(…) or round_to(…, 8)"


def _least(schema: Mapping[str, Any]) -> int:
    """The least whole number that a schema allows."""
    found = [_least(choice) for choice in schema.get("anyOf", ()) if choice.get("type") != "array" and "enum" not in choice]
    return min(found) if found else int(schema.get("minimum", -LARGEST_SIZE))


def _words(schema: Mapping[str, Any]) -> list[str]:
    """The words that a schema allows."""
    return [*schema.get("enum", ()), *(word for choice in schema.get("anyOf", ()) for word in _words(choice))]


def is_int(value: Any, least: int = -LARGEST_SIZE) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST_SIZE


def integer(least: int = 0) -> Type:
    """A whole number from `least` up."""
    expected = f"a whole number from {least} up" if least > -LARGEST_SIZE else "a whole number"
    schema = {"type": "integer"} | ({"minimum": least} if least > -LARGEST_SIZE else {})
    return Type("int", expected, lambda v: v if is_int(v, least) else MISSING, schema)


def real(least: float | None = None, most: float | None = None) -> Type:
    """A number, within bounds if they are given."""

    def accept(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return MISSING
        fits = (least is None or value >= least) and (most is None or value <= most)
        return value if fits else MISSING

    upper = "a number" if most is None else f"a number up to {most:g}"
    expected = upper if least is None else f"a number from {least:g} " + ("up" if most is None else f"to {most:g}")
    schema: dict[str, Any] = {"type": "number"}
    schema |= {"minimum": least} if least is not None else {}
    schema |= {"maximum": most} if most is not None else {}
    return Type("number", expected, accept, schema)


def one_of(*words: str) -> Type:
    """One of some words."""
    expected = "one of " + ", ".join(words)
    return Type("str", expected, lambda v: v if v in words and isinstance(v, str) else MISSING, {"enum": list(words)})


def or_words(of: Type, words: Mapping[str, float]) -> Type:
    """A number, or one of some words, which stand for numbers that no text has."""

    def accept(value: Any) -> Any:
        return words.get(value, MISSING) if isinstance(value, str) else of.accept(value)

    expected = f"{of.expected} or {' or '.join(words)}"
    return Type(of.name, expected, accept, {"anyOf": [of.schema, {"enum": list(words)}]})


def items(of: Type) -> Type:
    """A list of values of one type."""

    def accept(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return MISSING
        accepted = tuple(of.accept(part) for part in value)
        return MISSING if any(part is MISSING for part in accepted) else accepted

    return Type("list", f"a list, each {of.expected}", accept, {"type": "array", "items": of.schema})


def either(*types: Type) -> Type:
    """The first type that accepts the value."""

    def accept(value: Any) -> Any:
        return next((ok for type_ in types if (ok := type_.accept(value)) is not MISSING), MISSING)

    expected = " or ".join(type_.expected for type_ in types)
    return Type(types[0].name, expected, accept, {"anyOf": [type_.schema for type_ in types]})


def per_axis(least: int) -> Type:
    """A whole number, or a list with one a spatial axis."""

    def accept(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(value) if value and all(is_int(part, least) for part in value) else MISSING
        return value if is_int(value, least) else MISSING

    number = {"type": "integer", "minimum": least}
    schema = {"anyOf": [number, {"type": "array", "items": number, "minItems": 1, "maxItems": 3}]}
    return Type("sizes", f"a whole number from {least} up, or a list with one for each axis", accept, schema)


def per_side(*words: str) -> Type:
    """A padding: a whole number, a list with one or a pair (before, after) for each spatial axis, or one of some words."""

    def side(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value if is_int(value, 0) else MISSING
        if len(value) != 2 or not all(is_int(part, 0) for part in value):
            return MISSING
        return value[0] if value[0] == value[1] else tuple(value)

    def accept(value: Any) -> Any:
        if isinstance(value, str):
            return value if value in words else MISSING
        if not isinstance(value, list | tuple):
            return side(value)
        sides = tuple(map(side, value))
        return sides if sides and MISSING not in sides else MISSING

    number = {"type": "integer", "minimum": 0}
    pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    sides = {"type": "array", "items": {"anyOf": [number, pair]}, "minItems": 1, "maxItems": 3}
    expected = "a whole number from 0 up, or a list with one, or [before, after], for each axis"
    schema = {"anyOf": [{"enum": list(words)}, {"anyOf": [number, sides]}]}
    return Type("padding", f"{expected}, or {' or '.join(words)}", accept, schema)


def factors() -> Type:
    """A number above 0, or a list with one a spatial axis."""

    def fits(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LARGEST_SIZE

    def accept(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(map(_plain, value)) if value and all(map(fits, value)) else MISSING
        return _plain(value) if fits(value) else MISSING

    number = {"type": "number", "exclusiveMinimum": 0}
    schema = {"anyOf": [number, {"type": "array", "items": number, "minItems": 1, "maxItems": 3}]}
    return Type("factors", "a number above 0, or a list with one for each axis", accept, schema)


def _plain(value: float) -> float:
    """2 for 2.0: a whole factor is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _words_or(type_: Type, name: str, *words: str) -> Type:
    return Type(name, f"{type_.expected}, or {' or '.join(words)}", either(one_of(*words), type_).accept,
                {"anyOf": [{"enum": list(words)}, type_.schema]})  # fmt: skip


BROKEN = Type("unknown", "anything", lambda value: value, {})  # of a parameter whose type could not be read
ANY = Type("any", "anything", lambda value: value, {})
FLAG = Type("bool", "true or false", lambda v: v if isinstance(v, bool) else MISSING, {"type": "boolean"})
TEXT = Type("str", "a text", lambda v: v if isinstance(v, str) else MISSING, {"type": "string"})
LIST = Type("list", "a list", lambda v: v if isinstance(v, list | tuple) else MISSING, {"type": "array"})
LAYER = Type("layer", "a layer, as in `relu` or `{leaky_relu: 0.1}`", lambda v: v, {"$ref": "#/$defs/entry"})

# The types as annotations of operators: what a type checker sees, and what archc accepts.
Size = Annotated[int, integer(1)]
Count = Annotated[int, integer(0)]
Index = Annotated[int, integer(-LARGEST_SIZE)]
Real = Annotated[float, real()]
Positive = Annotated[float, real(0)]
Probability = Annotated[float, replace(real(0, 1), name="probability")]
Flag = Annotated[bool, FLAG]
Sizes = Annotated[int | tuple[int, ...], per_axis(1)]
Factors = Annotated[float | tuple[float, ...], factors()]
Counts = Annotated[int | tuple[int, ...], per_axis(0)]
Indices = Annotated[tuple[int, ...], items(integer(-LARGEST_SIZE))]
Padding = Annotated[int | tuple[int | tuple[int, int], ...] | str, per_side("same", "same_upper", "causal")]
Groups = Annotated[int | str, _words_or(integer(1), "groups", "depthwise")]

# The types that a block's signature may name.
NAMED: dict[str, Type] = {
    "int": integer(-LARGEST_SIZE),
    "float": Type("number", "a number", real().accept, {"type": "number"}),
    "number": real(),
    "bool": FLAG,
    "str": TEXT,
    "list": LIST,
    "layer": LAYER,
    "any": ANY,
}
