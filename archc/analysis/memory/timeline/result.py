"""The result of a simulation: the peak, where it is, and what it is made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from archc.analysis.memory.timeline.allocator import OutOfMemory, Pool, replay
from archc.analysis.memory.timeline.bounds import CERTAIN, Bound
from archc.analysis.memory.timeline.tape import KEPT, KINDS, Block, Mark, Tape
from archc.analysis.recompute import CheckpointPlan
from archc.graph import Graph, Node
from archc.text.diagnostics import printable
from archc.text.quantity import bytes_text

if TYPE_CHECKING:
    from archc.analysis.memory.timeline.simulate import Options


CUBLAS = 33_554_432  # on compute capability 9 and above; 8,519,680 before (at::cuda::getChosenWorkspaceSize)
LONG = 40_000  # allocations and frees; beyond, the allocator is not replayed as often
_PRODUCTS = {"linear", "attention", "matmul"}


@dataclass(slots=True, repr=False)
class Timeline:
    """Memory over time. Bytes are those that tensors ask for, unless `allocated` or `reserved` says otherwise.

    how: the optimizer's implementation; empty for inference
    plan: what backward recomputes
    bound: whether the peak is exact and, if not, why
    """

    graph: Graph
    options: Options
    how: str
    tape: Tape
    plan: CheckpointPlan | None = None
    bound: Bound = CERTAIN
    _pool: Pool | None = None

    def __repr__(self) -> str:
        step = f"a training step with {self.options.optimizer}" if self.how else "inference"
        reason = f", because {self.bound.text}" if self.bound.reasons else ""
        peak = f"peak {self.bound.sign}{self.peak_bytes:,} bytes"
        return f"<Timeline {printable(self.graph.name)}: {step}, batch {self.options.batch}, {peak}{reason}>"

    def _repr_html_(self) -> str:
        from archc.text.notebook import curve, to_html
        from archc.text.table import Column, Table

        table = Table([Column("at the peak"), Column("memory", "bytes"), Column("part", "number")])
        for kind, size in self.by_kind().items():
            table.rows.append([kind, size, f"{size / self.peak_bytes:.1%}"])
        table.totals.append(["peak", self.amount_text(self.peak_bytes), ""])
        step = f"a training step with {self.options.optimizer}" if self.how else "inference"
        title, notes = f"{self.graph.name}: {step}, batch {self.options.batch}", [f"peak at {self.peak_at}", self.bound.text]
        return to_html(
            title, table, notes, curve([one.total() for one in self.tape.moments()], self._phases(), self.amount_text(self.peak_bytes))
        )

    def _phases(self) -> list[tuple[str, int]]:
        """Forward, backward and what else follows on another, each with how many marks it has."""
        return [(phase, len(list(marks))) for phase, marks in groupby(mark.phase for mark in self.events)]

    @property
    def peak_bytes(self) -> int:
        """The peak, as exact as `bound` says."""
        return self.tape.peak

    def amount_text(self, size: int) -> str:
        """A size of this step as text, with ≥ or ~ where it is not exact: `≥464 KiB`."""
        return f"{self.bound.sign}{bytes_text(size)}"

    @property
    def events(self) -> list[Mark]:
        """Bytes alive after each layer: in the phases forward, backward and recompute, and after the optimizer."""
        return self.tape.marks

    @property
    def peak_mark(self) -> Mark:
        """During what the peak is."""
        return next(mark for mark in self.tape.marks if mark.event >= self.tape.peak_event)

    @property
    def peak_at(self) -> str:
        """As `backward layer1.0.relu`."""
        mark = self.peak_mark
        return f"{mark.phase} {mark.layer.name}" if mark.layer is not None else mark.phase

    def at_peak(self) -> list[Block]:
        """The blocks that are there at the peak."""
        return list(self.tape.alive(self.tape.peak_event))

    def by_kind(self) -> dict[str, int]:
        """The peak by what it is made of."""
        found = Counter[str]()
        for block in self.at_peak():
            found[block.kind] += block.bytes
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def kept_by_layer(self) -> dict[Node, int]:
        """What a forward pass keeps for backward, by the layer that made it; what stays of the input of the network is not in it."""
        found = Counter[Node]()
        end = next((mark.event for mark in self.tape.marks if mark.phase == "loss"), 0)
        for block, made in self.tape.events[:end]:
            if made and block.kind == KEPT and block.of is not None:
                found[block.of] += block.bytes
        return dict(found.most_common())

    @property
    def pool(self) -> Pool:
        if self._pool is None:
            self._pool = replay(self.tape)
        return self._pool

    @property
    def allocated_bytes(self) -> int:
        """The peak as torch.cuda.max_memory_allocated counts it: whole blocks of the caching allocator."""
        return self.pool.peak_allocated

    @property
    def reserved_bytes(self) -> int:
        """The peak of torch.cuda.max_memory_reserved: the segments that those blocks were cut from."""
        return self.pool.peak_reserved

    @property
    def workspace(self) -> int:
        """What cuBLAS takes for itself at the first matrix product; more than most devices, as the newest do."""
        products = any(node.kind in _PRODUCTS for node in self.graph.nodes)
        return CUBLAS if self.options.device == "cuda" and products else 0

    def fits(self, memory: int) -> bool:
        """Whether it runs in so many bytes. On CUDA, cached segments are given back before the allocator fails; the allowance is
        taken off, workspaces of cuDNN and the context are not known."""
        return self.filled(memory) is None

    def filled(self, memory: int) -> int | None:
        """None where it runs in so many bytes; where it does not, how many of them are in use when it fails, the rest being fragments."""
        if self.options.device != "cuda":
            return None if self.peak_bytes <= memory else memory
        limit = memory - self.workspace
        if self._pool is not None and (self._pool.peak_allocated > limit or self._pool.peak_reserved <= limit):
            return None if self._pool.peak_reserved <= limit else memory
        try:
            pool = replay(self.tape, limit)
        except OutOfMemory as error:
            return error.allocated + self.workspace
        if not pool.gave_back:  # as without a limit
            self._pool = pool
        return None

    @property
    def needed_bytes(self) -> int:
        """The least memory in which it runs, from above, to a 256th of what lies between allocated and reserved; an 8th of a long step."""
        if self.options.device != "cuda":
            return self.peak_bytes
        low, high = self.allocated_bytes + self.workspace, self.reserved_bytes + self.workspace
        for _ in range(8 if len(self.tape.events) <= LONG else 3):
            middle = (low + high) // 2
            low, high = (low, middle) if self.fits(middle) else (middle, high)
        return high

    def to_dict(self) -> dict[str, Any]:

        return to_dict(self)


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
