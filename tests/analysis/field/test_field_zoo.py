"""Receptive fields of the specs that ship, at their own sizes, against autograd: each layer made for one channel, its windows kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archc.analysis.field.field import fields, list_positions
from archc.elaborate.compiler import compile_spec
from archc.graph import Node
from archc.language.loading import shipped
from archc.ops.facts import Module

torch = pytest.importorskip("torch")

from tests.helpers.gradients import prepared
from tests.helpers.torch_form import Layer

AS_THEY_ARE = (
    "maxpool",
    "avgpool",
    "adaptive_avgpool",
    "adaptive_maxpool",
    "global_avgpool",
    "global_maxpool",
    "upsample",
    "center_crop",
    "pad",
)
MOST_LAYERS = 700


def thin(node: Node, xs: list[torch.Tensor]) -> torch.Tensor:
    """The layer on maps of one channel. Raises KeyError for one that moves channels or positions otherwise."""
    form = node.facts.torch
    if node.kind in ("conv", "conv_transpose"):
        assert isinstance(form, Module)
        options = {name: value for name, value in form.options.items() if name not in ("groups", "eps")}
        made = Module(form.name.replace("Standardized", "nn."), (1, 1, form.args[2]), options, form.call)
        return prepared(Layer(replace(node.facts, torch=made)))(xs[0])  # type: ignore[no-any-return]
    if node.kind in AS_THEY_ARE:
        return prepared(Layer(node.facts))(*xs)  # type: ignore[no-any-return]
    if node.kind in ("add", "mul", "average") or (node.kind == "concat" and not node.args["axis"]):
        return sum(xs[1:], xs[0])
    if node.kind == "flatten":
        return xs[0].flatten(1).mean(1, keepdim=True)
    if node.facts.reach == "point" or node.kind in ("channel_shuffle", "lrn", "softmax", "split", "linear"):
        return xs[0]
    raise KeyError(node.kind)


@pytest.mark.heavy
@pytest.mark.parametrize("name", [path.stem for path in shipped()])
def test_positions_of_a_spec_see_what_autograd_finds(name: str) -> None:
    graph = compile_spec(name).graph
    assert graph is not None
    graph = graph.deployed()
    (x, *_) = graph.inputs.values()
    maps = [node for node in graph.nodes if len(node.output.shape) == 3 and node.output.shape[1] > 1]
    if len(x.shape) != 3 or len(graph.nodes) > MOST_LAYERS or len(maps) < 3:
        pytest.skip("no maps, or too many layers for automatic differentiation in moments")
    torch.manual_seed(0)
    values = {x: (torch.rand(1, 1, *x.shape[1:], dtype=torch.double) + 0.5).requires_grad_()}
    try:
        for node in graph.nodes:
            out = thin(node, [values[one] for one in node.inputs])
            values |= dict.fromkeys(node.outputs, out / out.detach().abs().mean())
    except KeyError as error:
        pytest.skip(f"{error} has no form for one channel")
    known = fields(graph)
    for node in (maps[len(maps) // 3], maps[2 * len(maps) // 3], maps[-1]):
        size = node.output.shape[1]
        here, (field,) = list_positions(graph, node), known[node.output].values()
        for i in sorted({0, 1, size // 3, size // 2, size - 1}):
            (grad,) = torch.autograd.grad(values[node.output].select(2, i).sum(), values[x], retain_graph=True)
            hit = (grad.abs().amax([0, 1, 3]) > 0).nonzero().flatten().tolist()
            first, last = field.axes[0].span(i)
            assert (hit[0], hit[-1]) == here.axes[0].span(i), (node.name, i)
            assert first <= hit[0] and hit[-1] <= last, (node.name, i)
