"""Quantities as people write them: `40 GiB`, `1555 GB/s`, `19.5 TFLOP/s`; and as they are shown."""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?) ?([A-Za-z/]+)\Z")
_POWERS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {f"{letter}i": 2.0 ** (10 * power) for power, letter in enumerate("KMGT", 1)}

BYTES = {f"{prefix}B": factor for prefix, factor in {**_POWERS, **_BINARY}.items()}
BANDWIDTH = {f"{unit}/s": factor for unit, factor in BYTES.items()}
FLOPS = {f"{prefix}FLOP/s": factor for prefix, factor in _POWERS.items()}
EXAMPLES = {id(BYTES): "40 GiB", id(BANDWIDTH): "1555 GB/s", id(FLOPS): "19.5 TFLOP/s"}


def read_quantity(text: str, units: dict[str, float]) -> float | None:
    """The number that a text states in one of the units; None where it is no such text."""
    found = _QUANTITY.match(text)
    if found is None or found[2] not in units:
        return None
    return float(found[1]) * units[found[2]]


def rate_text(value: float, unit: str) -> str:
    """`1.56 TB/s`: three significant digits, powers of ten."""
    for prefix, factor in reversed(_POWERS.items()):
        if value >= factor:
            return f"{_three(value / factor)} {prefix}{unit}/s"
    return f"{value:.3g} {unit}/s"


def time_text(seconds: float) -> str:
    """`12.3 µs`: three significant digits."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= 0.9995 * factor:
            return f"{_three(seconds / factor)} {unit}"
    return f"{_three(seconds / 1e-9)} ns" if seconds else "0"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
