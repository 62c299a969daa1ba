"""Signatures written down in Python: arguments that are numbers within bounds or pairs of them, and choices out of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from archc.signature.signature import MISSING, Fault, Param, Signature, Type, is_int

Check = Callable[[Mapping[str, Any]], Fault | None]


class Choice(NamedTuple):
    """One of a table: what it is, what may be written, and a Fault where arguments that are each right do not go together."""

    doc: str
    signature: Signature
    check: Check = lambda arguments: None

    def defaults(self) -> dict[str, Any]:
        """Every argument that has a default."""
        return {name: param.default for name, param in self.signature.params.items() if param.default is not MISSING}


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
        both = tuple(of.accept(item) for item in value) if isinstance(value, list | tuple) and len(value) == 2 else (MISSING,)
        return MISSING if MISSING in both or (rising and both[0] > both[1]) else both

    expected = f"a list of two, {'the smaller first, ' if rising else ''}each {of.expected}"
    return Type("list", expected, accept, {"type": "array", "items": of.schema, "minItems": 2, "maxItems": 2})


POSITIVE = number(above=0)
FRACTION = number(least=0, most=1)
FROM_ZERO = number(least=0)
BELOW_ONE = number(least=0, below=1)
