"""What a notebook shows of a result: a title, a curve where there is one, a compact table, and lines below it.

No script, and nothing of a name becomes markup. Colors are those of the page, so that a dark one is as readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from archc.text.diagnostics import printable
from archc.text.table import Cell, Table, cell_text

MOST_ROWS = 200  # beyond, the middle is left out
MOST_STEPS = 640  # of a curve, one a pixel; of more, the highest in each pixel
_WIDE, _HIGH, _LEFT, _TOP = 640, 120, 8, 22  # pixels: of the curve, and of the room around it
_LEAST_LABEL = 60  # pixels that the name of a span takes


def to_html(title: str, table: Table, notes: Sequence[str] = (), picture: str = "") -> str:
    """A table as HTML that scrolls where it is long, below a picture."""
    kinds = [column.kind for column in table.columns]
    head = "".join(f"<th{_align(kind)}>{_text(column.title)}</th>" for column, kind in zip(table.columns, kinds, strict=True))
    rows = [_row(row, kinds, "td") for row in _kept(table.rows)]
    rows += [_row(row, kinds, "th") for row in table.totals]
    lines = "".join(f"<div>{_text(note)}</div>" for note in notes if note)
    return (
        f"<div><div><b>{_text(title)}</b></div>{picture}"
        f'<div style="max-height:32em;overflow:auto"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        f"{lines}</div>"
    )


def curve(values: Sequence[int], spans: Sequence[tuple[str, int]], peak: str) -> str:
    """A stepped curve as SVG, from zero to its peak, which is told; below it the named spans of so many values each."""
    if not any(values):
        return ""
    count, highest, at = len(values), max(values), values.index(max(values))
    most = min(count, MOST_STEPS)
    steps = [max(values[i * count // most : (i + 1) * count // most]) for i in range(most)]
    width, base = _WIDE / most, _TOP + _HIGH
    path = "".join(f"V{base - _HIGH * value / highest:.1f}H{_LEFT + (i + 1) * width:.1f}" for i, value in enumerate(steps))
    x = _LEFT + _WIDE * (at + 0.5) / count
    anchor = "start" if x < _WIDE / 3 else "end" if x > 2 * _WIDE / 3 else "middle"
    return (
        f'<svg width="{_WIDE + 2 * _LEFT}" height="{base + 22}" viewBox="0 0 {_WIDE + 2 * _LEFT} {base + 22}"'
        ' style="display:block;max-width:100%;font:11px sans-serif" role="img">'
        f"<title>{_text(f'peak {peak}')}</title>"
        f'<path d="M{_LEFT} {base}{path}V{base}Z" fill="#4c8bf5" fill-opacity="0.35" stroke="#4c8bf5"/>'
        f'<path d="M{_LEFT} {base}H{_LEFT + _WIDE}" stroke="currentColor" stroke-opacity="0.5"/>{_spans(spans, count, base)}'
        f'<circle cx="{x:.1f}" cy="{_TOP}" r="3" fill="currentColor"/>'
        f'<text x="{x:.1f}" y="{_TOP - 8}" text-anchor="{anchor}" fill="currentColor">{_text(f"peak {peak}")}</text></svg>'
    )


def _spans(spans: Sequence[tuple[str, int]], count: int, base: int) -> str:
    """Where each span begins, and its name, if there is room for it."""
    found, at = "", 0
    for name, size in spans:
        left, wide = _LEFT + _WIDE * at / count, _WIDE * size / count
        if wide >= _LEAST_LABEL:
            line = f'<path d="M{left:.1f} {_TOP}V{base}" stroke="currentColor" stroke-opacity="0.3" stroke-dasharray="3 3"/>'
            word = f'<text x="{left + wide / 2:.1f}" y="{base + 16}" text-anchor="middle" fill="currentColor">{_text(name)}</text>'
            found += line + word
        at += size
    return found


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
