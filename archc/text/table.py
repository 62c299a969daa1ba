"""A table as data, drawn for a terminal, as Markdown or as CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from archc.text.diagnostics import printable
from archc.text.lines import Line, Measure, head, left, plain, right, tail, wrap_all
from archc.text.quantity import bytes_text, short

Cell = Any  # a text, a number, a Count, or None
STAYS = 9  # the rank of a column that is never left out


class Column(NamedTuple):
    """`kind`: text, count (exact, or short where room is scarce) or bytes. The lowest `rank` goes first when room ends, STAYS never."""

    title: str
    kind: str = "text"
    rank: int = STAYS


@dataclass(slots=True)
class Table:
    """Rows under columns; `totals` stand below a line; `notes` follow. `styles` are those of rows, by number (archc.text.lines)."""

    columns: list[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    totals: list[list[Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    styles: dict[int, str] = field(default_factory=dict)


def cell_text(cell: Cell, kind: str, brief: bool = False) -> str:
    """A cell as text; a count that is a bound says so."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return printable(cell)
    low, high = (cell.low, cell.high) if hasattr(cell, "low") else (cell, cell)
    if low == high:
        return _number(low, kind, brief)
    if high is None:
        return "?" if low == 0 else f"≥{_number(low, kind, brief)}"
    return f"{_number(low, kind, brief)}–{_number(high, kind, brief)}"


def _number(value: int, kind: str, brief: bool) -> str:
    if kind == "bytes":
        return bytes_text(value)
    return short(value) if brief else f"{value:,}"


def to_terminal(table: Table, width: int | None) -> str:
    """Text that fits `width` columns (None: as wide as it is)."""
    return plain(to_lines(table, width))


def to_lines(table: Table, width: int | None, measure: Measure = len) -> list[Line]:
    """The table as lines of styled pieces that fit `width` columns (None: as wide as it is)."""
    return _Layout(table, measure).lines(width)


SHORTEST_NAME, SHORTEST_TEXT = 16, 10


class _Layout:
    """The columns that are kept, and the texts in them."""

    def __init__(self, table: Table, measure: Measure) -> None:
        self.table = table
        self.measure = measure
        self.keep = list(range(len(table.columns)))
        self.texts: dict[int, list[str]] = {}
        self.widths: dict[int, int] = {}
        for i in self.keep:
            self._put(i, self._column(i, False))

    def _put(self, i: int, texts: list[str]) -> None:
        self.texts[i], self.widths[i] = texts, max(map(self.measure, texts))

    def lines(self, width: int | None) -> list[Line]:
        dropped = self._fit(width) if width is not None else []
        lines = self._drawn()
        notes = [f"({', '.join(dropped)} left out to fit the width)"] if dropped else []
        notes += [printable(note) for note in self.table.notes]
        return lines + [[(line, "")] for note in notes for line in wrap_all(note, width, self.measure).split("\n")]

    def _fit(self, width: int) -> list[str]:
        """Makes columns fit: an optional one goes, counts shorten, names lose their middle, then more columns go by rank."""
        columns = self.table.columns
        dropped: list[str] = []
        shortened: set[int] = set()
        while (excess := self._width() - width) > 0:
            spare = sorted((i for i in self.keep if columns[i].rank < STAYS), key=lambda i: columns[i].rank)
            long = [i for i in self.keep if columns[i].kind == "count" and i not in shortened]
            if long and not (spare and columns[spare[0]].rank <= 1):
                i = max(long, key=self.widths.__getitem__)
                shortened.add(i)
                exact, widest = self.texts[i], self.widths[i]
                self._put(i, self._column(i, True))
                if self.widths[i] > widest:
                    self._put(i, exact)
            elif not spare or (not long and excess <= self._slack()):
                self._elide(excess)
                break
            else:
                self.keep.remove(spare[0])
                dropped.append(columns[spare[0]].title)
        return dropped

    def _slack(self) -> int:
        """How many columns of the terminal the texts could lose."""
        return sum(max(self.widths[i] - _shortest(i), 0) for i in self.keep if self._elastic(i))

    def _elastic(self, i: int) -> bool:
        return self.table.columns[i].kind == "text" and self.table.columns[i].title != "output"

    def _elide(self, excess: int) -> None:
        for i in reversed([i for i in self.keep if self._elastic(i)]):
            cut = min(excess, max(self.widths[i] - _shortest(i), 0)) if i else excess
            most = max(8, self.widths[i] - cut)
            self._put(i, [self._elided(text, most, middle=i == 0) for text in self.texts[i]])
            excess -= cut

    def _elided(self, text: str, most: int, middle: bool) -> str:
        """Long names lose their middle, since their ends tell them apart; other text loses its end."""
        if self.measure(text) <= most:
            return text
        first = (most - 1) // 3 if middle else most - 1
        return f"{head(text, first, self.measure)}…{tail(text, most - 1 - first, self.measure) if middle else ''}"

    def _column(self, i: int, brief: bool) -> list[str]:
        kind = self.table.columns[i].kind
        cells = [row[i] for row in [*self.table.rows, *self.table.totals]]
        return [printable(self.table.columns[i].title), *(cell_text(cell, kind, brief) for cell in cells)]

    def _width(self) -> int:
        return sum(self.widths[i] + 2 for i in self.keep) - 2

    def _drawn(self) -> list[Line]:
        table, widths = self.table, {i: self.widths[i] for i in self.keep}

        def line(row: int, style: str) -> Line:
            cells = [(right if table.columns[i].kind != "text" else left)(self.texts[i][row], widths[i], self.measure) for i in self.keep]
            return [("  ".join(cells).rstrip(), style)]

        rule: Line = [("─" * (sum(widths.values()) + 2 * (len(self.keep) - 1)), "rule")]
        count = len(table.rows)
        lines = [line(0, "title"), rule, *(line(row + 1, table.styles.get(row, "")) for row in range(count))]
        return [*lines, rule, *(line(count + 1 + row, "total") for row in range(len(table.totals)))] if table.totals else lines


def _shortest(i: int) -> int:
    return SHORTEST_TEXT if i else SHORTEST_NAME


def wrap_table(table: Table, width: int | None, measure: Measure = len) -> Table:
    """The table with its long texts broken over several rows, where it would not fit."""
    columns = range(len(table.columns))
    layout = _Layout(table, measure)
    widths = [layout.widths[i] for i in columns]
    excess = sum(widths) + 2 * (len(widths) - 1) - (width or 10**9)
    elastic = sorted((i for i in columns if table.columns[i].kind == "text"), key=lambda i: widths[i])
    while excess > 0 and elastic and widths[elastic[-1]] > SHORTEST_TEXT:
        second = widths[elastic[-2]] if len(elastic) > 1 else 0
        cut = min(excess, max(widths[elastic[-1]] - max(second, SHORTEST_NAME), 1))
        widths[elastic[-1]] -= cut
        excess -= cut
        elastic.sort(key=lambda i: widths[i])
    made = Table(table.columns, [], table.totals, table.notes)
    for at, row in enumerate(table.rows):
        kinds = [column.kind for column in table.columns]
        cells = [_broken(cell_text(row[i], "text"), widths[i], measure) if kinds[i] == "text" else [row[i]] for i in columns]
        for line in range(max(map(len, cells))):
            if at in table.styles:
                made.styles[len(made.rows)] = table.styles[at]
            made.rows.append([cell[line] if line < len(cell) else "" for cell in cells])
    return made


def _broken(text: str, width: int, measure: Measure) -> list[str]:
    """A text in lines: broken after a space, a comma or a dot where it can be."""
    lines = [""]
    for word in re.findall(r"[^ ,.]*[ ,.]+|[^ ,.]+", text):
        if lines[-1] and measure(lines[-1]) + measure(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
        while measure(lines[-1].rstrip()) > width:
            first = head(lines[-1], width, measure) or lines[-1][:1]
            lines[-1:] = [first, lines[-1][len(first) :]]
    return [line.rstrip() for line in lines]


def to_markdown(table: Table) -> str:
    """A table of GitHub's Markdown; what stands in cells cannot become markup."""
    titles = [escape_markdown(column.title) for column in table.columns]
    marks = ["---" if column.kind == "text" else "---:" for column in table.columns]
    body = [[escape_markdown(cell_text(cell, column.kind)) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    ends = [
        [
            f"**{escape_markdown(text)}**" if (text := cell_text(cell, column.kind)) else ""
            for cell, column in zip(row, table.columns, strict=True)
        ]
        for row in table.totals
    ]
    lines = [f"| {' | '.join(row)} |" for row in [titles, marks, *body, *ends]]
    return "\n".join([*lines, *(["", *map(escape_markdown, table.notes)] if table.notes else [])])


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = printable(text)
    for character in "\\`*_{}[]<>|#":
        text = text.replace(character, "\\" + character)
    return text


def stack_tables(title: str, tables: Mapping[str, Table]) -> Table:
    """Tables of the same columns as one, whose first column says which of them a row is from."""
    columns = next(iter(tables.values())).columns
    return Table([Column(title), *columns], [[name, *row] for name, table in tables.items() for row in table.rows])


def to_csv(table: Table) -> str:
    """Comma-separated values, numbers exact and plain. A text that a spreadsheet would run as a formula is quoted with '."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.title for column in table.columns])
    writer.writerows([[_plain(cell) for cell in row] for row in table.rows])
    return out.getvalue().rstrip("\n")


def _plain(cell: Cell) -> Any:
    if hasattr(cell, "low"):
        return cell.low if cell.status != "unknown" else ""
    if isinstance(cell, str):
        return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t") else printable(cell)
    return "" if cell is None else cell
