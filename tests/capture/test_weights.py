"""Whose the tensors of a captured model are: shared, tied, computed, written over, or no parameters."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn

import archc
from archc.tracing import capture
from tests.helpers.captured import Of, conv, kinds, numel, of

SDPA = "scaled_dot_product_attention"


# Shared and tied weights


def test_a_module_called_twice_owns_its_weights_once() -> None:
    graph = of(lambda m, x: m.b(m.b(m.a(x))), a=conv(), b=conv(4, 4))
    assert [node.shared and node.shared.name for node in graph.nodes] == [None, None, "b"]
    assert archc.analyze(graph).parameters == numel(nn.ModuleList([conv(), conv(4, 4)]))


def test_a_part_called_twice_is_shared() -> None:
    part = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU())
    graph = of(lambda m, x: m.part(m.part(m.stem(x))), stem=conv(), part=part)
    assert [node.name for node in graph.nodes] == ["stem", "part.0", "part.1", "part.2", "part_2.0", "part_2.1", "part_2.2"]
    assert [node.shared.name for node in graph.nodes if node.shared] == ["part.0", "part.1"]
    assert archc.analyze(graph).parameters == numel(conv()) + numel(part)


def test_two_names_of_one_module() -> None:
    shared = conv(4, 4)
    graph = of(lambda m, x: m.c(m.b(m.a(x))), a=conv(), b=shared, c=shared)
    assert archc.analyze(graph).parameters == numel(conv()) + numel(shared)


def test_weights_tied_across_kinds_are_counted_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(50, 8)
            self.head = nn.Linear(8, 50, bias=False)
            self.head.weight = self.table.weight

        def forward(self, tokens: Tensor) -> Any:
            return self.head(self.table(tokens))

    graph = capture(Tied(), (6,))
    report = archc.analyze(graph)
    assert kinds(graph) == ["embedding", "linear"] and report.parameters == 400 and report.macs == 6 * 8 * 50
    assert graph.nodes[1].ties == {"weight": (graph.nodes[0], "weight", False)}
    assert "self.head.weight = self.table.weight" in archc.source(graph)


def test_a_tie_survives_the_copy() -> None:
    first, second = conv(4, 4), conv(4, 4)
    second.weight, second.bias = first.weight, first.bias
    graph = of(lambda m, x: m.b(m.a(x)), (4, 8, 8), a=first, b=second)
    assert graph.nodes[1].shared is graph.nodes[0] and archc.analyze(graph).parameters == numel(first)


# Writing over weights


def _assigned(m: Any) -> None:
    m.a.weight.data = m.a.weight.data * 2


@torch.no_grad()
def _indexed(m: Any) -> None:
    m.a.weight[0] = 0


@pytest.mark.parametrize(
    "write",
    [
        torch.no_grad()(lambda m: m.a.weight.mul_(2)),
        torch.no_grad()(lambda m: torch.mul(m.a.weight, 2, out=m.a.weight)),
        lambda m: m.a.weight.data.clamp_(-1, 1),
        lambda m: m.a.weight.detach().view(-1).mul_(2),
        lambda m: nn.init.normal_(m.a.weight),
        _assigned,
        _indexed,
    ],
)
def test_a_weight_that_is_written_over_is_no_weight_of_the_layer(write: Any) -> None:
    module = Of(lambda m, x: (write(m), m.a(x))[1], a=conv())
    before = module.a.weight.clone()
    graph = capture(module, (3, 8, 8))
    assert kinds(graph) == ["conv2d?"] and archc.analyze(graph).parameters == numel(conv())
    assert "computed from a.weight" in graph.nodes[0].args["why"] and archc.memory(graph).bound.reasons
    assert torch.equal(module.a.weight, before)


def test_a_weight_made_anew_is_unknown() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        m.a.weight = nn.Parameter(m.a.weight * 2)
        return m.a(x)

    module = Of(forward, a=conv())
    weight = module.a.weight
    assert kinds(capture(module, (3, 8, 8))) == ["conv2d?"] and module.a.weight is weight


# Tensors that are no parameters


def test_tensors_held_as_plain_attributes_are_nobodys_weights() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = conv()
            self.mask, self.filter = torch.ones(4, 8, 8), torch.randn(4, 4, 1, 1)
            self.more = {"shifts": [torch.ones(4, 1, 1)]}
            self.hidden = [nn.Parameter(torch.ones(4, 1, 1))]

        def forward(self, x: Tensor) -> Any:
            x = self.a(x) * self.mask + self.more["shifts"][0]
            return F.conv2d(x, self.filter) * self.hidden[0]

    graph = capture(Plain(), (3, 8, 8))
    report = archc.analyze(graph)
    assert report.parameters == numel(conv()) and report.macs == 64 * (108 + 16)
    assert {"conv", "conv2d?"} <= set(kinds(graph)) and archc.memory(graph).bound.reasons


def test_buffers_that_are_not_saved() -> None:
    class Buffered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = conv()
            self.register_buffer("mask", torch.ones(4, 8, 8), persistent=False)

        def forward(self, x: Tensor) -> Any:
            return self.a(x) * self.mask

    graph = capture(Buffered(), (3, 8, 8))
    owned = {weight.name: weight for node in graph.nodes for weight in node.facts.owned}
    assert archc.analyze(graph).parameters == numel(conv())
    assert [weight.role for weight in owned.values() if tuple(weight.shape) == (4, 8, 8)] in ([], ["buffer"])


def test_channels_last_is_told_as_about() -> None:
    module = nn.Sequential(conv(), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    plain = capture(module, (3, 8, 8))
    graph = capture(module.to(memory_format=torch.channels_last), (3, 8, 8))
    assert kinds(graph) == kinds(plain) and archc.analyze(graph).macs == archc.analyze(plain).macs
    assert archc.memory(plain).bound.status == "exact" and archc.memory(graph).bound.status == "about"
    assert archc.memory(graph, inference=True).bound.status == "about"


def test_an_input_made_channels_last_is_seen() -> None:
    graph = of(lambda m, x: m.a(x.to(memory_format=torch.channels_last)).flatten(1), a=conv())
    assert kinds(graph) == ["to?", "conv", "flatten"] and archc.memory(graph).bound.reasons


# Tensors of the model's own beside values


@pytest.mark.parametrize(
    ("function", "shape", "own", "expected"),
    [
        (lambda m, x: x + m.a, (3, 8, 8), (3, 1, 1), ["parameter", "add"]),
        (lambda m, x: x + m.a[None, :, None, None], (3, 8, 8), (3,), ["computed", "add"]),
        (lambda m, x: x + m.a.view(1, -1, 1, 1), (3, 8, 8), (3,), ["parameter", "reshape", "add"]),
        (lambda m, x: x * m.a, (3, 8, 8), (3, 1, 1), ["layer_scale"]),
        (lambda m, x: x * m.a.reshape(1, -1, 1, 1), (3, 8, 8), (3,), ["parameter", "reshape", "mul"]),
        (lambda m, x: x * m.a.unsqueeze(-1), (5, 8), (5,), ["parameter", "reshape", "mul"]),
        (lambda m, x: x @ m.a, (5, 8), (8, 6), ["parameter", "matmul"]),
        (lambda m, x: torch.cat([m.a.expand(len(x), -1, -1), x], 1), (5, 8), (1, 3, 8), ["parameter", "concat"]),
        (lambda m, x: F.scaled_dot_product_attention(x, x, x, attn_mask=m.a), (2, 5, 8), (1, 2, 5, 5), ["parameter", SDPA]),
    ],
)
def test_a_tensor_of_the_models_own_is_a_layer(function: Any, shape: Any, own: Any, expected: list[str]) -> None:
    """What comes out is what the model computes, and has its parameters."""
    model = Of(function, a=nn.Parameter(torch.randn(own)))
    graph = capture(model, shape)
    assert kinds(graph) == expected
    if "?" not in expected[-1]:
        module = archc.build(graph)
        module.load_state_dict(dict(zip(module.state_dict(), model.state_dict().values(), strict=True)))
        x = torch.randn(2, *shape)
        assert torch.allclose(module(x), model(x), atol=1e-6)


def test_attention_with_a_scale_shared_keys_and_a_mask() -> None:
    def forward(m: Any, x: Tensor, mask: Tensor) -> Tensor:
        q, k = m.q(x).view(-1, 5, 4, 2).transpose(1, 2), m.k(x).view(-1, 5, 2, 2).transpose(1, 2)
        return F.scaled_dot_product_attention(q, k, k, attn_mask=mask, scale=0.3, enable_gqa=True)

    graph = capture(Of(forward, q=nn.Linear(8, 8), k=nn.Linear(8, 4)), {"x": (5, 8), "mask": (1, 5, 5)})
    (node,) = (node for node in graph.nodes if node.kind == SDPA)
    assert node.args["scale"] == 0.3 and len(node.inputs) == 4 and not [kind for kind in kinds(graph) if "?" in kind]
