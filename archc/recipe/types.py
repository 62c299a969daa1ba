"""What an argument of a recipe may be, beside numbers and pairs: sizes, epochs, a batch, words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from archc.catalog.dtypes import FLOATS, words_of
from archc.signature import MISSING, Type, is_int, one_of
from archc.signature.choices import POSITIVE

MOST_PATTERN = 400  # characters
PRECISIONS = {name: words_of(name)[:2] for name in FLOATS}  # its name, or fp16, bf16, …


def _same_twice(value: Any) -> Any:
    sizes = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
    return sizes if len(sizes) == 2 and all(is_int(size, 1) and size <= MOST_SIZE for size in sizes) else MISSING


def _epochs(value: Any) -> Any:
    found = tuple(POSITIVE.accept(number) for number in value) if isinstance(value, list | tuple) else ()
    fits = found and MISSING not in found and all(a < b for a, b in pairwise(found))
    return found if fits else MISSING


def _word(names: Mapping[str, tuple[str, ...]]) -> Callable[[Any], Any]:
    known = {word: name for name, words in names.items() for word in words}
    return lambda value: known.get(value, MISSING) if isinstance(value, str) else MISSING


def optional_text(expected: str) -> Type:
    return Type("str", expected, lambda v: v if isinstance(v, str) and v.strip() else MISSING, {"type": "string", "minLength": 1})


MOST_SIZE = 65_536
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
