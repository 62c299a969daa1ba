"""All that the page shows, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archc.analysis.compare.diff import COSTS, Change, compare
from archc.analysis.cost.derive import DEFINITIONS
from archc.analysis.memory.fit import Fitting, length
from archc.analysis.memory.timeline import Options
from archc.analysis.memory.timeline.bounds import unstated
from archc.catalog.devices.capacity import of_device
from archc.catalog.devices.device import Device
from archc.catalog.dtypes import ARITHMETIC
from archc.catalog.optimizers import OPTIMIZERS
from archc.draw.theme import family
from archc.errors import ArgumentError
from archc.graph import Graph, Node, Scope
from archc.html.bounds import devices
from archc.html.network import network
from archc.html.page import page
from archc.html.tapes import memory
from archc.text.names import fold_names

AUTOCAST = "autocast"  # to bfloat16, of parameters in float32
NUMBERS = ("float32", "tf32", "bfloat16", "float16", "float64", AUTOCAST)
DEVICE = "a100-40gb"
MOST_BATCH = 65_536
MOST_FITTED = 2_100  # `length`; of more, the search for the largest batch takes long
MOST_PLAYED = 3_000  # `length`; the timelines of more take long, and would make a page too large for a browser


@dataclass(frozen=True, slots=True)
class TrainingChoice:
    """What the page begins with. Raises ValueError for what it does not know."""

    batch: int = 32
    dtype: str = "float32"
    optimizer: str = "sgd"
    inference: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MOST_BATCH:
            raise ArgumentError(f"a batch has 1 to {MOST_BATCH:,} images, not {self.batch}")
        for what, word, names in (("dtype", self.dtype, NUMBERS), ("optimizer", self.optimizer, tuple(OPTIMIZERS))):
            if word not in names:
                raise ArgumentError(f"no {what} is called {word}; there are {', '.join(names)}")


def report(graphs: list[Graph], device: Device, choice: TrainingChoice) -> str:
    """The page of one network, or of two side by side, as HTML."""
    return page(record(graphs, device, choice))


def largest_batch(graph: Graph, device: Device, choice: TrainingChoice) -> int | None:
    """What `archc fit` says for the device and the choice that the page begins with; None where nobody knows."""
    if device.memory is None or unstated(graph):
        return None
    dtype = "float32" if choice.dtype in (AUTOCAST, "tf32") else choice.dtype
    options = Options(1, dtype=dtype, optimizer=choice.optimizer, device="cuda", amp="bfloat16" if choice.dtype == AUTOCAST else "")
    return Fitting(graph, choice.inference).largest(options, of_device(device).usable)


def record(graphs: list[Graph], device: Device, choice: TrainingChoice) -> dict[str, Any]:
    """One network, or two with their difference."""
    return {
        "networks": [
            network(graph)
            | {
                "memory": memory(graph) if length(graph) <= MOST_PLAYED else None,
                "largest": largest_batch(graph, device, choice) if length(graph) <= MOST_FITTED else None,
            }
            for graph in graphs
        ],
        "families": {kind: family(kind) for kind in sorted({node.kind for graph in graphs for node in graph.nodes})},
        "difference": difference(*graphs) if len(graphs) == 2 else None,
        "devices": devices(device),
        "dtypes": [{"name": name, "bytes": ARITHMETIC.get(name, 4)} for name in NUMBERS],
        "definitions": DEFINITIONS,
        "choice": {
            "batch": choice.batch,
            "dtype": choice.dtype,
            "optimizer": choice.optimizer,
            "training": not choice.inference,
            "device": device.key,
        },
        "most_batch": MOST_BATCH,
    }


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
