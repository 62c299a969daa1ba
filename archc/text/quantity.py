"""Quantities, read and written in one way everywhere: `5M`, `24 GiB`, `<= 5M +- 1%`, `3.4e9`, `312 TFLOP/s`.

    quantity: [comparison] amount [("+-" | "±" | "+/-") (number "%" | amount)]
    amount: number [unit]
    comparison: "<=" | "<" | ">=" | ">" | "=="

K, M, G (or B, of counts) and T are powers of 1,000, KiB, MiB, GiB and TiB those of 1,024. Case does not matter, but for rates, where
Gb/s are bits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

COMPARISONS = ("<=", ">=", "<", ">", "==")
LARGEST_SIZE = 2**60  # bytes
_NUMBER = r"[0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?"
_QUANTITY = (
    rf"\s*(?P<sign>[<>=!~]*)\s*(?P<number>{_NUMBER})\s*(?P<unit>[^\W\d_][^\W\d_/]*(?:/s)?)?\s*"
    rf"(?:(?:\+-|±|\+/-)\s*(?P<slack>{_NUMBER})\s*(?P<slack_unit>%|[^\W\d_]*)\s*)?\Z"
)
_DECIMAL = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


class Units(NamedTuple):
    """Units of one kind, with how much each is. `other` may be written as well; `cased`: their case matters."""

    example: str
    names: Mapping[str, float]
    other: Mapping[str, float] = {}
    cased: bool = False

    def scale(self, unit: str) -> float | None:
        """How much one of a unit is; None where it is none of these."""
        found = {**self.other, **self.names}
        return found.get(unit) if self.cased else {name.lower(): scale for name, scale in found.items()}.get(unit.lower())


COUNT = Units("5M", _DECIMAL, {"B": 1e9})
BYTES = Units(
    "40 GiB",
    {f"{prefix}B": scale for prefix, scale in {**_DECIMAL, **_BINARY}.items()},
    {prefix: scale for prefix, scale in _DECIMAL.items() if prefix},
)
BANDWIDTH = Units("1555 GB/s", {f"{unit}/s": scale for unit, scale in BYTES.names.items()}, cased=True)
FLOPS = Units("19.5 TFLOP/s", {f"{prefix}FLOP/s": scale for prefix, scale in _DECIMAL.items()})


class QuantityParts(NamedTuple):
    """A quantity as it was written, with what is wrong with its units left to the reader. `slack` is empty where none was written."""

    sign: str
    number: str
    unit: str
    slack: str
    slack_unit: str

    def amount(self, scale: float) -> float:
        """The number, of units of a scale."""
        return round(_value(self.number) * scale, 6)

    def rounding(self, scale: float) -> float:
        """Half of a unit of the last digit: `4.1G` is what rounds to it. A whole number without a unit is exact."""
        mantissa, _, power = self.number.lower().partition("e")
        places = len(mantissa.partition(".")[2])
        return 0.0 if scale == 1 and not places and not power else scale * 10.0 ** (int(power or 0) - places) / 2


def parts(text: str) -> QuantityParts | None:
    """The parts of a text that may be a quantity; None where it is none in any unit."""
    match = re.match(_QUANTITY, text)
    return QuantityParts(*(match[name] or "" for name in ("sign", "number", "unit", "slack", "slack_unit"))) if match else None


class Quantity(NamedTuple):
    """A bound: figures that compare so with `value`, give or take `slack`; without a comparison, those that are it or round to it."""

    sign: str
    value: float
    slack: float

    def allows(self, low: float, high: float | None) -> bool:
        """Whether all from `low` to `high` is within the bound; None is without end."""
        if self.sign in (">", ">="):
            return low > self.value - self.slack if self.sign == ">" else low >= self.value - self.slack
        most = self.value + self.slack
        if high is None or self.sign in ("<", "<="):
            return high is not None and (high < most if self.sign == "<" else high <= most)
        return self.value - self.slack <= low and high <= most


def read(text: str, units: Units = COUNT, bare: float = 1.0) -> Quantity | None:
    """A quantity; None where it is none in these units. `bare` is how much one is where no unit is written."""
    found = parts(text)
    if found is None or found.sign not in ("", *COMPARISONS):
        return None
    scale = units.scale(found.unit) if found.unit else bare
    slack = slack_of(found, scale, units, bare) if scale is not None else None
    return Quantity(found.sign, found.amount(scale), slack) if scale is not None and slack is not None else None


def slack_of(found: QuantityParts, scale: float, units: Units, bare: float = 1.0) -> float | None:
    """What was written after `+-`, or else what rounds to the number where nothing else is compared; None for another unit."""
    if not found.slack:
        return 0.0 if found.sign not in ("", "==") else found.rounding(scale)
    if found.slack_unit == "%":
        return _value(found.slack) / 100 * found.amount(scale)
    unit_size = units.scale(found.slack_unit) if found.slack_unit else bare
    return None if unit_size is None else _value(found.slack) * unit_size


def read_amount(text: str, units: Units, bare: float | None = None) -> float | None:
    """An amount alone: without a comparison or a slack, and with a unit unless `bare` says what is meant."""
    found = parts(text)
    if found is None or found.sign or found.slack:
        return None
    scale = units.scale(found.unit) if found.unit else bare
    return None if scale is None else _value(found.number) * scale


def read_size(text: str) -> int | None:
    """The bytes of a memory, from 1 up; a bare number is GiB. None where it states none.

    A bare 24e9 is none: whoever writes powers of ten means bytes.
    """
    size = read_amount(text, BYTES, bare=None if "e" in text.lower() else 2.0**30)
    return int(size) if size is not None and 1 <= size < LARGEST_SIZE else None


def reading(text: str) -> str:
    """How a size was read: `24GB is 24,000,000,000 bytes`."""
    return f"{text.strip()} is {read_size(text) or 0:,} bytes"


def _value(number: str) -> float:
    return float(number.replace("_", "").replace(",", ""))


def short(value: int, digits: int = 3) -> str:
    """`4.09G`: a count to some significant digits."""
    for prefix, scale in reversed(_DECIMAL.items()):
        if prefix and abs(value) >= scale:
            return f"{_significant(value / scale, digits)}{prefix}"
    return str(value)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 layer`, `1,238 layers`: a count with its noun; `many` is the plural where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def bytes_text(value: int) -> str:
    """`12.3 MiB`."""
    for prefix, scale in reversed(_BINARY.items()):
        if abs(value) >= scale:
            return f"{_significant(value / scale, 3)} {prefix}B"
    return f"{value} B"


def _significant(value: float, digits: int) -> str:
    places = len(str(int(abs(value))))
    return f"{value:.{max(digits - places, 0)}f}"


def rate_text(value: float, unit: str) -> str:
    """`1.56 TB/s`: three significant digits, powers of ten."""
    for prefix, scale in reversed(_DECIMAL.items()):
        if value >= scale:
            return f"{_three(value / scale)} {prefix}{unit}/s"
    return f"{value:.3g} {unit}/s"


def time_text(seconds: float) -> str:
    """`12.3 µs`: three significant digits."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= 0.9995 * scale:
            return f"{_three(seconds / scale)} {unit}"
    return f"{_three(seconds / 1e-9)} ns" if seconds else "0"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
