"""`analyze --as TOOL`: what another tool would print, and why it differs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from archc.analysis.conventions import Convention, as_tool
from archc.graph import Graph
from archc.table import short
from archc.text.diagnostics import printable


def convention_text(graph: Graph, tool: str) -> str:
    """The tool's figure as archc's own and the lines between them."""
    told = as_tool(graph, tool)
    lines = [f"{graph.name} as {told.tool} {told.version} counts it", ""]
    lines += _sum("MACs", told.macs, [(line.what, line.amount) for line in told.lines], told.quantity, told.total)
    own = told.parameters - sum(line.amount for line in told.parameter_lines)
    if told.parameter_lines:
        lines += ["", *_sum("parameters", own, [(line.what, line.amount) for line in told.parameter_lines], "parameters", told.parameters)]
    else:
        lines += ["", f"parameters, as archc: {told.parameters:,}"]
    return "\n".join(printable(line) for line in [*lines, *([""] if told.notes else []), *(f"note: {note}" for note in told.notes)])


def _sum(what: str, own: int, parts: list[tuple[str, int]], quantity: str, total: int) -> list[str]:
    rows = [(f"archc's {what}", f"{own:,}", short(own)), *((name, f"{amount:+,}", short(amount)) for name, amount in parts)]
    rows.append((quantity, f"{total:,}", short(total)))
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    drawn = [f"{name.ljust(wide[0])}  {exact.rjust(wide[1])}  {brief.rjust(wide[2])}" for name, exact, brief in rows]
    return [*drawn[:-1], "─" * (sum(wide) + 4), drawn[-1]]


def convention_to_dict(graph: Graph, tool: str) -> dict[str, Any]:
    """The same as data."""
    return {"name": graph.name, **asdict(as_tool(graph, tool))}
