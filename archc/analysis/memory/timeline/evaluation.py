"""The values of a network in eval mode without gradients: which lies in which storage."""

from __future__ import annotations

from archc.analysis.memory.storages import Run, Step, Storage, Tensor, items_of, new_tensor, viewed
from archc.catalog.dtypes import NETWORK
from archc.graph import Graph, Node
from archc.ops.facts import INPLACE, VIEW
from archc.ops.shape import product
from archc.ops.strides import contiguous


def evaluated(graph: Graph, batch: int, dtype: str) -> Run:
    """As `storages.run`, for inference: nothing is kept, and what acts in training alone hands its input on."""
    done = Run(batch, NETWORK[dtype])
    for value, item in items_of(graph, done.item).items():
        block = contiguous((batch, *map(int, value.shape)))
        done.tensors[value] = Tensor(block, Storage(product(block.sizes) * item, item, None))
    for node in graph.nodes:
        inputs = tuple(done.tensors[value] for value in node.inputs[: node.facts.reads])
        outputs = _outputs(node, inputs, done)
        done.steps.append(Step(node, inputs, outputs, (False,) * len(inputs), {}))
        done.tensors.update(zip(node.outputs, outputs, strict=True))
    return done


def _outputs(node: Node, inputs: tuple[Tensor, ...], done: Run) -> tuple[Tensor, ...]:
    facts = node.facts
    if facts.identity_in_eval or facts.storage == INPLACE:
        return inputs[:1]
    if facts.storage == VIEW:
        return tuple(viewed(node, inputs[0], moves, done) for moves in facts.moves or ((),) * len(facts.outputs))
    return tuple(new_tensor(node, i, inputs, False, done) for i in range(len(facts.outputs)))
