"""What is allocated and freed, in order: a tape of blocks of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from archc.graph import Node

PARAMETERS = "parameters"
BUFFERS = "buffers"
GRADIENTS = "gradients"
OPTIMIZER = "optimizer state"
BATCH = "batch"
KEPT = "kept activations"
PASSING = "passing activations"
RECOMPUTED = "recomputed activations"
BACKWARD = "gradients of activations"
TEMPORARY = "temporary"
KINDS = (PARAMETERS, BUFFERS, GRADIENTS, OPTIMIZER, BATCH, KEPT, PASSING, RECOMPUTED, BACKWARD, TEMPORARY)


@dataclass(eq=False, slots=True)
class Block:
    """A piece of memory; `refs` is how many hold it, `of` the layer that asked for it."""

    bytes: int
    kind: str
    of: Node | None
    refs: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the tape: after `event` events, `phase` was through with `layer`, and `live` bytes were left."""

    event: int
    phase: str
    layer: Node | None
    live: int


@dataclass(slots=True)
class Tape:
    """Events are (block, whether it is allocated). `first` blocks are there before the step begins."""

    blocks: list[Block] = field(default_factory=list)
    events: list[tuple[Block, bool]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    live: int = 0
    peak: int = 0
    peak_event: int = 0

    def new(self, size: int, kind: str, of: Node | None = None) -> Block:
        block = Block(size, kind, of)
        self.events.append((block, True))
        self.live += size
        if self.live > self.peak:
            self.peak, self.peak_event = self.live, len(self.events)
        return block

    def free(self, block: Block) -> None:
        """Lets go of a block; it is freed where nobody else holds it."""
        block.refs -= 1
        if not block.refs:
            self.events.append((block, False))
            self.live -= block.bytes

    def mark(self, phase: str, layer: Node | None) -> None:
        self.marks.append(Mark(len(self.events), phase, layer, self.live))

    def moments(self) -> list[Counter[str]]:
        """For each mark, what there is by kind at the fullest moment since the one before."""
        live, found, at = Counter[str](), [], 0
        for mark in self.marks:
            total = live.total()
            best, most = Counter(live), total
            for block, made in self.events[at : mark.event]:
                step = block.bytes if made else -block.bytes
                live[block.kind] += step
                total += step
                if total > most:
                    best, most = Counter(live), total
            found.append(best)
            at = max(at, mark.event)
        return found

    def alive(self, event: int) -> Iterator[Block]:
        """The blocks that are there after so many events."""
        live: dict[Block, None] = {}
        for block, made in self.events[:event]:
            if made:
                live[block] = None
            else:
                del live[block]
        return iter(live)
