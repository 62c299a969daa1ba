"""A timeline as plain data."""

from __future__ import annotations

from typing import Any

from archc.analysis.memory.timeline.result import Timeline


def to_dict(timeline: Timeline) -> dict[str, Any]:
    """What `archc memory --format json` prints. All sizes are bytes."""
    options = timeline.options
    return {
        "name": timeline.graph.name,
        "batch": options.batch,
        "passes": options.accumulate,
        "dtype": options.dtype,
        "amp": options.amp or None,
        "device": options.device,
        "optimizer": {"name": options.optimizer, "implementation": timeline.how} if timeline.how else None,
        "checkpoint": [str(region) for region in timeline.plan.regions] if timeline.plan is not None else None,
        "peak": timeline.peak_bytes,
        "bound": timeline.bound.status,
        "peak_text": f"{timeline.bound.sign}{timeline.peak_bytes:,}",
        "reasons": list(timeline.bound.reasons),
        "peak_at": timeline.peak_at,
        "allocated": timeline.allocated_bytes,
        "reserved": timeline.reserved_bytes,
        "workspace": timeline.workspace,
        "by_kind": timeline.by_kind(),
        "kept_by_layer": {node.name: size for node, size in timeline.kept_by_layer().items()},
        "events": [{"phase": mark.phase, "layer": mark.layer.name if mark.layer else None, "bytes": mark.live} for mark in timeline.events],
    }
