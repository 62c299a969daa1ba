"""Predicts a step for any batch from one that is simulated: every size on the tape is linear in the batch."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

from archc.analysis.memory.timeline.allocator import UNIT
from archc.analysis.memory.timeline.result import Timeline
from archc.analysis.memory.timeline.tape import Block, Mark, Tape
from archc.graph.graph import growing

FAR = 2**61 - 1  # images of the step that is simulated: a prime far above any size without images, so that both parts of a size show
FIRST = 2  # images, from which on steps are alike: one image is a case of its own
_WITHOUT = 2**48  # bytes; no size without images is as large


class BatchLine:
    """The steps with `FIRST` images or more, from the one with `FAR`. Raises ValueError where a size on it is not linear in the batch.

    blocks: by the place of a block, its bytes without images and those an image; events: the places of the blocks, freed ones inverted
    lines: the different ones of these; steps: the place among them of each event's
    """

    def __init__(self, far: Timeline) -> None:
        assert far.options.images == FAR
        self.like = far
        with growing():
            places = {block: at for at, block in enumerate(_made(far.tape))}
            self.events = [places[block] if made else ~places[block] for block, made in far.tape.events]
            self.blocks = [_line(block.bytes) for block in places]
            self.lines = list(dict.fromkeys(self.blocks))
            numbers = {line: at for at, line in enumerate(self.lines)}
            # of each event the line of its block, counted from behind where it is freed
            self.steps = [numbers[self.blocks[place]] if place >= 0 else ~numbers[self.blocks[~place]] for place in self.events]

    def at(self, batch: int) -> Timeline:
        """The step with another batch, of at least `FIRST` images."""
        options = replace(self.like.options, batch=batch)
        assert options.images >= FIRST, "below, a step may be another"
        with growing():
            return replace(self.like, options=options, tape=self._tape(options.images), _pool=None)

    def _tape(self, images: int) -> Tape:
        tape, marks = Tape(), iter(self.like.tape.marks)
        mark = next(marks, None)
        old = _made(self.like.tape)
        blocks = [
            Block(fixed + images * each, old_block.kind, old_block.of) for (fixed, each), old_block in zip(self.blocks, old, strict=True)
        ]
        for number, place in enumerate(self.events):
            while mark is not None and mark.event == number:
                tape.marks.append(Mark(number, mark.phase, mark.layer, tape.live))
                mark = next(marks, None)
            block = blocks[place] if place >= 0 else blocks[~place]
            tape.events.append((block, place >= 0))
            tape.live += block.bytes if place >= 0 else -block.bytes
            if tape.live > tape.peak:
                tape.peak, tape.peak_event = tape.live, number + 1
        while mark is not None:
            tape.marks.append(Mark(mark.event, mark.phase, mark.layer, tape.live))
            mark = next(marks, None)
        return tape

    def least(self, batch: int) -> int:
        """At least so much is needed: the most that is there at a time, on CUDA in whole units of its allocator."""
        images, unit = replace(self.like.options, batch=batch).images, UNIT if self.like.options.device == "cuda" else 1
        sizes = [-(-max(fixed + images * each, 1) // unit) * unit for fixed, each in self.lines]
        signed = [*sizes, *(-size for size in reversed(sizes))]
        return max(accumulate(map(signed.__getitem__, self.steps)), default=0) + self.like.workspace


def _made(tape: Tape) -> list[Block]:
    return [block for block, made in tape.events if made]


def _line(size: int) -> tuple[int, int]:
    """The bytes without images, of which there may be fewer than none, and those an image."""
    each, without = divmod(size + _WITHOUT, FAR)
    if without > 2 * _WITHOUT:
        raise ValueError("a size is not linear in the batch")
    return without - _WITHOUT, each
