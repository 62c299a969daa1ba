"""`budget`: limits compared with what the network costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archc.analysis.cost.count import Count
from archc.analysis.cost.report import Report, analyze
from archc.graph import Graph
from archc.language.budget import MEMORY, Limit
from archc.text.diagnostics import Diagnostic
from archc.text.quantity import bytes_text
from archc.text.suggest import did_you_mean

if TYPE_CHECKING:
    from archc.analysis.memory.timeline import Timeline

OVER = "A802"
_EXACT = 10_000  # counts up to here are told in full alone


def over(graph: Graph) -> list[Diagnostic]:
    """The limits of a spec's budget that are not kept. Counts are of the deployed network, memory of the one that is trained."""
    if not graph.budget:
        return []
    report = analyze(graph.deployed()) if any(limit.figure != MEMORY for limit in graph.budget) else None
    return [found for limit in graph.budget if (found := _broken(graph, limit, report)) is not None]


def _broken(graph: Graph, limit: Limit, report: Report | None) -> Diagnostic | None:
    if limit.figure == MEMORY:
        return _memory(graph, limit)
    assert report is not None
    counted = report.counts[limit.figure]
    if limit.allows(counted.low, counted.high):
        return None
    return _told(limit, counted, f"{counted.low:,}", f"{abs(_beyond(limit, counted.low)):,.0f}")


def _memory(graph: Graph, limit: Limit) -> Diagnostic | None:
    from archc.catalog.optimizers import OPTIMIZERS

    if limit.optimizer not in OPTIMIZERS:
        hint = did_you_mean(limit.optimizer, OPTIMIZERS) or f"there are {', '.join(OPTIMIZERS)}"
        return Diagnostic("A402", f'{limit.figure}: no optimizer is called "{limit.optimizer}"', limit.span, hint)
    found = train_memory(graph, limit)
    peak = found.peak_bytes
    counted = Count(peak, None if found.bound.status == "at least" else peak)
    if limit.allows(counted.low, counted.high):
        return None
    return _told(limit, counted, found.told(peak), bytes_text(abs(round(_beyond(limit, peak)))))


def train_memory(graph: Graph, limit: Limit) -> Timeline:
    """The training step on CUDA, as tensors ask for memory: without workspaces and the allocator's rounding.

    `amp` is autocast to bfloat16, an estimate.
    """
    from archc.analysis.memory.timeline import Options, training

    options = Options(limit.batch, optimizer=limit.optimizer, device="cuda", amp="bfloat16" if limit.amp else "")
    return training(graph, options)


def _beyond(limit: Limit, value: float) -> float:
    return value - limit.value


def _told(limit: Limit, counted: Count, actual: str, by: str) -> Diagnostic:
    """`parameters: the budget is <= 5M, but it is 11,689,512: 6,689,512 (133.8%) over`."""
    wanted = f"{limit.figure}: the budget is {limit.text}"
    if counted.high is None and limit.allows(counted.low, counted.low):
        return Diagnostic(OVER, f"{wanted}, but it is at least {actual.lstrip('≥')}; a layer states no figure", limit.span)
    beyond = _beyond(limit, counted.low)
    part = f" ({abs(beyond) / limit.value:.1%})" if abs(beyond) < 10 * limit.value else ""
    far = f": {by}{part} {'over' if beyond > 0 else 'under'}" if beyond else ""
    return Diagnostic(OVER, f"{wanted}, but it is {actual}{far}", limit.span, "change the network, or the budget")
