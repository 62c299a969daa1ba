"""Runs of a model side by side: what only training does, and what depends on the size of the batch."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.tracing import CaptureError, capture
from tests.helpers.captured import Of, conv, kinds, numel, of

# What only training does


def test_what_evaluation_leaves_out() -> None:
    Both = namedtuple("Both", ["logits", "aux"])

    def forward(m: Any, x: Tensor) -> Any:
        x = m.a(x)
        return Both(m.b(x), m.c(x)) if m.training else m.b(x)

    graph = of(forward, a=conv(), b=conv(4, 5), c=conv(4, 7))
    assert [node.name for node in graph.nodes if node.train_only] == ["c"]
    assert list(graph.outputs) == ["output"] and list(graph.heads) == ["aux"]
    assert archc.analyze(graph).parameters == numel(conv()) + numel(conv(4, 5))


def test_stochastic_depth_is_seen_by_what_it_does() -> None:
    def dropped(m: Any, x: Tensor) -> Tensor:
        branch = m.a(x)
        if m.training:
            branch = branch * branch.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(0.8).div_(0.8)
        return x + branch

    graph = of(dropped, (4, 8, 8), a=conv(4, 4))
    assert kinds(graph) == ["conv", "drop_path", "add"] and graph.nodes[1].args["p"] == pytest.approx(0.2)
    assert next(node.kind for node in graph.deployed().nodes) == "conv" and not graph.captured.notes  # type: ignore[union-attr]


def test_stochastic_depth_at_the_end_is_kept() -> None:
    def dropped(m: Any, x: Tensor) -> Tensor:
        branch = m.a(x)
        return branch * branch.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(0.8).div_(0.8) if m.training else branch

    graph = of(dropped, (4, 8, 8), a=conv(4, 4))
    assert kinds(graph) == ["conv", "drop_path"] and graph.outputs["output"].node is graph.nodes[1]


def test_noise_in_training_is_said() -> None:
    graph = of(lambda m, x: m.a(x + 0.1 * torch.randn_like(x) if m.training else x), a=conv())
    assert graph.captured is not None and "training alone" in graph.captured.notes[0]
    assert "add?" in kinds(graph)


def test_evaluation_that_does_more() -> None:
    graph = of(lambda m, x: m.a(x) if m.training else m.a(x).softmax(1), a=conv())
    assert kinds(graph)[-1] == "softmax" and "evaluation does what training does not" in graph.captured.notes[0]  # type: ignore[union-attr]


def test_stochastic_depth_by_rounding() -> None:
    def dropped(m: Any, x: Tensor) -> Any:
        branch = m.a(x)
        return x + (branch * (0.8 + torch.rand(x.shape[0], 1, 1, 1)).floor_() if m.training else branch)

    graph = of(dropped, (4, 8, 8), a=conv(4, 4))
    assert kinds(graph) == ["conv", "drop_path", "add"] and graph.nodes[1].args["p"] == pytest.approx(0.2)


def test_a_cache_that_is_empty_joins_nothing() -> None:
    graph = of(lambda m, x: torch.cat([torch.tensor([]), m.a(x)], dim=2), a=conv())
    assert kinds(graph) == ["conv", "clone"] and archc.memory(graph).bound.status == "exact"


def test_dropout_that_is_off_or_always_on() -> None:
    assert kinds(of(lambda m, x: F.dropout(m.a(x), 0.5, m.training), a=conv())) == ["conv", "dropout"]
    assert kinds(of(lambda m, x: F.dropout(m.a(x), 0.5, False), a=conv())) == ["conv"]
    assert kinds(of(lambda m, x: m.d(m.a(x)), a=conv(), d=nn.Dropout(0.0))) == ["conv"]


# The batch


@pytest.mark.parametrize(
    "bound",
    [
        lambda m, x: m.a(x).reshape(2, -1) if x.shape[0] == 2 else m.a(x).reshape(3, -1),
        lambda m, x: m.a(x) * x.shape[0],
        lambda m, x: m.a(x).permute(1, 0, 2, 3).contiguous(),
        lambda m, x: m.a(x).reshape(-1, 4, 4, 8),
        lambda m, x: m.a(x).mean(0, keepdim=True) + m.a(x),
    ],
)
def test_the_batch_built_in_is_opaque_or_plain(bound: Any) -> None:
    graph = of(bound, a=conv())
    opaque = [node for node in graph.nodes if node.kind == "opaque"]
    assert opaque or kinds(graph) in (["conv", "flatten"], ["conv", "clone"], ["conv", "reshape", "join_batch", "leave_batch"])
    assert archc.analyze(graph).parameters == numel(conv())


def test_other_layers_at_another_batch_are_an_error() -> None:
    with pytest.raises(CaptureError, match="other things with 3 images than with 2"):
        of(lambda m, x: m.a(x) if x.shape[0] == 2 else F.relu(m.a(x)), a=conv())


def test_windows_in_the_batch_keep_their_counts() -> None:
    def windows(m: Any, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height // 4, 4, width // 4, 4, channels).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, channels)
        return m.a(x).reshape(batch, -1, channels)

    graph = of(windows, (8, 8, 6), a=nn.Linear(6, 6))
    report = archc.analyze(graph)
    assert report.parameters == 42 and report.macs == 64 * 36
    assert kinds(graph) == ["reshape", "permute", "reshape", "join_batch", "linear", "leave_batch", "reshape"]


def test_windows_see_the_layers_of_any_network() -> None:
    """Attention within windows, a convolution within them, and an output that is still in the batch."""

    def windows(m: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels, height // 4, 4, width // 4, 4)
        x = m.conv(x.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, 4, 4))
        q, k, v = m.qkv(x.flatten(2).transpose(1, 2)).reshape(x.shape[0], 16, 3, 2, 3).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v), x

    module = Of(windows, conv=nn.Conv2d(6, 6, 3, padding=1), qkv=nn.Linear(6, 18))
    graph = capture(module, (6, 8, 8))
    assert not [node for node in graph.nodes if node.kind == "opaque"]
    assert [list(value.shape) for value in graph.outputs.values()] == [[4, 2, 16, 3], [4, 6, 4, 4]]
    assert not any(value.shape.joined for value in graph.outputs.values())
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # a fused kernel of the CPU is not counted
        module(torch.zeros(1, 6, 8, 8))
    assert archc.analyze(graph).macs * 2 == counter.get_total_flops()
