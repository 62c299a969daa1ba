"""Arguments that most layers of a kind have, where they are not the operator's own: said once, for the whole spec."""

from __future__ import annotations

from typing import Any

from archc.graph import Graph
from archc.text.writing import text_of

SAID_ONCE = (
    "eps",
    "momentum",
    "inplace",
    "approximate",
    "standardize",
    "count_padding",
    "padding_mode",
    "ceil",
)  # what belongs to a framework, or a family
LEAST = 2  # layers, for which it is shorter


def common_defaults(graph: Graph) -> dict[str, dict[str, Any]]:
    """By kind, the arguments that most of its layers have, and that are not the operator's defaults."""
    values: dict[tuple[str, str], list[Any]] = {}
    for node in graph.nodes:
        for name, value in node.args.items():
            if name in SAID_ONCE:
                values.setdefault((node.kind, name), []).append(value)
    found: dict[str, dict[str, Any]] = {}
    for (kind, name), column in values.items():
        own = next(node for node in graph.nodes if node.kind == kind).op.signature.params[name].default
        common = max(column, key=column.count)
        if column.count(common) >= max(LEAST, len(column) // 2 + 1) and common != own:
            found.setdefault(kind, {})[name] = common
    return found


def defaults_text(defaults: dict[str, dict[str, Any]]) -> str:
    """The line of a spec that says them; nothing where there are none."""
    return f"defaults: {text_of(defaults)}\n" if defaults else ""
