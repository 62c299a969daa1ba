"""Tensors that are computed from weights alone: a captured network says how, and the one that is built of it gives the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch.nn import functional as F

import archc
from archc.graph import Graph
from archc.tracing import capture


class Net(nn.Module):
    """Tokens of eight features, on which a function does something with parameters and buffers that are given."""

    def __init__(self, step: Callable[[Any, Tensor], Tensor], **tensors: Tensor) -> None:
        super().__init__()
        self.step = step
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not name.startswith("kept"):
                setattr(self, name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.step(self, self.fc(x))


def rotary(net: Any, x: Tensor) -> Tensor:
    angles = torch.outer(torch.arange(6, dtype=torch.float32), net.rates)
    angles = torch.cat([angles, angles], -1)
    return x * angles.cos() + x.roll(4, -1) * angles.sin()


def masked(net: Any, x: Tensor) -> Tensor:
    mask = x.new_zeros(6, 6)
    for at, part in enumerate((slice(0, 2), slice(2, None))):
        mask[part] = at
    mask = mask - mask.t()
    return (x @ x.transpose(1, 2) + mask.masked_fill(mask != 0, -100.0)).softmax(-1) @ x


def slices(net: Any, x: Tensor) -> Tensor:
    gains = net.gains.sigmoid().view(2, -1)
    return gains[1] * (x + gains[0])


def over_the_batch(net: Any, x: Tensor) -> Tensor:
    places = F.conv2d(net.places, net.kernel).repeat(x.shape[0], 1, 1, 1)
    return x + places.reshape(x.shape[0], -1, 6).permute(0, 2, 1)


def asked(net: Any, x: Tensor) -> Tensor:
    return torch.cat([net.fc(net.latent.expand(x.shape[0], -1, -1)), x], 1)


def parts(net: Any, x: Tensor) -> Tensor:
    return F.linear(x, net.weight, torch.cat([net.q, net.kept_k, net.v]))


def standardized(net: Any, x: Tensor) -> Tensor:
    weight = F.batch_norm(net.weight.reshape(1, 4, -1), None, None, (net.gain * 0.3).view(-1), training=True, momentum=0.0)
    return F.conv1d(x, weight.reshape_as(net.weight), padding=1)


def blurred(net: Any, x: Tensor) -> Tensor:
    return F.conv1d(x, net.kept.expand(6, 1, 3), groups=6)


def table(net: Any, x: Tensor) -> Tensor:
    scores = x @ x.transpose(1, 2)
    return (scores + net.table[net.index.view(-1)].view(6, 6)).relu()


def limited(net: Any, x: Tensor) -> Tensor:
    return torch.maximum(x, net.low) * net.scale.clamp(max=0.5).exp()


def read_twice(net: Any, x: Tensor) -> Tensor:
    """As CaiT's last blocks: the class token asks, and what it is told is added to the token itself."""
    token = net.token.expand(x.shape[0], -1, -1)
    return torch.cat([token + net.fc(torch.cat([token, x], 1))[:, :1], x], 1)


def flat_token(net: Any, x: Tensor) -> Tensor:
    """As MViT's, whose token has one axis."""
    return torch.cat([net.token.expand(x.shape[0], -1).unsqueeze(1), x], 1)


def bordered(net: Any, x: Tensor) -> Tensor:
    """As Swin v2 pads maps with the features last; then a border of every axis."""
    x = F.pad(x.view(-1, 2, 3, 8), (0, 0, 0, 2, 1, 0))
    return F.pad(x, (1, 0, 0, 1, 2, 2), value=0.5)


def with_a_table(net: Any, x: Tensor) -> Tensor:
    """As MViT v2's positions, which are asked of a table."""
    return torch.einsum("btd,tkd->btk", x, net.table[net.index])


CASES: dict[str, tuple[Net, dict[str, int]]] = {
    "rotary": (Net(rotary, rates=torch.rand(4)), {"computed": 2}),
    "masked": (Net(masked), {"computed": 1}),
    "slices": (Net(slices, gains=torch.randn(16)), {"computed": 2}),
    "over the batch": (Net(over_the_batch, places=torch.randn(1, 2, 2, 3), kernel=torch.randn(8, 2, 1, 1)), {"computed": 1}),
    "asked": (Net(asked, latent=torch.randn(1, 2, 8)), {"parameter": 1, "linear": 2}),
    "parts": (Net(parts, weight=torch.randn(6, 8), q=torch.randn(2), kept_k=torch.zeros(2), v=torch.randn(2)), {"linear": 2}),
    "standardized": (Net(standardized, weight=torch.randn(4, 6, 3), gain=torch.rand(4, 1, 1)), {"conv": 1}),
    "blurred": (Net(blurred, kept=torch.rand(1, 1, 3)), {"conv": 1}),
    "table": (Net(table, table=torch.randn(5), index=torch.arange(36).remainder(5).view(6, 6)), {"computed": 1}),
    "read twice": (Net(read_twice, token=torch.randn(1, 1, 8)), {"parameter": 2, "class_token": 0}),
    "flat token": (Net(flat_token, token=torch.randn(8)), {"class_token": 0, "concat": 1}),
    "bordered": (Net(bordered), {"pad": 2}),
    "with a table": (Net(with_a_table, table=torch.randn(5, 3, 8), index=torch.tensor([0, 4, 4, 1, 2, 3])), {"einsum": 1, "computed": 1}),
    "limited": (Net(limited, low=torch.randn(8), scale=torch.rand(1, 1)), {"computed": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_built_of_a_captured_network_gives_the_same_numbers(name: str) -> None:
    net, kinds = CASES[name]
    graph = capture(net.eval(), (6, 8))
    assert [node.args["why"] for node in graph.nodes if node.kind == "opaque"] == []
    assert {kind: sum(node.kind == kind for node in graph.nodes) for kind in kinds} == kinds
    assert archc.analyze(graph).parameters == sum(one.numel() for one in net.parameters())
    x = torch.randn(2, 6, 8)
    with torch.no_grad():
        assert torch.equal(rebuilt(graph, net)(x), net(x))


def rebuilt(graph: Graph, net: nn.Module) -> nn.Module:
    """The network that is built of a graph, with the weights and buffers of the model."""
    assert graph.captured is not None
    built = archc.build(graph)
    theirs = net.state_dict()
    built.load_state_dict({name: theirs[graph.captured.weights.get(name, name)] for name in built.state_dict()})
    return built.eval()


def test_what_is_drawn_or_written_over_is_no_recipe() -> None:
    def noisy(net: Any, x: Tensor) -> Tensor:
        return x + torch.randn(8) * net.scale

    def written(net: Any, x: Tensor) -> Tensor:
        net.kept.add_(1)
        return x + net.kept.exp()

    for net in (Net(noisy, scale=torch.rand(8)), Net(written, kept=torch.rand(8))):
        assert [node.kind for node in capture(net, (6, 8)).nodes] == ["linear", "opaque"]


def test_products_that_are_made_for_each_image_are_no_work_on_weights_alone() -> None:
    def each(net: Any, x: Tensor) -> Tensor:
        places = net.places.tanh().expand(x.shape[0], -1, -1)
        return x + places @ net.turn

    (_, last) = capture(Net(each, places=torch.randn(1, 6, 8), turn=torch.randn(8, 8)), (6, 8)).nodes
    assert last.kind == "opaque" and "for each image" in last.args["why"]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("[[os.system, [^t]]]", "no function of a step"),
        ("[[exp, [^u]]]", "no tensor of the layer"),
        ("[[exp, [^0]]]", "no tensor of the layer"),
        ("[exp]", "is no step"),
        ("[]", "there are 0 steps"),
    ],
)
def test_a_recipe_that_is_none_is_refused(steps: str, told: str) -> None:
    layers = f"{{a: {{computed: {{shape: [4], weights: [[t, [4]]], steps: {steps}}}}}}}"
    with pytest.raises(archc.ArchcError, match=told):
        archc.loads(f"{{input: [4], layers: {layers}}}")
