"""The forward pass on a tape: values as the program holds them, and what autograd keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archc.analysis.memory.storages import LayerRun, Storage, StorageRun
from archc.analysis.memory.timeline.frames import GENERATOR, Frame, Frames
from archc.analysis.memory.timeline.order import DROP, Instruction, RegionCall
from archc.analysis.memory.timeline.passing import first_slots, temporaries
from archc.analysis.memory.timeline.tape import KEPT, PASSING, RECOMPUTED, TEMPORARY, Block, Tape
from archc.graph import Node
from archc.ops.facts import NEW
from archc.ops.shape import product

_BY_NUMBERS = {"average", "scale", "lrn", "lppool"}
_BY_PARTS = {"drop_path"}  # layers of several operations, the results of which are there at a time


class Forward:
    """Runs instructions. `held` are the blocks of the storages that are there."""

    def __init__(self, tape: Tape, run: StorageRun, training: bool, device: str, frames: Frames | None = None) -> None:
        self.tape = tape
        self.run = run
        self.unit = run.batch * run.item  # the bytes of a value of every image
        self.training = training
        self.device = device
        self.number = 8 if device == "cpu" else 0
        self.steps: dict[Node, LayerRun] = {step.node: step for step in run.steps}
        self.held: dict[Storage, Block] = {}
        self.frames = frames
        self.keeps = True  # whether what layers save is kept: not in a region
        self.rerunning: Frame | None = None  # the region that runs again
        self.names: dict[Block, int] = {}  # how often the functions of a region that runs again hold a block

    def go(self, instructions: Iterable[Instruction]) -> None:
        for what, instruction in instructions:
            if isinstance(instruction, Node):
                self._layer(self.steps[instruction])
            elif isinstance(instruction, RegionCall):
                self._call(instruction)
            elif what == DROP:
                self._drop(self.held[self.run.tensors[instruction].storage])
            else:
                self._name(self.held[self.run.tensors[instruction].storage])
            if self.rerunning is not None and instruction is self.rerunning.last:
                return

    def rerun(self, frame: Frame) -> None:
        """Runs a region again, after the one around it. All that its layers save is kept; its names go when it stops."""
        if frame.around is not None and not frame.around.done:
            self.rerun(frame.around)
        frame.done, self.rerunning, self.names = True, frame, {}
        # fork_rng keeps the generator's present state, while the region draws again what it drew at first
        if frame.call.noise and self.device == "cpu":
            self.names[self.tape.new(GENERATOR, TEMPORARY)] = 1
        self.go(frame.call.body)
        for block, count in self.names.items():
            for _ in range(count):
                self.tape.free(block)
        for block in frame.given:
            self.tape.free(block)
        frame.given, self.rerunning = [], None

    def _call(self, call: RegionCall) -> None:
        """A region: its frame holds its inputs. Within one that runs again, a new frame lives no longer than that does."""
        assert self.frames is not None
        frame = self.frames.by_call[call]
        inputs = [self.held[self.run.tensors[value].storage] for value in call.inputs]
        state = [self.tape.new(GENERATOR, KEPT if self.rerunning is None else TEMPORARY)] if call.noise and self.device == "cpu" else []
        if self.rerunning is not None:
            self.names.update(dict.fromkeys(state, 1))
            if self.rerunning is frame.around and frame.wanted and not frame.done:
                frame.given = _another(inputs)
            if call is self.rerunning.last:
                return
        elif frame.waiting:
            frame.held = [*state, *(_another(inputs) if frame.around is None else ())]
        keeps, self.keeps = self.keeps, False
        self.go(call.body)
        self.keeps = keeps
        if self.rerunning is None and not frame.waiting:
            for block in state:
                self.tape.free(block)

    def _layer(self, step: LayerRun) -> None:
        """Outputs, what is kept beside them, and what is gone when the layer is through."""
        if self.rerunning is not None:
            self._forget(step)
        if not self.keeps:
            self._unkept(step)
        elif step.node.kind == "attention" and self.training and step.saving:
            self._attention(step)
        elif step.node.kind == "drop_path" and self.training and step.saving and step.node.args.get("p") != 1:
            for storage in step.kept:
                self._keep(storage, step.node)
            self._divisor(step.node)
            self._outputs(step)
        else:
            passing = [self.tape.new(size, TEMPORARY, step.node) for size in self._temporaries(step) if size]
            self._outputs(step)
            stops = self.rerunning is not None and self.rerunning.last is step.node and step.node.kind == "div"
            for storage in step.kept:
                if not (stops and self.frames is not None and storage in self.frames.numbers):  # it stops at the reciprocal
                    self._keep(storage, step.node)
            for block in passing:
                self.tape.free(block)
        self.tape.mark("forward" if self.rerunning is None else "recompute", step.node)

    def _forget(self, step: LayerRun) -> None:
        """What a layer makes when it runs again is in new blocks."""
        assert self.frames is not None
        for storage in (*(out.storage for out in step.outputs), *step.kept):
            if storage.made_by is step.node and storage not in self.frames.numbers:
                self.held.pop(storage, None)

    def _temporaries(self, step: LayerRun) -> list[int]:
        if step.node.kind == "drop_path" and self.training and not step.saving:  # noise, or where all is dropped the number 0
            return [self.number if step.node.args.get("p") == 1 else step.node.output.shape.batched(self.run.batch)[0] * self.run.item]
        return temporaries(step, self.unit, self.run.item, self.training and step.saving, self.number)

    def _unkept(self, step: LayerRun) -> None:
        """In a region, what a layer saves is gone when it is through; what one operator makes and frees is not told on the CPU."""
        assert self.frames is not None
        node, numbers = step.node, self.frames.numbers
        if node.kind == "attention" and self.device == "cpu":
            self._unkept_attention(step)
            return
        outputs = {out.storage for out in step.outputs}
        made = [storage.bytes for storage in step.kept if storage.made_by is node and storage not in outputs and storage not in numbers]
        if self.device == "cpu" and node.kind not in _BY_PARTS:
            number = self.number if node.kind in ("add", "sub") else 0  # one that is not kept is made before the operator
            made = temporaries(step, self.unit, self.run.item, node.kind == "average", number)
        passing = [self.tape.new(size, TEMPORARY, node) for size in made if size]
        if node.kind == "drop_path":
            self._divisor(node)
        self._outputs(step)
        for storage in step.kept:
            if storage in numbers:
                self._keep(storage, node)
        for block in passing:
            self.tape.free(block)

    def _attention(self, step: LayerRun) -> None:
        """What is projected together lies in another order than the kernel wants, so it is there twice for a while; so is the result of
        the two products, where dropout keeps them apart."""
        inputs, crossed, dropout = first_slots(step)
        slots = list(range(len(step.slots)))
        if crossed and not dropout:  # queries are projected before keys and values; with dropout, what is kept of them is scaled later
            slots = [0, inputs + 1, 1, inputs, *slots[inputs + 2 :]]
        size, counted = step.outputs[0].storage.bytes, set[Storage]()
        queries = self.tape.new(size, TEMPORARY, step.node) if crossed and dropout else None
        for i in slots:
            storage = step.slots[i]
            if storage is None or storage in counted:
                continue
            counted.add(storage)
            turned = product(step.node.inputs[-1].shape.batched(self.run.batch)[:2]) > 1
            twice = (i == inputs and turned) or (dropout and i == slots[-1])
            passing = self.tape.new(storage.bytes, TEMPORARY, step.node) if twice else None
            self._keep(storage, step.node)
            for block in (passing, queries if i == inputs else None):
                if block is not None:
                    self.tape.free(block)
        for storage in step.kept:
            if storage not in step.slots:  # weights in 2 bytes
                self._keep(storage, step.node)
        self._outputs(step)

    def _divisor(self, node: Node) -> None:
        """The number by which noise is divided, before it is used."""
        if self.number:
            self.tape.free(self.tape.new(self.number, TEMPORARY, node))

    def _unkept_attention(self, step: LayerRun) -> None:
        """The projection and its copy, which goes when the kernel has run; the result, which goes when it is projected."""
        inputs = len({id(x) for x in step.inputs})
        sizes = [storage.bytes for storage in step.kept]
        projected, result = sizes[inputs], sizes[-1]
        blocks = [self.tape.new(projected, TEMPORARY, step.node) for _ in range(2)]
        self.tape.free(blocks[0])
        kernel = self.tape.new(result, TEMPORARY, step.node)
        self.tape.free(blocks[1])
        self._outputs(step)
        self.tape.free(kernel)

    def _outputs(self, step: LayerRun) -> None:
        """The last layer that runs again ends as soon as it has saved what backward wants."""
        if self.rerunning is not None and self.rerunning.last is step.node:
            return
        for out in step.outputs:
            self._name(self._block(out.storage, step.node))

    def _keep(self, storage: Storage, node: Node) -> None:
        """What a layer saves. A number is kept by any layer; a graph that was made again holds one as long as names do."""
        if self.rerunning is None:
            self._block(storage, node).refs += 1
        elif self.frames is not None and storage in self.frames.numbers:
            self.names[self.tape.new(storage.bytes, TEMPORARY, node)] = 1
        elif self.frames is not None and node in self.frames.live:
            self._block(storage, node).refs += 1
        else:
            self._name(self._block(storage, node))

    def _name(self, block: Block) -> None:
        block.refs += 1
        if self.rerunning is not None:
            self.names[block] = self.names.get(block, 0) + 1

    def _drop(self, block: Block) -> None:
        self.tape.free(block)
        if self.rerunning is not None:
            self.names[block] -= 1

    def _block(self, storage: Storage, node: Node) -> Block:
        """The block of a storage, a new one where none is there, which nobody holds yet."""
        block = self.held.get(storage)
        if block is None or not block.refs:
            block = self.held[storage] = self.tape.new(storage.bytes, self._kind(storage), node)
            block.refs = 0
        return block

    def _kind(self, storage: Storage) -> str:
        if self.rerunning is not None:
            assert self.frames is not None
            return RECOMPUTED if self.keeps and storage.kept_by in self.frames.of else PASSING
        kept = storage.kept_by is not None if self.frames is None else storage in self.frames.stays
        return KEPT if kept else PASSING


def _another(blocks: list[Block]) -> list[Block]:
    for block in blocks:
        block.refs += 1
    return blocks


def masks(run: StorageRun) -> None:
    """On CUDA, one kernel drops values and keeps a mask of a byte a value; in place, it is as wide as the values."""
    for step in run.steps:
        if step.node.kind == "dropout" and step.node.facts.storage == NEW:
            for storage in step.kept:
                if storage.made_by is step.node and storage is not step.outputs[0].storage:
                    storage.bytes //= storage.item


def numbers(run: StorageRun) -> set[Storage]:
    """On the CPU, a number that a value is multiplied with is kept as a tensor of 8 bytes."""
    found: set[Storage] = set()
    for i, step in enumerate(run.steps):
        times_zero = step.node.kind == "drop_path" and step.node.args.get("p") == 1
        divided = step.node.kind == "div" and len(step.inputs) == 1
        if (step.node.kind in _BY_NUMBERS or divided or times_zero) and any(step.wanting):
            number = Storage(8, 8, step.node, kept_by=step.node)
            found.add(number)
            run.steps[i] = replace(step, kept={**step.kept, number: 0})
    return found
