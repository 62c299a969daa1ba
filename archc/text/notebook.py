"""What a notebook shows of a result: a title, a compact table, and lines below it. No script, and nothing of a name becomes markup."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from archc.text.diagnostics import printable
from archc.text.table import Cell, Table, cell_text

MOST_ROWS = 200  # beyond, the middle is left out


def to_html(title: str, table: Table, notes: Sequence[str] = ()) -> str:
    """A table as HTML that scrolls where it is long."""
    kinds = [column.kind for column in table.columns]
    head = "".join(f"<th{_align(kind)}>{_text(column.title)}</th>" for column, kind in zip(table.columns, kinds, strict=True))
    rows = [_row(row, kinds, "td") for row in _kept(table.rows)]
    rows += [_row(row, kinds, "th") for row in table.totals]
    lines = "".join(f"<div>{_text(note)}</div>" for note in notes if note)
    return (
        f"<div><div><b>{_text(title)}</b></div>"
        f'<div style="max-height:32em;overflow:auto"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        f"{lines}</div>"
    )


def _kept(rows: list[list[Cell]]) -> list[list[Cell]]:
    if len(rows) <= MOST_ROWS:
        return rows
    half = MOST_ROWS // 2
    left_out = [f"… {len(rows) - 2 * half:,} more", *[""] * (len(rows[0]) - 1)]
    return [*rows[:half], left_out, *rows[-half:]]


def _row(cells: list[Cell], kinds: list[str], tag: str) -> str:
    return (
        "<tr>"
        + "".join(f"<{tag}{_align(kind)}>{_text(cell_text(cell, kind))}</{tag}>" for cell, kind in zip(cells, kinds, strict=True))
        + "</tr>"
    )


def _align(kind: str) -> str:
    return f' style="text-align:{"left" if kind == "text" else "right"}"'


def _text(text: str) -> str:
    return escape(printable(text))
