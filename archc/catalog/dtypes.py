"""Dtypes: the bytes of a value, and the words that people write for them."""

from __future__ import annotations

from collections.abc import Collection

# tf32 is float32 in memory, multiplied with 10 bits of mantissa.
BYTES = {
    "float64": 8,
    "float32": 4,
    "tf32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
FLOATS = ("float32", "float64", "float16", "bfloat16")  # what a network trains in
NETWORK = {name: BYTES[name] for name in (*FLOATS, "int8")}  # what its weights and values can be kept in
ARITHMETIC = {name: BYTES[name] for name in ("float64", "float32", "tf32", "float16", "bfloat16")}  # what a device has a rate for
_WORDS = {
    "float32": ("fp32", "f32"),
    "float64": ("fp64", "f64", "double"),
    "float16": ("fp16", "f16", "half"),
    "bfloat16": ("bf16",),
}
_NAMES = {word: name for name, words in _WORDS.items() for word in words}


def dtype_name(text: str, names: Collection[str] = NETWORK) -> str | None:
    """A dtype's full name, from that or a shorter word for it; None where it is none of those that are `there`."""
    name = _NAMES.get(text, text)
    return name if name in names else None


def words_of(name: str) -> tuple[str, ...]:
    """All that may be written for a dtype, its full name first."""
    return name, *_WORDS.get(name, ())
