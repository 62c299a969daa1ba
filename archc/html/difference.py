"""What changed between two networks, as data for the page."""

from __future__ import annotations

from typing import Any

from archc.analysis.compare.diff import COSTS, Change, compare
from archc.graph import Graph, Node, Scope
from archc.text.names import fold_names


def difference(old: Graph, new: Graph) -> dict[str, Any]:
    """Changes alike are one, with all their names."""
    found = compare(old, new)
    groups: dict[tuple[str, str, tuple[str, ...]], list[Change]] = {}
    for change in found.changes:
        groups.setdefault((change.what, _kind(change.part), tuple(change.details)), []).append(change)
    return {
        "same": found.same,
        "reshaped": found.reshaped,
        "changes": [_record(what, kind, details, group) for (what, kind, details), group in groups.items()],
        "reshaped_costs": found.more,
    }


def _kind(part: Scope | Node) -> str:
    return part.kind if isinstance(part, Node) else part.block or "layers"


def _record(what: str, kind: str, details: tuple[str, ...], group: list[Change]) -> dict[str, Any]:
    return {
        "what": what,
        "kind": kind,
        "details": list(details),
        "times": len(group),
        "layers": sum(change.layers for change in group),
        "old": fold_names(change.old.name for change in group if change.old is not None),
        "new": fold_names(change.new.name for change in group if change.new is not None),
        "parts_old": [change.old.name for change in group if change.old is not None],
        "parts_new": [change.new.name for change in group if change.new is not None],
        "costs": {name: sum(change.costs[name] for change in group) for name in COSTS},
    }
