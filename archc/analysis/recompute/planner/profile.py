"""What each layer adds to memory, read off one simulated step without a plan: the model with which plans are searched.

While a layer runs backward, there are its own needs (gradients, weights, temporaries: as without a plan) and what the layers before it
keep; a region keeps its inputs, and when its turn comes, also what its layers keep. On a chain this is what the simulation
does, as long as no value lives longer by a name than by what keeps it; elsewhere it is close. The simulation decides.
"""

from __future__ import annotations

from archc.analysis.memory.storages import LayerRun, Storage, StorageRun, run
from archc.analysis.memory.timeline import Options, Timeline
from archc.analysis.memory.timeline.autocast import cast
from archc.analysis.memory.timeline.forward import masks, numbers
from archc.analysis.memory.timeline.tape import Mark
from archc.catalog.dtypes import NETWORK
from archc.graph import Graph


class Profile:
    """Bytes by the place of a layer. Storages are numbers; those of inputs and outputs are there all the time and are left out.

    size, made, last: of a storage: its bytes, the layer that makes it, the last layer that reads it
    keeps, reads: of a layer, the storages that it keeps for backward and those of its inputs
    forward: what is there beside what is kept, above `base`, while a layer runs; backward: likewise in backward, in all
    grads: the same between layers of backward, before the layer below that place; loss: before backward; floor: what no plan changes
    """

    def __init__(self, timeline: Timeline) -> None:
        self.options, self.graph = timeline.options, timeline.graph
        self.ids: dict[Storage, int] = {}
        self.size: list[int] = []
        self.made: list[int] = []
        self.last: list[int] = []
        done = _run(self.graph, timeline.options)
        self.fixed = {done.tensors[value].storage for value in self.graph.returned}
        self.keeps = [self._numbers(list(step.kept), at) for at, step in enumerate(done.steps)]
        self.reads = [self._numbers([x.storage for x in step.inputs], at) for at, step in enumerate(done.steps)]
        self._lives(done.steps)
        self._windows(timeline, self._kept())

    def _numbers(self, storages: list[Storage], at: int) -> tuple[int, ...]:
        found = []
        for storage in dict.fromkeys(storages):
            if storage.made_by is None or storage in self.fixed:
                continue
            if storage not in self.ids:
                self.ids[storage] = len(self.size)
                self.size.append(storage.bytes)
                self.made.append(at)
                self.last.append(at)
            found.append(self.ids[storage])
        return tuple(found)

    def _lives(self, steps: list[LayerRun]) -> None:
        for at in reversed(range(len(steps))):
            for out in steps[at].outputs:
                if out.storage in self.ids:
                    self.made[self.ids[out.storage]] = at
        for at, reads in enumerate(self.reads):
            for storage in reads:
                self.last[storage] = max(self.last[storage], at)

    def _kept(self) -> list[int]:
        """What all layers up to each keep, without a plan."""
        seen: set[int] = set()
        total, found = 0, []
        for keeps in self.keeps:
            total += sum(self.size[storage] for storage in keeps if storage not in seen)
            seen.update(keeps)
            found.append(total)
        return found

    def _windows(self, timeline: Timeline, kept: list[int]) -> None:
        count = len(self.graph.nodes)
        at = self.graph.positions
        self.forward, self.backward, self.grads = [0] * count, [0] * count, [0] * (count + 1)
        self.floor = self.base = self.loss = 0
        for mark, most, left in _peaks(timeline):
            phase, place = mark.phase, at[mark.layer] if mark.layer is not None else 0
            if phase == "forward":
                self.forward[place] = max(self.forward[place], most - kept[place] - self.base)
            elif phase == "backward":
                self.backward[place] = max(self.backward[place], most - kept[place])
                self.grads[place] = left - (kept[place - 1] if place else 0)
            elif phase == "loss":
                self.loss = most - kept[-1]
                self.grads[count] = left - kept[-1]
            else:
                self.floor = max(self.floor, most)
                self.base = self.base or left


def _run(graph: Graph, options: Options) -> StorageRun:
    """The forward pass as the simulation runs it."""
    assert options.dtype in NETWORK
    done = run(graph, options.images, options.amp or options.dtype)
    if options.amp:
        cast(graph, done, options.device)
    if options.device == "cuda":
        masks(done)
    else:
        numbers(done)
    return done


def _peaks(timeline: Timeline) -> list[tuple[Mark, int, int]]:
    """Each mark with the most that was alive since the one before, and what is alive at it."""
    tape, live, event = timeline.tape, 0, 0
    found: list[tuple[Mark, int, int]] = []
    for mark in tape.marks:
        most = live
        while event < mark.event:
            block, made = tape.events[event]
            live += block.bytes if made else -block.bytes
            most = max(most, live)
            event += 1
        found.append((mark, most, live))
    return found
