"""How large a batch fits a memory, how much memory a batch needs, and what else would make it fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from archc.analysis.memory.timeline import Options, Timeline, inference, training
from archc.analysis.memory.timeline.bounds import CERTAIN, Bound
from archc.analysis.memory.timeline.line import FAR, FIRST, BatchLine
from archc.analysis.recompute import READY, CheckpointPlan
from archc.graph import Graph
from archc.graph.graph import growing

MOST = 2**20  # images; beyond it no search goes
MOST_PLANNED = 7_000  # `length`; no checkpointing is planned for longer networks
KEPT = 4  # timelines, for those that are asked for again
LONG = 4_500  # `length`; beyond, all steps are found from one that is simulated, and what is tried is bounded
TRIED = 3  # times that the allocator is replayed for the largest batch of a long network
EFFORT = 32_000  # `length` that is simulated in looking for alternatives: of a long network, for few of them


def length(graph: Graph) -> int:
    """What a simulation costs, in plain layers: a weight is a fourth of one, a value that is read an eighth."""
    return len(graph.nodes) + sum(len(node.inputs) + 2 * len(node.facts.owned) for node in graph.nodes) // 8


@dataclass(slots=True)
class Effort:
    """What is left of it, and the alternatives that it was not enough for."""

    left: int = EFFORT
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way to train, what it needs at a batch, and the largest batch that fits."""

    name: str
    options: Options
    needed: int | None
    largest: int | None
    plan: CheckpointPlan | None = None
    bound: Bound = CERTAIN


@dataclass(frozen=True)
class Fitting:
    """Simulations of one network, under a plan of checkpointing if there is one."""

    graph: Graph
    inference: bool = False
    plan: CheckpointPlan | None = None
    effort: Effort = field(default_factory=Effort, compare=False)
    known: dict[Options, Timeline] = field(default_factory=dict, compare=False)  # the last few
    lines: dict[Options, BatchLine | None] = field(default_factory=dict, compare=False)  # of long networks, without a batch
    short: list[Options] = field(default_factory=list, compare=False)  # those for which a larger batch may fit than was found

    @cached_property
    def length(self) -> int:
        return length(self.graph)

    def timeline(self, options: Options) -> Timeline:
        if options not in self.known:
            line = self._line(options) if self.length > LONG and options.images >= FIRST else None
            self._keep(line.at(options.batch) if line is not None else self._simulated(options))
        return self.known[options]

    def _simulated(self, options: Options) -> Timeline:
        self.effort.left -= self.length
        return inference(self.graph, options) if self.inference else training(self.graph, options, self.plan)

    def _line(self, options: Options) -> BatchLine | None:
        """The steps with any batch, of a network for which there is not the time to simulate one after another; None where a
        size is not linear in the batch."""
        far = replace(options, batch=FAR * options.accumulate)
        if far not in self.lines:
            try:
                self.lines[far] = BatchLine(self._simulated(far))
            except ValueError:
                self.lines[far] = None
        return self.lines[far]

    def _keep(self, made: Timeline) -> None:
        while len(self.known) >= (KEPT if self.length <= LONG else KEPT - 1):
            del self.known[next(iter(self.known))]
        self.known[made.options] = made

    def needed(self, options: Options) -> int:
        return self.timeline(options).needed_bytes

    def largest(self, options: Options, memory: int) -> int:
        """The largest batch that fits a memory, in whole passes; 0 where one image a pass is too much. What is allocated bounds it,
        fragments may cost some."""
        if self.length > LONG and (line := self._line(options)) is not None:
            with growing():
                return self._largest_of_long(options, memory, line)

        def simulated(images: int) -> Timeline:
            return self.timeline(replace(options, batch=images * options.accumulate))

        def allocated(images: int) -> int:
            found = simulated(images)
            return found.allocated_bytes + found.workspace if options.device == "cuda" else found.peak_bytes

        def fits(images: int) -> bool:
            return simulated(images).fits(memory)

        high = largest(allocated, memory)
        low, step = high, 1
        while low > 0 and not fits(low):
            high, low, step = low, max(low - step, 0), 2 * step
        while high - low > 1 and self.effort.left > 0:  # past it, the last that is known to fit
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        if high - low > 1 and low < MOST:
            self.short.append(options)
        return low * options.accumulate

    def _largest_of_long(self, options: Options, memory: int, line: BatchLine) -> int:
        """As `largest`, with one simulation and few replays of the allocator."""
        passes = options.accumulate

        def guessed(room: int) -> int:
            return largest(lambda images: line.least(images * passes), room)

        low, guess = FIRST, guessed(memory)
        high, tried = guess + 1, 0
        while high - low > 1 and (low == FIRST or tried < TRIED):
            if tried == TRIED and not self._fits(FIRST, options, memory):
                break
            found = line.at(guess * passes)
            tried += 1
            if (filled := found.filled(memory)) is None:
                self._keep(found)
                low, guess = guess, (guess + high) // 2
            else:  # of fewer images, about as many bytes are in use when it fails: those are room for so many
                fewer = guess - (guess << tried) // 64 - 1
                high, guess = guess, max(low + 1, min(guessed(filled), fewer) if tried == 1 else fewer)
        if low == FIRST and not self._fits(FIRST, options, memory):
            return passes if self._fits(1, options, memory) else 0
        if high - low > 1:
            self.short.append(options)
        return low * passes

    def _fits(self, images: int, options: Options, memory: int) -> bool:
        return self.timeline(replace(options, batch=images * options.accumulate)).fits(memory)

    def alternatives(
        self, options: Options, memory: int | None, batch: int | None, least: CheckpointPlan | None = None
    ) -> Iterator[Alternative]:
        """The options themselves, then others, one change at a time. `least` is the plan with the smallest peak, if it is known.

        What `effort` has no room for is left out, and named there.
        """
        for name, change in ways(options, self.inference):
            if self._affords(name):
                yield self._alternative(name, change, memory, batch)
        norms = READY["norms"](self.graph) if not self.inference and self.plan is None else CheckpointPlan(())
        for name, plan in (("normalizations recomputed", norms), ("most recomputed", least or CheckpointPlan(()))):
            if plan.regions and self._affords(name):
                yield replace(self, plan=plan, known={})._alternative(name, options, memory, batch)

    def _affords(self, name: str) -> bool:
        """Whether there is room for another search, which takes some four simulations. The first has room anyway, and of a
        long network it is the only one."""
        if self.known and (self.effort.left < 4 * self.length or self.length > LONG):
            self.effort.skipped.append(name)
            return False
        return True

    def _alternative(self, name: str, options: Options, memory: int | None, batch: int | None) -> Alternative:
        needed = self.needed(replace(options, batch=batch)) if batch else None
        most = self.largest(options, memory) if memory else None
        # one image is no step that a long network is simulated for: what holds of the largest batch is told
        seen = batch or (most if self.length > LONG else 0) or options.accumulate
        return Alternative(name, options, needed, most, self.plan, self.timeline(replace(options, batch=seen)).bound)


def largest(needed: Callable[[int], int], memory: int) -> int:
    """A search between a batch that fits and one that does not. Memory grows nearly by a straight line, along which it guesses."""
    low, below = 1, needed(1)
    if below > memory:
        return 0
    high, above = 8, needed(8)
    while above <= memory:
        if high >= MOST:
            return MOST
        guess = high + (memory - above) * (high - low) // max(above - below, 1) + 1
        low, below, high = high, above, min(max(guess, high + 1), 1024 * high, MOST)
        above = needed(high)
    while high - low > 1:
        guess = low + (memory - below) * (high - low) // max(above - below, 1)
        middle = min(max(guess, low + (high - low) // 16, low + 1), high - 1 - (high - low) // 16)
        size = needed(middle)
        if size <= memory:
            low, below = middle, size
        else:
            high, above = middle, size
    return low


def ways(options: Options, forward: bool) -> Iterator[tuple[str, Options]]:
    yield "as asked", options
    if options.dtype == "float32" and not options.amp:
        if forward:
            yield "bfloat16", replace(options, dtype="bfloat16")
            return
        yield "under autocast to bfloat16", replace(options, amp="bfloat16")
    if forward:
        return
    if options.how != "fused" and options.optimizer in ("adam", "adamw"):
        yield f"fused {options.optimizer}", replace(options, how="fused")
    for other in ("momentum", "sgd"):
        if options.optimizer != other and (options.optimizer, other) != ("sgd", "momentum"):
            yield f"with {other}", replace(options, optimizer=other, how="", arguments={})
