"""A table as data, drawn for a terminal, as Markdown or as CSV."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.text.diagnostics import printable

Cell = Any  # a text, a number, a Count, or None


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: text, count (exact, or short where room is scarce) or bytes. The lowest `rank` goes first when room ends."""

    title: str
    kind: str = "text"
    rank: int = 5


@dataclass(slots=True)
class Table:
    """Rows under columns; `totals` stand below a line; `notes` follow."""

    columns: list[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    totals: list[list[Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_SUFFIXES = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def short(value: int, digits: int = 3) -> str:
    """`4.09G`: a count to some significant digits."""
    for size, suffix in _SUFFIXES:
        if abs(value) >= size:
            return f"{_significant(value / size, digits)}{suffix}"
    return str(value)


def bytes_text(value: int) -> str:
    """`12.3 MiB`."""
    for size, suffix in _BINARY:
        if abs(value) >= size:
            return f"{_significant(value / size, 3)} {suffix}"
    return f"{value} B"


def _significant(value: float, digits: int) -> str:
    whole = len(str(int(abs(value))))
    return f"{value:.{max(digits - whole, 0)}f}"


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


def to_terminal(table: Table, width: int | None, color: bool = False) -> str:
    """Text that fits `width` columns (None: as wide as it is)."""
    keep = list(range(len(table.columns)))
    texts = {i: _column(table, i, False) for i in keep}
    dropped = _fit(table, texts, keep, width) if width is not None else []
    lines = _lines(table, texts, keep, color)
    if dropped:
        lines.append(f"({', '.join(dropped)} left out for want of room)")
    return "\n".join([*lines, *(printable(note) for note in table.notes)])


def wrapped(table: Table, width: int | None) -> Table:
    """The table with its long texts broken over several rows, where it would not fit."""
    columns = range(len(table.columns))
    widths = [_widest(_column(table, i, False)) for i in columns]
    excess = sum(widths) + 2 * (len(widths) - 1) - (width or 10**9)
    elastic = sorted((i for i in columns if table.columns[i].kind == "text"), key=lambda i: widths[i])
    while excess > 0 and elastic and widths[elastic[-1]] > SHORTEST_TEXT:
        second = widths[elastic[-2]] if len(elastic) > 1 else 0
        cut = min(excess, max(widths[elastic[-1]] - max(second, SHORTEST_NAME), 1))
        widths[elastic[-1]] -= cut
        excess -= cut
        elastic.sort(key=lambda i: widths[i])
    made = Table(table.columns, [], table.totals, table.notes)
    for row in table.rows:
        cells = [_broken(cell_text(row[i], "text"), widths[i]) if table.columns[i].kind == "text" else [row[i]] for i in columns]
        for line in range(max(map(len, cells))):
            made.rows.append([cell[line] if line < len(cell) else "" for cell in cells])
    return made


def _broken(text: str, width: int) -> list[str]:
    """A text in lines: broken after a space, a comma or a dot where it can be."""
    lines = [""]
    for word in re.findall(r"[^ ,.]*[ ,.]+|[^ ,.]+", text):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


SHORTEST_NAME, SHORTEST_TEXT = 16, 10


def _fit(table: Table, texts: dict[int, list[str]], keep: list[int], width: int) -> list[str]:
    """Makes columns fit: an optional one goes, counts shorten, names lose their middle, then more columns go by rank."""
    dropped: list[str] = []
    shortened: set[int] = set()
    while (excess := _width(texts, keep) - width) > 0:
        spare = sorted((i for i in keep if table.columns[i].rank < 5), key=lambda i: table.columns[i].rank)
        long = [i for i in keep if table.columns[i].kind == "count" and i not in shortened]
        if long and not (spare and table.columns[spare[0]].rank == 1):
            i = max(long, key=lambda i: _widest(texts[i]))
            shortened.add(i)
            texts[i] = min(_column(table, i, True), texts[i], key=_widest)
        elif not spare or (not long and excess <= _slack(table, texts, keep)):
            _elide(table, texts, keep, excess)
            break
        else:
            keep.remove(spare[0])
            dropped.append(table.columns[spare[0]].title)
    return dropped


def _slack(table: Table, texts: dict[int, list[str]], keep: list[int]) -> int:
    """How many characters the texts could lose."""
    return sum(max(_widest(texts[i]) - _shortest(i), 0) for i in keep if _elastic(table, i))


def _elastic(table: Table, i: int) -> bool:
    return table.columns[i].kind == "text" and table.columns[i].title != "output"


def _shortest(i: int) -> int:
    return SHORTEST_TEXT if i else SHORTEST_NAME


def _elide(table: Table, texts: dict[int, list[str]], keep: list[int], excess: int) -> None:
    for i in reversed([i for i in keep if _elastic(table, i)]):
        cut = min(excess, max(_widest(texts[i]) - _shortest(i), 0)) if i else excess
        texts[i] = _elided(texts[i], max(8, _widest(texts[i]) - cut), middle=i == 0)
        excess -= cut


def _column(table: Table, i: int, brief: bool) -> list[str]:
    kind = table.columns[i].kind
    cells = [row[i] for row in [*table.rows, *table.totals]]
    return [printable(table.columns[i].title), *(cell_text(cell, kind, brief) for cell in cells)]


def _widest(texts: Sequence[str]) -> int:
    return max(map(len, texts))


def _width(texts: dict[int, list[str]], keep: list[int]) -> int:
    return sum(_widest(texts[i]) + 2 for i in keep) - 2


def _elided(texts: list[str], most: int, middle: bool) -> list[str]:
    """Long names lose their middle, since their ends tell them apart; other text loses its end."""
    if not middle:
        return [text if len(text) <= most else text[: most - 1] + "…" for text in texts]
    head = (most - 1) // 3
    return [text if len(text) <= most else f"{text[:head]}…{text[-(most - 1 - head) :]}" for text in texts]


def _lines(table: Table, texts: dict[int, list[str]], keep: list[int], color: bool) -> list[str]:
    bold, dim, off = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if color else ("", "", "")
    widths = {i: _widest(texts[i]) for i in keep}

    def line(row: int) -> str:
        cells = (texts[i][row].rjust(widths[i]) if table.columns[i].kind != "text" else texts[i][row].ljust(widths[i]) for i in keep)
        return "  ".join(cells).rstrip()

    rule = dim + "─" * (sum(widths.values()) + 2 * (len(keep) - 1)) + off
    out = [bold + line(0) + off, rule, *(line(row) for row in range(1, len(table.rows) + 1))]
    if table.totals:
        first = len(table.rows) + 1
        out += [rule, *(bold + line(row) + off for row in range(first, first + len(table.totals)))]
    return out


def to_markdown(table: Table) -> str:
    """A table of GitHub's Markdown; what stands in cells cannot become markup."""
    titles = [escaped(column.title) for column in table.columns]
    marks = ["---" if column.kind == "text" else "---:" for column in table.columns]
    body = [[escaped(cell_text(cell, column.kind)) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    ends = [[f"**{escaped(t)}**" if (t := cell_text(cell, column.kind)) else "" for cell, column in zip(row, table.columns, strict=True)]
            for row in table.totals]  # fmt: skip
    lines = [f"| {' | '.join(row)} |" for row in [titles, marks, *body, *ends]]
    return "\n".join([*lines, *(["", *map(escaped, table.notes)] if table.notes else [])])


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = printable(text)
    for character in "\\`*_{}[]<>|#":
        text = text.replace(character, "\\" + character)
    return text


def stacked(title: str, tables: Mapping[str, Table]) -> Table:
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
