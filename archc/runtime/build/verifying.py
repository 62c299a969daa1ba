"""What plugins state of their operators, compared with the modules that their forms make: on `meta`, so nothing is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from archc.analysis.cost.count import count
from archc.codegen.emit.source import source_of
from archc.graph import Graph, Node, Value
from archc.ops.facts import NEW, VIEW
from archc.ops.plugins import place_of
from archc.runtime.build.module import class_of
from archc.text.diagnostics import Diagnostic, SpecError, Use
from archc.text.quantity import counted
from archc.text.source import Source, Span

BATCH = 2


def verify(graph: Graph) -> None:
    """Raises SpecError where the form of a plugin's operator does not run, or is not what the plugin states."""
    found: list[Diagnostic] = []
    seen: set[int] = set()
    for node in graph.nodes:
        if node.op.built_in or node.facts.torch is None or id(node.facts) in seen:
            continue
        seen.add(id(node.facts))
        found += _of_node(node)
    if found:
        raise SpecError(found)


def _of_node(node: Node) -> list[Diagnostic]:
    try:
        module, inputs, outputs, flops = _ran(node)
    except Exception as error:  # whatever the plugin's code raises is about the plugin
        problem = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        return [_said(node, "torch", f"the form of {node.kind} does not run: {problem}", f"it was given {_shapes(node)}")]
    differences = [
        *_shape_differences(node, outputs),
        *_storage_differences(node, inputs, outputs),
        *_weight_differences(node, module),
        *_mac_differences(node, flops),
    ]
    return [_said(node, field, f"{node.kind} states {stated}; its module {has}", hint) for field, stated, has, hint in differences]


def _ran(node: Node) -> tuple[nn.Module, list[Tensor], tuple[Any, ...], int]:
    """The layer alone as a module, what it is given and gives for a batch on `meta`, and the FLOPs that PyTorch counts."""
    from torch.utils.flop_counter import FlopCounterMode

    alone = _alone(node)
    source = source_of(alone, [])
    with torch.device("meta"):
        module = class_of(source.text, source.name)()
    dtypes = [torch.int64 if node.facts.taken(i) == "int64" else torch.get_default_dtype() for i in range(len(node.inputs))]
    shapes = [(BATCH, *map(int, value.shape)) for value in alone.inputs.values()]
    inputs = [torch.empty(shape, dtype=dtype, device="meta") for shape, dtype in zip(shapes, dtypes, strict=True)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        outputs = module(*inputs)
    return module, inputs, tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,), int(counter.get_total_flops())


def _alone(node: Node) -> Graph:
    """A network of this layer, each of its inputs an input."""
    graph = Graph("layer", "", {})
    inputs = {f"x{i}": Value(None, 0, value.shape, f"x{i}") for i, value in enumerate(node.inputs)}
    graph.inputs = inputs
    copy = Node("layer", node.op, node.args, tuple(inputs.values()), node.facts, graph.root)
    graph.nodes = [copy]
    graph.root.children = [copy]
    graph.root.inputs = tuple(inputs.values())
    graph.root.outputs = copy.outputs
    graph.root.stop = 1
    names = ["output"] if len(copy.outputs) == 1 else [f"output.{i}" for i in range(len(copy.outputs))]
    graph.outputs = dict(zip(names, copy.outputs, strict=True))
    return graph


Difference = tuple[str, str, str, str]  # the field of Facts, what is stated, what the module has, what to do


def _shape_differences(node: Node, outputs: tuple[Any, ...]) -> Iterator[Difference]:
    facts = node.facts
    if len(outputs) != len(facts.outputs) or not all(isinstance(output, Tensor) for output in outputs):
        kinds = ", ".join(type(output).__name__ for output in outputs)
        yield "out", counted(len(facts.outputs), "output"), f"gives {kinds}", "state a shape for each tensor"
        return
    for index, (shape, tensor) in enumerate(zip(facts.outputs, outputs, strict=True)):
        stated, has = list(map(int, shape)), list(tensor.shape)
        which = f" of output {index}" if len(outputs) > 1 else ""
        if has[:1] != [BATCH] or has[1:] != stated:
            made = f"gives {has[1:]} for each image" if has[:1] == [BATCH] else f"gives {has} for a batch of {BATCH}"
            yield "out", f"the shape {stated}{which}", made, "shapes have no batch axis"
        dtype = str(tensor.dtype).removeprefix("torch.")
        wanted = facts.dtypes[index] if facts.dtypes else "same"
        own = "int64" if facts.taken(0) == "int64" and facts.storage == "view" else str(torch.get_default_dtype()).removeprefix("torch.")
        if dtype != (own if wanted == "same" else wanted):
            wish = f"the dtype {wanted}{which}" if wanted != "same" else f"no dtype{which}, the network's own"
            yield "dtypes" if facts.dtypes else "out", wish, f"gives {dtype}", f'dtypes=("{dtype}",)'


def _storage_differences(node: Node, inputs: list[Tensor], outputs: tuple[Any, ...]) -> Iterator[Difference]:
    taken = {tensor.untyped_storage()._cdata for tensor in inputs}
    shared = [isinstance(output, Tensor) and output.untyped_storage()._cdata in taken for output in outputs]
    if node.facts.storage == NEW and any(shared):
        yield "storage", "a new output", "gives its input, or a view of it", "storage=VIEW"
    elif node.facts.storage != NEW and not all(shared):
        yield "storage", f"an output that is {'a view' if node.facts.storage == VIEW else 'in place'}", "makes a new one", "storage=NEW"


def _weight_differences(node: Node, module: nn.Module) -> Iterator[Difference]:
    if node.facts.weights is None:
        return
    learned = {name: list(tensor.shape) for name, tensor in module.named_parameters()}
    kept = {name: list(tensor.shape) for name, tensor in module.named_buffers() if name in module.state_dict()}
    stated = {_full(weight.name): (list(map(int, weight.shape)), weight.role) for weight in node.facts.weights}
    for name, (shape, role) in stated.items():
        known = kept if role == "buffer" else learned
        what = "buffer" if role == "buffer" else "parameter"
        label = name.removeprefix("layer").removeprefix(".") or "(its own)"
        if name not in known:
            has = "has it as the other kind" if name in (learned if role == "buffer" else kept) else "has none of that name"
            yield "weights", f"a {what} {label} of {shape}", f"{has}: {_name_of({**learned, **kept})}", "name it as state_dict does"
        elif known[name] != shape:
            yield "weights", f"a {what} {label} of {shape}", f"has {known[name]}", "state the shape that the module makes"
    for name, shape in {**learned, **kept}.items():
        if name not in stated:
            label = name.removeprefix("layer").removeprefix(".") or "(its own)"
            yield "weights", f"no weight {label}", f"has one of {shape}", "state every tensor of its state_dict"


def _full(name: str) -> str:
    return f"layer.{name}" if name else "layer"


def _name_of(tensors: dict[str, list[int]]) -> str:
    names = [name.removeprefix("layer").removeprefix(".") or "(its own)" for name in tensors]
    return ", ".join(names[:6]) or "no tensors at all"


def _mac_differences(node: Node, flops: int) -> Iterator[Difference]:
    """PyTorch's counter has two FLOPs a MAC of convolutions and matrix products."""
    macs = count(node.facts.macs)
    counted = flops // (2 * BATCH)
    if counted < macs.low or (macs.high is not None and counted > macs.high):
        stated = f"{macs.low:,}" if macs.exact else f"{macs.low:,} to {macs.high:,}" if macs.high is not None else f"at least {macs.low:,}"
        hint = "where PyTorch's counter does not see the arithmetic, state macs=Between(0, n)"
        yield "macs", f"{stated} MACs", f"has {counted:,} by PyTorch's counter", hint


def _shapes(node: Node) -> str:
    return ", ".join(str([BATCH, *map(int, value.shape)]) for value in node.inputs)


def _said(node: Node, field: str, message: str, hint: str) -> Diagnostic:
    span = place_of(node.op.function, field)
    uses: tuple[Use, ...] = ()
    if node.written is not None:
        uses = (*node.written.uses, Use(node.kind, node.written.kind))
    return Diagnostic(
        "A706", message, span or (node.written.kind if node.written else Span(Source("<graph>", node.name), 0, 0)), hint, uses
    )
