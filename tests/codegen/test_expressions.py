"""Forms of any shape as source: what they name is imported, they run, and they run again in backward."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archc.analysis.recompute import CheckpointPlan, Region
from archc.codegen.lowering import lower
from archc.elaborate.compiler import compile_text
from archc.graph import Graph
from archc.ops.facts import Expression, Module

torch = pytest.importorskip("torch")

from archc.runtime.build.build import make_module

SPEC = """
name: net
doc: Written without torch. or F. in it.
input: [4, 6, 6]
layers: {first: {conv: 4}, odd: relu, last: tanh}
"""
FORMS = [
    (Module("nn.ReLU", call="{self}.requires_grad_(False)({0})"), set()),
    (Module("nn.ReLU", call="{self}( {0}*1.0 )"), set()),
    (Module("nn.ReLU", call="[{self}, {self}][0]({0})"), set()),
    (Module("nn.ModuleList", call="({0}, *{self})[0].relu()"), set()),
    (Expression("(lambda t: F.relu(t))({0})"), {"F"}),
    (Expression("torch.stack([t.relu() for t in {0}])"), {"torch"}),
    (Expression("{0}.relu() if {0}.dim() else {{'a': {0}}}['a']"), set()),
    (Expression(" + ".join(["{0}.relu() * 0.0625"] * 16)), set()),
    (Expression("torch.clamp(torch.maximum({0}, torch.zeros_like({0}) * 0.125 + 0.0), min=0.0, max=1000000.0)"), {"torch"}),
]  # fmt: skip


def net(form: Module | Expression) -> Graph:
    graph = compile_text(SPEC).graph
    assert graph is not None
    graph.nodes[1].facts = replace(graph.nodes[1].facts, torch=form)
    return graph


@pytest.mark.parametrize(("form", "imported"), FORMS, ids=lambda value: getattr(value, "call", getattr(value, "text", None)))
def test_any_form_runs_once_and_again(form: Module | Expression, imported: set[str]) -> None:
    graph = net(form)
    plain = lower(graph).source
    head = plain.text.partition("class ")[0].splitlines()
    assert {name for name, line in {"F": "import torch.nn.functional as F", "torch": "import torch"}.items() if line in head} == imported
    assert max(map(len, plain.text.splitlines())) <= 88
    torch.manual_seed(0)
    module = make_module(plain)
    x = torch.randn(2, 4, 6, 6)
    wanted = module(x)
    assert torch.allclose(wanted, module.last(module.first(x).relu()))
    for plan in ([Region("odd")], [Region("odd", "last")], [Region("first", "odd")]):
        again = make_module(lower(graph, "", CheckpointPlan(tuple(plan))).source).train()
        again.load_state_dict(module.state_dict())
        assert torch.equal(again(x), wanted)
        again(x).sum().backward()
        assert all(parameter.grad is not None for parameter in again.parameters())
