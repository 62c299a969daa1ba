"""Regions that run again in backward, as torch.utils.checkpoint has them: what each keeps, when it runs again, where it stops.

While a region's layers run, nothing that they save is kept. Its frame holds its inputs, and the state of the random
generator where it draws. The first layer that wants what it saved has the region run again, up to where all is there.
A region within another has its inputs from that one, which runs again before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from archc.analysis.memory.storages import LayerRun, Storage, StorageRun
from archc.analysis.memory.timeline.order import Instruction, RegionCall
from archc.analysis.memory.timeline.tape import Block, Tape
from archc.graph import Graph, Node
from archc.graph.structure import ancestors

GENERATOR = 5056  # bytes of the state of the CPU's random generator


@dataclass(eq=False, slots=True)
class Frame:
    """A region of one step.

    last: the layer, or the region within, at which all is saved that backward wants; None where nothing is
    waiting: how many layers and regions within have not let go of what they saved; wanted: whether a gradient will come to one
    held: what it holds until none does; given: its inputs as the region around it made them again
    """

    call: RegionCall
    around: Frame | None
    last: Node | RegionCall | None = None
    waiting: int = 0
    wanted: bool = False
    done: bool = False
    held: list[Block] = field(default_factory=list)
    given: list[Block] = field(default_factory=list)

    def leave(self, tape: Tape) -> None:
        """One less waits; the last lets go of the frame."""
        self.waiting -= 1
        if not self.waiting:
            for block in (*self.held, *self.given):
                tape.free(block)
            self.held, self.given = [], []
            if self.around is not None:
                self.around.leave(tape)


class Frames:
    """The regions of a step. `of`: the innermost of each layer that is in one; `numbers`: what no region keeps from being kept."""

    def __init__(self, graph: Graph, run: StorageRun, instructions: Iterable[Instruction], numbers: set[Storage]) -> None:
        self.steps = {step.node: step for step in run.steps}
        self.numbers = numbers
        self.live = ancestors(graph.returned, by_value=True)
        self.of: dict[Node, Frame] = {}
        self.by_call: dict[RegionCall, Frame] = {}
        for _, call in instructions:
            if isinstance(call, RegionCall):
                self._frame(call, None)
        self.stays = set(self._stays(run))

    def saves(self, node: Node) -> bool:
        return any(storage not in self.numbers for storage in self.steps[node].kept)

    def wants(self, node: Node) -> bool:
        """Whether a layer saves something, and a gradient will come for it."""
        return node in self.live and self.saves(node)

    def _frame(self, call: RegionCall, around: Frame | None) -> Frame:
        frame = self.by_call[call] = Frame(call, around)
        for _, part in call.body:
            if isinstance(part, Node):
                self.of[part] = frame
                if self.saves(part):
                    frame.last = part
                    frame.waiting += 1
                    frame.wanted |= part in self.live
            elif isinstance(part, RegionCall):
                inner = self._frame(part, frame)
                frame.last = part
                frame.waiting += inner.waiting > 0
                frame.wanted |= inner.wanted
        return frame

    def _stays(self, run: StorageRun) -> Iterator[Storage]:
        """What is kept from the forward pass for backward."""
        for step in run.steps:
            yield from (storage for storage in step.kept if step.node not in self.of or storage in self.numbers)
        for frame in self.by_call.values():
            if frame.around is None and frame.waiting:
                yield from (run.tensors[value].storage for value in frame.call.inputs)


def remade_for(step: LayerRun, frames: Frames | None) -> set[Storage]:
    """What a layer saved that its region has made again."""
    frame = frames.of.get(step.node) if frames is not None else None
    if frames is None or frame is None or not frame.done or step.node not in frames.live:
        return set()
    return step.kept.keys() - frames.numbers


def free(step: LayerRun, frames: Frames | None, held: Mapping[Storage, Block], tape: Tape, gone: Collection[Storage] = ()) -> None:
    """Frees what was kept for a layer that has run backward, apart from what is gone, and its frame after the last."""
    inside = frames is not None and step.node in frames.of
    kept = step.kept
    if frames is not None and inside:
        computed = remade_for(step, frames)
        kept = {storage: at for storage, at in kept.items() if storage in computed or storage in frames.numbers}
    for storage in kept:
        if storage not in gone:
            tape.free(held[storage])
    if frames is not None and inside and frames.saves(step.node):
        frames.of[step.node].leave(tape)
