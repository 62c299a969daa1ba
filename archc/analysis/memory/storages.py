"""Which value lies in which storage when PyTorch runs a network, layer by layer, and what autograd keeps of each in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from archc.catalog.dtypes import NETWORK
from archc.graph import Graph, Node, Value
from archc.graph.dtypes import input_items
from archc.ops.facts import INPLACE, OWN, VIEW, Facts, Kept
from archc.ops.layout import CONTIGUOUS, CONVOLVED, Axes, Move, fresh, move_strides
from archc.ops.shape import product
from archc.ops.strides import Strided, contiguous


@dataclass(eq=False, slots=True)
class Storage:
    """A block of memory. All tensors in it need a gradient or none does: they are one tensor and its views.

    made_by: the layer that allocated it, None for an input of the network
    kept_by: the layer that first kept it for backward, if one did
    version: how often it was overwritten
    """

    bytes: int
    item: int
    made_by: Node | None
    needs_grad: bool = False
    kept_by: Node | None = None
    version: int = 0


@dataclass(eq=False, slots=True)
class StoredTensor:
    """A value as it lies in a storage.

    listed: the storage's version when a list of views was made that it stems from
    seen: whether autograd takes it for a view of another tensor
    """

    block: Strided
    storage: Storage
    listed: int | None = None
    seen: bool = False


@dataclass(frozen=True, slots=True)
class LayerRun:
    """A layer that ran: the tensors that it read and made, and the storages that it keeps, each with its version.

    wanting: which inputs needed a gradient at that time
    slots: the same storages one by one, as `keeps` of the layer's facts names them; None for what no gradient asks for
    """

    node: Node
    inputs: tuple[StoredTensor, ...]
    outputs: tuple[StoredTensor, ...]
    wanting: tuple[bool, ...]
    kept: dict[Storage, int]
    slots: tuple[Storage | None, ...] = ()

    @property
    def fused(self) -> bool:
        """Whether torch's kernel for the whole layer, where it has one, takes the inputs as they are."""
        return not _is_unfused(self.node.facts, self.inputs)

    @property
    def saving(self) -> bool:
        """Whether a gradient will be asked for: of an input, or of weights."""
        return any(self.wanting) or self.node.facts.learns


@dataclass(slots=True)
class StorageRun:
    """A forward pass: the layers in order, and the tensor of each value."""

    batch: int
    item: int
    tensors: dict[Value, StoredTensor] = field(default_factory=dict)
    steps: list[LayerRun] = field(default_factory=list)


def run(graph: Graph, batch: int = 1, dtype: str = "float32") -> StorageRun:
    """The forward pass of the network as it is for training."""
    done = StorageRun(batch, NETWORK[dtype])
    for value, item in input_items(graph, done.item).items():
        block = contiguous(value.shape.batched(batch))
        done.tensors[value] = StoredTensor(block, Storage(product(block.sizes) * item, item, None))
    for node in graph.nodes:
        step = _step(node, tuple(done.tensors[value] for value in node.inputs[: node.facts.reads]), done)
        done.steps.append(step)
        done.tensors.update(zip(node.outputs, step.outputs, strict=True))
    return done


def _step(node: Node, inputs: tuple[StoredTensor, ...], done: StorageRun) -> LayerRun:
    facts = node.facts
    wanting = tuple([x.storage.needs_grad and i not in facts.stops for i, x in enumerate(inputs)])
    needs_grad = any(wanting) or facts.learns
    if facts.storage == INPLACE:
        outputs: tuple[StoredTensor, ...] = (inputs[0],)
        inputs[0].storage.version += 1
        inputs[0].storage.needs_grad |= needs_grad
    elif facts.storage == VIEW:
        outputs = tuple(viewed(node, inputs[0], moves, done) for moves in facts.moves or ((),) * len(facts.outputs))
    elif facts.storage == OWN:
        outputs = (own_tensor(node, needs_grad, done),)
    else:
        outputs = tuple(new_tensor(node, i, inputs, needs_grad, done) for i in range(len(facts.outputs)))
    kept = [_kept(node, slot, inputs, outputs, done) for slot in _keeps(facts, inputs)] if needs_grad else []
    return LayerRun(node, inputs, outputs, wanting, _first(node, [storage for storage in kept if storage is not None]), tuple(kept))


def _first(node: Node, kept: list[Storage]) -> dict[Storage, int]:
    for storage in kept:
        storage.kept_by = storage.kept_by or node
    return {storage: storage.version for storage in kept}


def viewed(node: Node, x: StoredTensor, moves: Sequence[Move], done: StorageRun) -> StoredTensor:
    """The input, moved on; a new storage from where that takes a copy."""
    block, storage, listed = x.block, x.storage, x.listed
    for move in moves:
        block, copied = move_strides(block, move)
        if copied:
            storage, listed = Storage(product(block.sizes) * x.storage.item, x.storage.item, node, x.storage.needs_grad), None
    if block is x.block:
        return x
    return StoredTensor(
        block, storage, storage.version if node.facts.multi_output_view and listed is None else listed, storage is x.storage
    )


def own_tensor(node: Node, needs_grad: bool, done: StorageRun) -> StoredTensor:
    """The layer's own tensor, repeated for each image without a copy. Its bytes count where the layer's weights do."""
    block = contiguous(node.facts.outputs[0].batched(done.batch))
    if block.sizes[0] > 1:
        block = block._replace(strides=(0, *block.strides[1:]))
    storage = Storage(0, node.facts.item(0, done.item), node, needs_grad and not node.facts.is_integer(0))
    return StoredTensor(block, storage, seen=True)


def new_tensor(node: Node, index: int, inputs: tuple[StoredTensor, ...], needs_grad: bool, done: StorageRun) -> StoredTensor:
    facts = node.facts
    sizes = facts.outputs[index].batched(done.batch)
    room = max(product(sizes), int(facts.min_storage_values) * done.batch)
    item = facts.item(index, done.item)
    storage = Storage(room * item, item, node, needs_grad and not facts.is_integer(index))
    for moves in facts.moves[index : index + 1]:
        (move,) = moves
        assert isinstance(move, Axes), "a new output is at most permuted"
        return StoredTensor(move.view(contiguous(move.before(sizes))), storage, seen=True)
    layout = (
        CONTIGUOUS
        if _is_unfused(facts, inputs)
        else facts.layout
        if any(x.storage.needs_grad for x in inputs)
        else facts.layout_no_grad or facts.layout
    )
    block = fresh(layout, [x.block for x in inputs], _beside(facts, sizes[0]), sizes)
    return StoredTensor(block, storage, seen=_ends_in_view(node, inputs[0]))


def _ends_in_view(node: Node, x: StoredTensor) -> bool:
    """Whether what autograd gets of a layer is a view of what its kernel made: of linear over tokens, of pools over one axis …"""
    if node.kind == "rotary":
        return node.args.get("pairs") == "interleaved"
    if node.kind == "linear":
        return len(x.block.sizes) > 2 and x.block.contiguous and bool(node.args.get("bias", True))
    return node.kind in ("instancenorm", "repeat_interleave") or (
        len(x.block.sizes) == 3 and node.kind.endswith(("maxpool", "avgpool", "unpool"))
    )


def _beside(facts: Facts, batch: int) -> list[Strided]:
    """What a layer combines its inputs with."""
    if facts.operand_shape is not None and facts.operand_strides:
        return [Strided((batch, *facts.operand_shape), (0, *facts.operand_strides))]
    if facts.operand_shape is not None:
        return [contiguous((batch, *facts.operand_shape))]
    learned = [weight for weight in facts.tensors if weight.role != "buffer"]
    if facts.layout == CONVOLVED:  # filters that are computed stand behind the bias
        learned.sort(key=lambda weight: weight.values, reverse=True)
    return [contiguous(weight.shape) for weight in learned]


def _is_unfused(facts: Facts, inputs: tuple[StoredTensor, ...]) -> bool:
    """Whether torch's kernel for attention does not take them: it wants features side by side, and gives a mask no gradient."""
    if facts.unfused is None:
        return False
    apart = any(x.block.sizes[-1] > 1 and x.block.strides[-1] != 1 for x in inputs[:4])
    return apart or any(x.storage.needs_grad for x in inputs[3:])


def _keeps(facts: Facts, inputs: tuple[StoredTensor, ...]) -> tuple[Kept, ...]:
    if facts.unfused is not None and _is_unfused(facts, inputs):
        return facts.unfused
    alike = len(inputs) > 1 and all(x is inputs[0] for x in inputs)
    return (facts.keeps_alike if alike and facts.keeps_alike is not None else facts.keeps) or ()


def _kept(node: Node, kept: Kept, inputs: tuple[StoredTensor, ...], outputs: tuple[StoredTensor, ...], done: StorageRun) -> Storage | None:
    """The storage that is kept, if a gradient asks for it."""
    if kept.wanted_by and not any(inputs[i].storage.needs_grad for i in kept.wanted_by):
        return None
    if kept.what == "output":
        return outputs[kept.which].storage
    if kept.what == "input" or kept.moves:
        return _storage_after(node, inputs[kept.which], kept.moves)
    item = {"float32": 4, "int64": 8}.get(kept.dtype, done.item)
    return Storage(int(kept.values) * (done.batch if kept.per_image else 1) * item, item, node)


def _storage_after(node: Node, x: StoredTensor, moves: Sequence[Move]) -> Storage:
    """The input's storage, or that of the copy which the moves take."""
    block = x.block
    for move in moves:
        block, copied = move_strides(block, move)
        if copied:
            return Storage(product(block.sizes) * x.storage.item, x.storage.item, node)
    return x.storage


def run_in_eval(graph: Graph, batch: int, dtype: str) -> StorageRun:
    """As `storages.run`, for inference: nothing is kept, and what acts in training alone hands its input on."""
    done = StorageRun(batch, NETWORK[dtype])
    for value, item in input_items(graph, done.item).items():
        block = contiguous(value.shape.batched(batch))
        done.tensors[value] = StoredTensor(block, Storage(product(block.sizes) * item, item, None))
    for node in graph.nodes:
        inputs = tuple(done.tensors[value] for value in node.inputs[: node.facts.reads])
        outputs = _outputs_in_eval(node, inputs, done)
        done.steps.append(LayerRun(node, inputs, outputs, (False,) * len(inputs), {}))
        done.tensors.update(zip(node.outputs, outputs, strict=True))
    return done


def _outputs_in_eval(node: Node, inputs: tuple[StoredTensor, ...], done: StorageRun) -> tuple[StoredTensor, ...]:
    facts = node.facts
    if facts.identity_in_eval or facts.storage == INPLACE:
        return inputs[:1]
    if facts.storage == VIEW:
        return tuple(viewed(node, inputs[0], moves, done) for moves in facts.moves or ((),) * len(facts.outputs))
    if facts.storage == OWN:
        return (own_tensor(node, False, done),)
    return tuple(new_tensor(node, i, inputs, False, done) for i in range(len(facts.outputs)))
