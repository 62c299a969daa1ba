"""Rows of a `for`: which arguments are one value, which a column, and what the first copy of a row has for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archc.folding.calls import Call, Row, Written, argument_text
from archc.folding.rising import Rise
from archc.language.functions import FUNCTIONS
from archc.text.writing import text_of

SHORT = {"channels": "c", "stride": "s", "expand": "t", "kernel": "k", "features": "f", "mid": "m", "count": "n"}
WIDEST = 120  # of a line with the columns of a `for`


class Columns:
    """The columns of a `for` over rows, and the call with their names in it."""

    def __init__(self, rows: Sequence[Row], numbers: Sequence[int] = ()) -> None:
        """numbers: those of the labels, as a column `i`"""
        self.columns: dict[str, list[Any]] = {"i": list(numbers)} if numbers else {}
        first = rows[0].first
        names = list(dict.fromkeys(name for row in rows for call in (row.first, row.rest) for name in call.args))
        self.call = Call(first.kind, {name: value for name in names if (value := self._argument(rows, name)) is not _DEFAULT})
        counts = [row.count for row in rows]
        self.repeat: str | None = None
        if len(set(counts)) > 1:
            self.repeat = f"${self._add('n', counts)}"
        elif counts[0] > 1:
            self.repeat = str(counts[0])

    def _argument(self, rows: Sequence[Row], name: str) -> Any:
        first = [row.first.value(name) for row in rows]
        if isinstance(first[0], Rise):
            return Written(first[0].text(self._place([value.at for value in first], rows)))
        rest = [row.rest.value(name) for row in rows if row.count > 1]
        if all(value == first[0] for value in [*first, *rest]):
            return first[0]
        apart = any(row.rest.value(name) != row.first.value(name) for row in rows)
        if len(rows) == 1:
            return Written(f"${{{_inside(first[0])} if first else {_inside(rest[0])}}}")
        column = self._add(SHORT.get(name, name), first)
        if not apart:
            return Written(f"${column}")
        if all(value == rest[0] for value in rest):
            return Written(f"${{{column} if first else {_inside(rest[0])}}}")
        other = self._add(f"{column}_rest", [row.rest.value(name) for row in rows])
        return Written(f"${{{column} if first else {other}}}")

    def _place(self, starts: list[int], rows: Sequence[Row]) -> str:
        """Where a copy is in what rises: its row's start, and its index in the row."""
        repeated = any(row.count > 1 for row in rows)
        start = f"{self._add('at', starts)}" if len(rows) > 1 else str(starts[0]) if starts[0] or not repeated else ""
        terms = [term for term in (start, "index" if repeated else "") if term]
        return f"({' + '.join(terms)})" if len(terms) > 1 else terms[0]

    def _add(self, name: str, values: list[Any]) -> str:
        for known, column in self.columns.items():
            if known != "i" and column == values and all(type(a) is type(b) for a, b in zip(column, values, strict=True)):
                return known
        free = name
        while free in self.columns or free in _WORDS:
            free += "_"
        self.columns[free] = values
        return free

    def lines(self) -> list[str]:
        """`for:` on one line; else a line for each column, or for each row."""
        if not self.columns:
            return []
        columns = [f"{name}: {_list_text(column)}" for name, column in self.columns.items()]
        line = f"for: {{{', '.join(columns)}}}"
        if len(line) <= WIDEST:
            return [line]
        if max(map(len, columns)) <= WIDEST and len(columns) <= len(next(iter(self.columns.values()))):
            return ["for:", *(f"  {column}" for column in columns)]
        rows = zip(*self.columns.values(), strict=True)
        pairs = [", ".join(f"{name}: {argument_text(value)}" for name, value in zip(self.columns, row, strict=True)) for row in rows]
        return ["for:", *(f"  - {{{pair}}}" for pair in pairs)]


_DEFAULT = object()
_WORDS = set(FUNCTIONS) | {"first", "last", "index", "input", "for", "if", "in", "is", "or", "and", "not", "null", "true", "false"}


def _list_text(column: list[Any]) -> str:
    return "[" + ", ".join(argument_text(value) for value in column) + "]"


def _inside(value: Any) -> str:
    """A value within an expression."""
    if isinstance(value, str):
        return f"'{value}'"
    return text_of(value)
