"""What a forward does: functions, loops, subclasses, and writes in place."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.analysis.memory.saved import saved
from archc.tracing import capture
from tests.helpers.captured import conv, kinds, numel, of

# What the functions of a forward do


def test_functions_are_layers() -> None:
    graph = of(lambda m, x: F.max_pool2d(F.relu(m.a(x)), kernel_size=2).flatten(1), a=conv())
    assert kinds(graph) == ["conv", "relu", "maxpool", "flatten"] and graph.nodes[-1].output.shape == (64,)


@pytest.mark.parametrize("padding", [1, (1, 1), "same"])
def test_a_functional_convolution_owns_its_weight(padding: Any) -> None:
    weight = nn.Parameter(torch.randn(4, 3, 3, 3))
    graph = of(lambda m, x: F.conv2d(x, m.weight, padding=padding), weight=weight)
    assert kinds(graph) == ["conv"] and archc.analyze(graph).parameters == 108


def test_a_filter_that_is_a_buffer_is_not_learned() -> None:
    graph = of(lambda m, x: F.conv2d(m.a(x), m.blur, groups=4), a=conv(), blur=torch.ones(4, 1, 3, 3))
    assert kinds(graph) == ["conv", "conv"] and graph.nodes[1].args["parametrize"] == "computed"
    assert archc.analyze(graph).parameters == numel(conv())


def test_python_loops_and_module_lists() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList([nn.Conv2d(4, 4, 3, 1, 1) for _ in range(3)])
            self.up = nn.ModuleList([nn.Conv2d(4, 4, 1) for _ in range(3)])

        def forward(self, x: Tensor) -> Any:
            for a, b in zip(self.down, self.up, strict=True):
                x = x + b(a(x))
            return x

    graph = capture(Loop(), (4, 8, 8))
    assert kinds(graph) == ["conv", "conv", "add"] * 3 and archc.analyze(graph).parameters == numel(Loop())
    assert set(Loop().state_dict()) == {
        graph.captured.weights.get(f"{node.name}.{weight.name}", f"{node.name}.{weight.name}")  # type: ignore[union-attr]
        for node in graph.nodes
        for weight in node.facts.owned
    }


def test_a_weight_that_is_computed_is_no_weight_of_the_layer() -> None:
    def standardized(m: Any, x: Tensor) -> Tensor:
        weight = m.weight - m.weight.mean(dim=(1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, padding=1)

    graph = of(standardized, weight=nn.Parameter(torch.randn(4, 3, 3, 3)))
    report = archc.analyze(graph)
    assert kinds(graph) == ["conv"] and report.parameters == 108 and report.macs == 64 * 108
    assert [weight.name for weight in graph.nodes[0].facts.owned] == ["weight_of.weight"] and archc.memory(graph).bound.reasons


def test_a_subclass_is_what_its_forward_does() -> None:
    class Activated(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(super().forward(x))

    class Silent(nn.Conv2d):
        pass

    graph = of(lambda m, x: m.b(m.a(x)), a=Silent(3, 4, 3), b=Activated(4))
    assert kinds(graph) == ["conv", "batchnorm", "relu"] and archc.analyze(graph).parameters == 112 + 8


# Writing in place


def test_in_place_is_kept() -> None:
    graph = of(lambda m, x: m.r(m.a(x)).relu_(), a=conv(), r=nn.ReLU(inplace=True))
    assert [node.args["inplace"] for node in graph.nodes[1:]] == [True, True]


def test_a_value_is_what_was_written_over_it() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        F.relu(y, inplace=True)
        return y + m.b(y)

    graph = of(forward, a=conv(), b=conv(4, 4))
    assert [value.node.kind for value in graph.nodes[-1].inputs if value.node] == ["relu", "conv"]


@pytest.mark.parametrize(
    "write",
    [
        lambda y: y[:, 0].add_(1),
        lambda y: y.view(-1).relu_(),
        lambda y: y.__setitem__((slice(None), 0), 0.0),
        lambda y: y.transpose(2, 3).mul_(2),
        lambda y: torch.add(y[:, :2], y[:, 2:], out=y[:, :2]),
    ],
)
def test_a_write_through_a_view_is_opaque(write: Any) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.a(x)
        with torch.no_grad():
            write(y)
        return m.b(y)

    graph = of(forward, a=conv(), b=conv(4, 4))
    last = graph.nodes[-1].inputs[0].node
    assert last is not None and last.kind == "opaque" and archc.memory(graph).bound.reasons


def test_a_view_that_no_operator_says_takes_no_memory() -> None:
    """Each of the views would be a map of its own: the bytes told are at least those that are kept, and never more."""
    graph = of(lambda m, x: m.b(m.a(x).unfold(2, 8, 1).squeeze(2).transpose(2, 3)), a=conv(), b=conv(4, 4))
    opaque = [node for node in graph.nodes if node.kind == "opaque"]
    assert opaque and all(node.args["view"] for node in opaque)
    assert saved(graph, 2).total == 4 * 2 * (3 + 4) * 64
