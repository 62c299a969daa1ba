"""A description read without pydantic: the files that ship, and all others where pydantic's compiled core is not there."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

from archc.validation.description import Amount, Match, OneOf, Range, Read, Shape, Unreadable, required_fields
from archc.validation.faults import DataFault, Where


def read(shape: Shape, data: Any, closed: bool, faults: list[DataFault], where: Where = ()) -> Any:
    """The value that data of JSON's kinds describes; what is wrong is added to `faults`. Unknown keys are wrong where it is `closed`."""
    if data is None and shape.optional:
        return None
    try:
        if (own := shape.mark(Read)) is not None:
            return own.reader(data)
        if (quantity := shape.mark(Amount)) is not None:
            data = quantity.number(data)
        if isinstance(data, str) and (form := shape.mark(Match)) is not None:
            return form.matched(data)
    except Unreadable as why:
        faults.append(DataFault(where, "unreadable", shape, data, why))
        return None
    if not _is_of_kind(shape.kind, data):
        faults.append(DataFault(where, "type", shape, data))
        return None
    if shape.kind == "object":
        return (_fields if is_dataclass(shape.bare) else _entries)(shape, data, closed, faults, where)
    if shape.kind == "list":
        return tuple(read(shape.inner(at), value, closed, faults, (*where, at)) for at, value in enumerate(data))
    if any(not mark.holds(data) for mark in shape.marks if isinstance(mark, Range | OneOf)):
        faults.append(DataFault(where, "limit", shape, data))
        return None
    return float(data) if shape.bare is float else data


def _is_of_kind(kind: str, data: Any) -> bool:
    match kind:
        case "object":
            return isinstance(data, dict)
        case "list":
            return isinstance(data, list)
        case "text":
            return isinstance(data, str)
        case "flag":
            return isinstance(data, bool)
        case "whole number":
            return isinstance(data, int) and not isinstance(data, bool)
        case "number":
            return isinstance(data, int | float) and not isinstance(data, bool)
    return True


def _fields(shape: Shape, data: dict[str, Any], closed: bool, faults: list[DataFault], where: Where) -> Any:
    known, before = shape.fields, len(faults)
    if closed:
        faults += [DataFault((*where, name), "unknown", shape, data[name]) for name in data if name not in known]
    faults += [DataFault((*where, name), "missing", shape) for name in known if name in required_fields(shape.bare) - data.keys()]
    values = {name: read(description, data[name], closed, faults, (*where, name)) for name, description in known.items() if name in data}
    return shape.bare(**values) if len(faults) == before else None


def _entries(shape: Shape, data: dict[str, Any], closed: bool, faults: list[DataFault], where: Where) -> Any:
    names = shape.key().mark(OneOf)
    if names is not None:
        faults += [DataFault((*where, name), "unknown", shape, value) for name, value in data.items() if not names.holds(name)]
        data = {name: value for name, value in data.items() if names.holds(name)}
    return {name: read(shape.inner(name), value, closed, faults, (*where, name)) for name, value in data.items()}
