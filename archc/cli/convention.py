"""`analyze --as TOOL`: what another tool would print, and why it differs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from archc.analysis.compare.conventions import TOOLS, ConventionLine, as_tool
from archc.cli.console import columns_of, prose, width
from archc.graph import Graph
from archc.text.diagnostics import printable
from archc.text.lines import left, wrap
from archc.text.quantity import short
from archc.text.suggest import did_you_mean


def unknown(tool: str) -> str | None:
    """That there is no such tool, and what there is; None where there is."""
    if tool in TOOLS:
        return None
    hint = did_you_mean(tool, TOOLS) or f"there are {', '.join(TOOLS)}"
    return f"no tool is called {tool!r}; {hint}"


def convention_text(graph: Graph, tool: str) -> str:
    """The tool's figure as archc's own and the lines between them."""
    report = as_tool(graph, tool)
    lines = [f"{graph.name} as {report.tool} {report.version} counts it", ""]
    if report.counts != "parameters":
        lines += [
            *_sum(
                f"archc's {report.counts.upper().replace('MACS', 'MACs')}", report.ours, _parts(report.lines), report.quantity, report.total
            ),
            "",
        ]
    if report.parameter_lines:
        lines += _sum("archc's parameters", report.own_parameters, _parts(report.parameter_lines), "parameters", report.parameters)
    else:
        lines.append(f"parameters: {report.parameters:,}, as archc counts them")
    notes = [prose(f"note: {note}") for note in report.notes]
    return "\n".join([*map(printable, lines), *([""] if notes else []), *notes])


def _parts(lines: tuple[ConventionLine, ...]) -> list[tuple[str, int]]:
    return [(line.what, line.amount) for line in lines]


def _sum(what: str, own: int, parts: list[tuple[str, int]], quantity: str, total: int) -> list[str]:
    rows = [(what, f"{own:,}", short(own)), *((name, f"{amount:+,}", short(amount)) for name, amount in parts)]
    rows.append((quantity, f"{total:,}", short(total)))
    numbers = max(len(row[1]) for row in rows) + max(len(row[2]) for row in rows) + 4
    room = min(max(len(row[0]) for row in rows), max((width() or 1000) - numbers, 20))
    wide = max(len(row[1]) for row in rows)
    drawn = []
    for name, exact, brief in rows:
        *over, last = wrap(name, room, "  ", columns_of)
        drawn += [*over, f"{left(last, room, columns_of)}  {exact.rjust(wide)}  {brief.rjust(numbers - wide - 4)}"]
    return [*drawn[:-1], "─" * (room + numbers), drawn[-1]]


def convention_to_dict(graph: Graph, tool: str) -> dict[str, Any]:
    """The same as data."""
    return {"name": graph.name, **asdict(as_tool(graph, tool))}
