"""What an argument of a recipe may be: numbers within bounds, pairs, words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import isfinite
from typing import Any

from archc.signature import MISSING, Param, Signature, Type, is_int, one_of

MOST_PATTERN = 400  # characters
PRECISIONS = {
    "float32": ("float32", "fp32"),
    "bfloat16": ("bfloat16", "bf16"),
    "float16": ("float16", "fp16"),
    "float64": ("float64", "fp64"),
}


def takes(**params: tuple[Type, Any, str]) -> Signature:
    """A signature from (type, default, meaning)."""
    return Signature({name: Param(name, kind, default, doc) for name, (kind, default, doc) in params.items()})


def number(*, above: float | None = None, least: float | None = None, below: float | None = None, most: float | None = None) -> Type:
    """A finite number; `above` and `below` are bounds that it may not take."""

    def accept(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            return MISSING
        low = (above is None or value > above) and (least is None or value >= least)
        high = (below is None or value < below) and (most is None or value <= most)
        return float(value) if low and high else MISSING

    lower = f"above {above:g}" if above is not None else f"from {least:g}" if least is not None else ""
    closed = "to" if least is not None else "at most"
    upper = f"below {below:g}" if below is not None else f"{closed} {most:g}" if most is not None else "up" if least is not None else ""
    comma = "," if lower and (below is not None or (above is not None and most is not None)) else ""
    expected = " ".join(filter(None, ["a number", lower + comma, upper]))
    bounds = {"exclusiveMinimum": above, "minimum": least, "exclusiveMaximum": below, "maximum": most}
    schema = {"type": "number"} | {name: bound for name, bound in bounds.items() if bound is not None}
    return Type("number", expected, accept, schema)


def count(least: int, most: int) -> Type:
    """A whole number within bounds."""
    schema = {"type": "integer", "minimum": least, "maximum": most}
    expected = f"a whole number from {least:,} to {most:,}"
    return Type("int", expected, lambda v: v if is_int(v, least) and v <= most else MISSING, schema)


def pair(of: Type, rising: bool = False) -> Type:
    """Two values of one type; `rising`: the first is no larger than the second."""

    def accept(value: Any) -> Any:
        both = tuple(of.accept(one) for one in value) if isinstance(value, list | tuple) and len(value) == 2 else (MISSING,)
        return MISSING if MISSING in both or (rising and both[0] > both[1]) else both

    expected = f"a list of two, {'the smaller first, ' if rising else ''}each {of.expected}"
    return Type("list", expected, accept, {"type": "array", "items": of.schema, "minItems": 2, "maxItems": 2})


def _same_twice(value: Any) -> Any:
    sizes = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
    return sizes if len(sizes) == 2 and all(is_int(size, 1) and size <= MOST_SIZE for size in sizes) else MISSING


def _epochs(value: Any) -> Any:
    found = tuple(_POSITIVE.accept(one) for one in value) if isinstance(value, list | tuple) else ()
    fits = found and MISSING not in found and all(a < b for a, b in pairwise(found))
    return found if fits else MISSING


def _word(names: Mapping[str, tuple[str, ...]]) -> Callable[[Any], Any]:
    known = {word: name for name, words in names.items() for word in words}
    return lambda value: known.get(value, MISSING) if isinstance(value, str) else MISSING


def optional_text(expected: str) -> Type:
    return Type("str", expected, lambda v: v if isinstance(v, str) and v.strip() else MISSING, {"type": "string", "minLength": 1})


MOST_SIZE = 65_536
_POSITIVE = number(above=0)
POSITIVE = _POSITIVE
FRACTION = number(least=0, most=1)
FROM_ZERO = number(least=0)
BELOW_ONE = number(least=0, below=1)
_SIDE = {"type": "integer", "minimum": 1, "maximum": MOST_SIZE}
SIZE = Type(
    "sizes",
    f"a whole number from 1 to {MOST_SIZE:,}, or height and width in a list",
    _same_twice,
    {"anyOf": [_SIDE, {"type": "array", "items": _SIDE, "minItems": 2, "maxItems": 2}]},
)
EPOCHS = Type(
    "list",
    "a list of epochs, numbers above 0, each larger than the one before it",
    _epochs,
    {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1},
)
MOST_BATCH = 1_000_000
BATCH = Type(
    "int",
    f"a whole number from 1 to {MOST_BATCH:,}, or fit",
    lambda v: 0 if v == "fit" else v if is_int(v, 1) and v <= MOST_BATCH else MISSING,
    {"anyOf": [{"enum": ["fit"]}, {"type": "integer", "minimum": 1, "maximum": MOST_BATCH}]},
)
PRECISION = Type(
    "str",
    "one of float32, bfloat16 (bf16), float16 (fp16), float64",
    _word(PRECISIONS),
    {"enum": [word for words in PRECISIONS.values() for word in words]},
)
MONITOR = one_of("accuracy", "loss")
