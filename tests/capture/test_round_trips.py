"""What archc makes, captured again: operators in their PyTorch form, and the networks that ship."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

import archc
from archc.analysis.compare.exact import differences
from archc.analysis.memory.saved import saved
from archc.graph import Graph, Node, Value
from archc.ops import OPERATORS, Shape
from tests.helpers.torch_form import Layer
from tests.helpers.zoo import every_spec, shipped
from tests.ops.cases import CASES, Case, each_of

# Operators whose PyTorch form is one function of another operator, or several functions: the same work and memory, in other layers.
SPELT_OTHERWISE = {
    "adaptive_avgpool": "one value for a map is the global pool",
    "adaptive_maxpool": "one value for a map is the global pool",
    "mean": "over all places of a map it is the global pool",
    "tokens": "a reshape and a transposition",
    "add": "of three it is two sums",
    "mul": "of three it is two products",
    "average": "a sum and a quotient",
    "maximum": "of three it is two comparisons",
    "minimum": "of three it is two comparisons",
    "slice": "one range of an axis is a split, or a cut of a map",
    "expand": "nothing is done where nothing is stretched",
    "cummax": "torch gives the indices, too",
    "cummin": "torch gives the indices, too",
    "pad": "where nothing is added, it is a copy",
    "center_crop": "a crop for each axis",
    "crop": "a crop for each axis",
    "conv": "a border that differs on two sides is a pad",
    "maxpool": "a border that differs on two sides is a pad",
    "avgpool": "a border that differs on two sides is a pad",
    "layernorm": "over channels, between two permutations",
    "identity": "nothing is done",
    "scaled_dot_product_attention": "a mask with fewer axes is given more",
    "shift_mask": "the mask is a buffer, and is added",
    "frozen_batchnorm": "its statistics are buffers of their own",
    "normalize": "its factors are a layer of their own",
    "rnn": "states at the start are copied before",
    "gru": "states at the start are copied before",
    "lstm": "states at the start are copied before",
    "flatten": "nothing is done to a vector",
    "dropout": "without a probability nothing is done",
    "spatial_dropout": "without a probability nothing is done",
    "drop_path": "without a probability nothing is done, and with a certain one the values are multiplied by zero",
}
# Those that a model of one layer does not show.
NOT_ALONE = {
    **dict.fromkeys(("experts", "nms"), "values decide"),
    **dict.fromkeys(("parameter", "buffer", "constant", "computed"), "no input bears on what comes out"),
    **dict.fromkeys(("join_batch", "leave_batch"), "they stand between other layers"),
    **dict.fromkeys(("roi_pool", "roi_align", "deform_conv"), "without torchvision, they are many steps of indexing"),
}
# Those of which a part comes out opaque, and why.
OPAQUE = {
    "frozen_batchnorm": "",  # a scale that is computed from buffers
    "index": "no operator says it",  # the numbers are in a tensor, which has none here
    "avgpool": "avg_pool",  # of a pool's sums and the places that are no border, which is a constant map
}
# Those of which a part is computed from weights or numbers alone, of whose steps no more is known than what they give.
COMPUTED = {
    "conv": "filters are standardized",
    "rotary": "sines and cosines of positions",
    "relative_position_bias": "of a window that is no square",
    "frozen_batchnorm": "a scale of its statistics",
    "avgpool": "the places that are no border",
}


def computes(graph: Graph) -> bool:
    return any(node.kind == "computed" or node.args.get("parametrize") == "computed" for node in graph.nodes)


def alone(case: Case) -> Graph:
    """The operator as a network of one layer."""
    graph = Graph("alone", "", {})
    for at, shape in enumerate(case.shapes):
        value = Value(None, 0, Shape(shape), f"input{at}")
        graph.inputs[value.name] = value
    op = OPERATORS[case.op]
    node = Node("own", op, dict(case.args), tuple(graph.inputs.values()), case.facts(), graph.root)
    graph.nodes.append(node)
    graph.root.children.append(node)
    graph.outputs = {f"output{value.index}": value for value in node.outputs}
    return graph


def counted(graph: Graph) -> dict[str, Any]:
    report = archc.analyze(graph)
    return {name: report.counts[name] for name in ("parameters", "macs")}


@each_of([case for case in CASES if case.op not in NOT_ALONE])
def test_an_operator_and_its_torch_form(case: Case) -> None:
    ours = alone(case)
    dtypes = [":int64" * (case.facts().taken(i) == "int64") for i in range(len(case.shapes))]
    shapes = ["x".join(map(str, shape)) + dtype for shape, dtype in zip(case.shapes, dtypes, strict=True)]
    graph = archc.capture(Layer(case.facts()), shapes)
    opaque = [node for node in graph.nodes if node.kind == "opaque"]
    assert [tuple(value.shape) for value in graph.outputs.values()] == [tuple(value.shape) for value in ours.outputs.values()]
    assert counted(graph) == counted(ours)
    if opaque:
        assert case.op in OPAQUE and OPAQUE[case.op] in opaque[0].args["why"]
        return
    if computes(graph):
        assert case.op in COMPUTED or case.args.get("parametrize") == "computed"
        assert saved(graph, 2).total <= saved(ours, 2).total
        return
    assert saved(graph, 2).total == saved(ours, 2).total
    (node,) = graph.nodes if len(graph.nodes) == 1 else (None,)
    if node is None or node.kind != case.op or len(node.outputs) != len(case.facts().outputs):
        assert case.op in SPELT_OTHERWISE, [node.kind for node in graph.nodes]
        return
    ours_facts = case.facts()
    for what in ("outputs", "owned", "work", "keeps", "reach"):
        assert getattr(node.facts, what) == getattr(ours_facts, what), what


@every_spec
def test_networks_that_ship(name: str) -> None:
    spec = shipped(name)
    with torch.device("meta"):
        module = archc.build(spec)
    graph = archc.capture(module, [tuple(value.shape) for value in spec.inputs.values()])
    assert graph.captured is not None
    named = graph.captured.weights
    tensors = [
        named.get(full, full)
        for node in graph.nodes
        if node.shared is None
        for full in (f"{node.name}.{weight.name}" if weight.name else node.name for weight in node.facts.owned)
    ]
    assert sorted(tensors) == sorted(module.state_dict())
    assert counted(graph) == counted(spec)
    assert differences(spec, graph) == []
    ours, theirs = archc.analyze(spec), archc.analyze(graph)
    assert ours.counts["flops"] == theirs.counts["flops"]
    assert archc.memory(graph, batch=2).peak_bytes == archc.memory(spec, batch=2).peak_bytes
    fields = [[list(report.fields[value].values()) for value in report.graph.outputs.values()] for report in (ours, theirs)]
    assert fields[0] == fields[1]
