"""A description read by pydantic, whose errors become faults."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from archc.validation.description import Shape, taken_apart
from archc.validation.faults import DataFault, Where


@cache
def _adapter(described: Any) -> TypeAdapter[Any]:
    return TypeAdapter(described)


class NotJson(ValueError):
    """A text that is no JSON, from this line and column on."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        place = re.search(r"at line (\d+) column (\d+)", said)
        self.line, self.column = (int(place[1]), max(int(place[2]), 1)) if place else (1, 1)


def read(described: Any, text: str | bytes, closed: bool, faults: list[DataFault]) -> Any:
    """The value that a JSON text describes; what is wrong is added to `faults`. Raises NotJson."""
    try:
        return _adapter(described).validate_json(text, strict=True, extra="forbid" if closed else None)
    except ValidationError as errors:
        found = errors.errors(include_url=False)
    if found[0]["type"] == "json_invalid":
        raise NotJson(found[0]["ctx"]["error"])
    top = taken_apart(described)
    made = [_fault(top, error) for error in found]
    unknown = {fault.where for fault in made if fault.kind == "unknown"}
    reported = [fault for fault in made if not any(fault.where[:length] in unknown for length in range(len(fault.where)))]
    faults += {fault.where: fault for fault in reported if fault.kind == "unknown" or fault.where not in unknown}.values()
    return None


def _fault(top: Shape, error: Any) -> DataFault:
    location: tuple[str | int, ...] = error["loc"]
    kind: str = error["type"]
    if location and location[-1] == "[key]":
        outer, where = _follow(top, location[:-2])
        return DataFault((*where, location[-2]), "unknown", outer, error["input"])
    if kind in ("missing", "missing_argument", "unexpected_keyword_argument", "extra_forbidden"):
        outer, where = _follow(top, location[:-1])
        return DataFault((*where, location[-1]), "missing" if kind.startswith("missing") else "unknown", outer, error["input"])
    shape, where = _follow(top, location)
    if kind == "value_error":
        return DataFault(where, "unreadable", shape, error["input"], error["ctx"]["error"])
    limit = isinstance(error["input"], str) if kind == "literal_error" else kind.startswith(("greater_than", "less_than", "finite_number"))
    return DataFault(where, "limit" if limit else "type", shape, error["input"])


def _follow(shape: Shape, location: tuple[str | int, ...]) -> tuple[Shape, Where]:
    """The shape that a location leads to. It ends at the first value that holds no others: what follows names a choice of a union."""
    for at, key in enumerate(location):
        if shape.kind not in ("object", "list"):
            return shape, location[:at]
        shape = shape.inner(key)
    return shape, location
