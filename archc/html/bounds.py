"""What the roofline of the page is computed from: traffic of each layer, and devices.

bytes forward = (moved*size + indices)*batch + weights*size, FLOPs forward = flops*batch; backward the same without indices.
"""

from __future__ import annotations

from typing import Any

from archc.analysis.time.traffic import Amount, backward, forward, wanted_gradients
from archc.catalog.devices.capacity import of_device
from archc.catalog.devices.catalogue import shipped
from archc.catalog.devices.device import Device
from archc.graph import Graph


def traffic(graph: Graph) -> dict[str, Any]:
    """Columns: `ahead` is [FLOPs, moved, indices, weights] of a layer in training, `back` [FLOPs, moved, weights];
    `idle` are the layers that are nothing in inference."""
    wanted = wanted_gradients(graph)
    ahead, backward_rows = [], []
    for node in graph.nodes:
        full, empty, plain = (forward(node, batch, size, True) for batch, size in ((1, 1), (0, 1), (1, 0)))
        indices = plain.bytes
        ahead.append([full.flops, full.bytes - empty.bytes - indices, indices, empty.bytes])
        full, empty = (backward(node, batch, 1, wanted) for batch in (1, 0))
        backward_rows.append([full.flops, full.bytes - empty.bytes, empty.bytes])
    idle = [i for i, node in enumerate(graph.nodes) if node.facts.identity_in_eval]
    return {"ahead": _short(ahead), "back": _short(backward_rows), "idle": idle}


def _short(rows: list[list[int]]) -> list[list[int]]:
    """Rows of nothing as empty ones."""
    return [row if any(row) else [] for row in rows]


def devices(chosen: Device) -> list[dict[str, Any]]:
    """The devices that ship and state a peak; one of the user's own comes first, in the place of one with its name."""
    found = {device.key: device for device in shipped().values() if device.flops}
    if found.get(chosen.key) != chosen:
        found = {chosen.key: chosen} | found | {chosen.key: chosen}
    return [_device(device) for device in found.values()]


def _device(device: Device) -> dict[str, Any]:
    return {
        "key": device.key,
        "name": device.name,
        "bandwidth": device.bandwidth,
        "flops": device.flops,
        "memory": device.memory and of_device(device).usable,
        "source": device.source,
    }


def amount_of(row: list[int], batch: int, size: int) -> Amount:
    """An amount from a row of `ahead` or `back`, as the page computes it."""
    if not row:
        return Amount()
    flops, moved, *indices, weights = row
    return Amount(flops * batch, (moved * size + sum(indices)) * batch + weights * size, weights * size)
