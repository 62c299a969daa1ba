"""What detectors are made of, captured: classes that their packages define, as layers of archc's own."""

from __future__ import annotations

import pytest

import archc

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from archc.runtime.build.build import build


def frozen_class() -> type[nn.Module]:
    """A class of the name and tensors of torchvision's, which need not be installed."""

    class FrozenBatchNorm2d(nn.Module):
        def __init__(self, features: int) -> None:
            super().__init__()
            self.eps = 1e-3
            for name in ("weight", "bias", "running_mean", "running_var"):
                self.register_buffer(name, torch.rand(features) + 0.5)

        def forward(self, x: Tensor) -> Tensor:
            weight, bias, mean, var = (one[None, :, None, None] for one in (self.weight, self.bias, self.running_mean, self.running_var))
            return (x - mean) / (var + self.eps).sqrt() * weight + bias

    FrozenBatchNorm2d.__module__ = "torchvision.ops.misc"
    return FrozenBatchNorm2d


@pytest.mark.parametrize("training", [True, False])
def test_a_frozen_batch_normalization(training: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), frozen_class()(4), nn.ReLU()).train(training)
    graph = archc.capture(model, (3, 8, 8))
    assert [node.kind for node in graph.nodes] == ["conv", "frozen_batchnorm", "relu"]
    assert archc.analyze(graph).parameters == sum(one.numel() for one in model.parameters())
    ours = build(graph)
    ours.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(ours(x), model(x), atol=1e-6)
    fast = archc.build(graph, optimize="inference")
    assert [type(one).__name__ for one in fast.modules() if list(one.parameters(recurse=False))] == ["Conv2d"]


def test_weights_of_a_network_that_counted_its_batches(tmp_path) -> None:  # type: ignore[no-untyped-def]
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    torch.save(plain.state_dict(), tmp_path / "w.pth")
    graph = archc.loads("input: [3, 8, 8]\nlayers: {'0': {conv: {channels: 4, kernel: 3}}, '1': frozen_batchnorm}\n")
    module = archc.build(graph, weights=str(tmp_path / "w.pth"))
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(module(x), plain.eval()(x), atol=1e-5)
