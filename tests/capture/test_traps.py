"""What makes a trace plausible and wrong: each comes out exact, or opaque, or as an error; never as a figure."""

from __future__ import annotations

import random
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.analysis.memory.saved import saved
from archc.graph import Graph
from archc.tracing import CaptureError, capture

SDPA = "scaled_dot_product_attention"


class Of(nn.Module):
    """A module of a function and of some modules."""

    def __init__(self, function: Any, **modules: Any) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            if isinstance(module, Tensor) and not isinstance(module, nn.Parameter):
                self.register_buffer(name, module)
            else:
                setattr(self, name, module)

    def forward(self, *inputs: Tensor, **options: Tensor) -> Any:
        return self.function(self, *inputs, **options)


def of(function: Any, input: Any = (3, 8, 8), **modules: Any) -> Graph:
    return capture(Of(function, **modules), input)


def kinds(graph: Graph) -> list[str]:
    return [node.args["name"] + "?" if node.kind == "opaque" else node.kind for node in graph.nodes]


def numel(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def conv(inputs: int = 3, outputs: int = 4) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


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
    assert kinds(graph) == ["conv", "conv?"] and archc.analyze(graph).parameters == numel(conv())


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
    assert kinds(graph) == ["conv2d?"] and report.parameters == 108 and report.macs == 64 * 108
    assert "computed" in graph.nodes[0].args["why"] and archc.memory(graph).bound.reasons


def test_a_subclass_is_what_its_forward_does() -> None:
    class Activated(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(super().forward(x))

    class Silent(nn.Conv2d):
        pass

    graph = of(lambda m, x: m.b(m.a(x)), a=Silent(3, 4, 3), b=Activated(4))
    assert kinds(graph) == ["conv", "batchnorm", "relu"] and archc.analyze(graph).parameters == 112 + 8


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
    assert opaque or kinds(graph) in (["conv", "flatten"], ["conv", "clone"])
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
    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 6, 8, 8))
    assert archc.analyze(graph).macs * 2 == counter.get_total_flops()


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


# Values that decide


def test_a_branch_by_values_needs_a_tensor() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.a(x) if x.mean() > 0 else m.b(x)

    with pytest.raises(CaptureError, match="give a tensor"):
        of(forward, a=conv(), b=conv(3, 9))
    assert archc.analyze(of(forward, torch.ones(2, 3, 8, 8), a=conv(), b=conv(3, 9))).parameters == numel(conv())
    assert archc.analyze(of(forward, -torch.ones(2, 3, 8, 8), a=conv(), b=conv(3, 9))).parameters == numel(conv(3, 9))


def test_values_that_no_input_bears_on_are_worked_out() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        mask = torch.ones(x.shape[0], 6, dtype=torch.bool, device=x.device)
        mask[:, 4:] = False
        many = int(mask[0].sum())  # 4
        kept = torch.arange(6, device=x.device)[mask[0]]
        return m.b(m.a(x)[:, :, :many]) if not mask.all() and kept.tolist() == [0, 1, 2, 3] else m.a(x)

    graph = of(forward, a=conv(), b=conv(4, 5))
    assert [value.shape for value in graph.outputs.values()] == [(5, 4, 8)]


def test_values_of_the_model_decide_and_stay() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        if m.made == 0:
            m.made.add_(1)
            return m.a(x).relu() if m.made.item() == 1 else m.a(x).tanh()
        return m.a(x)

    for made, found in ((0, ["conv", "relu"]), (1, ["conv"])):
        module = Of(forward, a=conv(), made=torch.tensor(made))
        assert kinds(capture(module, (3, 8, 8))) == found and module.made == made


def test_random_values_are_unknown() -> None:
    with pytest.raises(CaptureError, match="give a tensor"):
        of(lambda m, x: m.a(x) if torch.rand(1) > 0.5 else x, a=conv())
    assert kinds(of(lambda m, x: m.a(x) if torch.rand(1) > 2 else x.relu(), torch.ones(2, 3, 8, 8), a=conv())) == ["relu"]


@pytest.mark.parametrize("message", ["the meta data is missing", "Tensor.item() is what the meta data says", "no tensor on meta"])
def test_an_error_that_speaks_of_meta_is_the_modules_own(message: str) -> None:
    def fails(m: Any, x: Tensor) -> Any:
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match=message.partition("(")[0]) as caught:
        of(fails)
    assert not isinstance(caught.value, archc.ArchcError)


ASKS: dict[str, Any] = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool(x.sum() > 0),
    "int": lambda x: int(x.sum()),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "cpu": lambda x: x.cpu(),
    "nonzero": lambda x: x.nonzero(),
    "unique": lambda x: x.unique(),
    "mask": lambda x: x[x > 0],
    "where": lambda x: torch.where(x > 0),
    "masked_select": lambda x: x.masked_select(x > 0),
    "equal": lambda x: torch.equal(x, x),
    "one_hot": lambda x: F.one_hot(x.long()),
    "device": lambda x: x + torch.ones(8, device="cpu"),
}


@pytest.mark.parametrize("name", ASKS)
def test_what_torch_says_of_tensors_without_values_is_understood(name: str) -> None:
    with pytest.raises(CaptureError, match="give a tensor"):
        of(lambda m, x: (ASKS[name](x), m.a(x))[1], a=conv())
    graph = of(lambda m, x: (ASKS[name](x.detach()), m.a(x))[1], torch.ones(2, 3, 8, 8), a=conv())
    assert "conv" in kinds(graph)


TRANSFORMS: dict[str, Any] = {
    "vmap": lambda m, x: torch.vmap(lambda y: m.a(y[None])[0])(x),
    "vmap of a function": lambda m, x: torch.vmap(torch.sin)(m.a(x)),
    "grad": lambda m, x: torch.func.grad(lambda y: m.a(y).sum())(x),
    "jacrev": lambda m, x: torch.func.jacrev(lambda y: m.a(y).sum((1, 2, 3)))(x),
    "autograd": lambda m, x: torch.autograd.grad(m.a(x.requires_grad_()).sum(), x, create_graph=True)[0],
    "backward": lambda m, x: (m.a(x).sum().backward(), m.a(x))[1],
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_of_functions_are_refused_with_their_place(name: str) -> None:
    with pytest.raises(CaptureError, match=r"test_traps\.py:\d+ (runs under torch\.vmap|takes gradients within forward).*leaves="):
        of(TRANSFORMS[name], a=conv())


def test_a_part_that_transforms_is_kept_whole() -> None:
    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Any:
            return torch.vmap(self.a)(x)

    graph = capture(Of(lambda m, x: m.b(m.part(x)), part=Mapped(), b=nn.Linear(4, 2)), (8,), leaves=["Mapped"])
    assert kinds(graph) == ["Mapped?", "linear"] and archc.analyze(graph).parameters == 36 + 10


# Inputs and outputs


def test_several_inputs_by_position_and_by_name() -> None:
    def two(m: Any, x: Tensor, y: Tensor) -> Tensor:
        return m.a(x) + m.b(y)

    modules = {"a": conv(), "b": conv(1, 4)}
    for input in ([(3, 8, 8), (1, 8, 8)], ["3x8x8", "1x8x8"]):
        graph = capture(Of(two, **modules), input)
        assert kinds(graph) == ["conv", "conv", "add"] and len(graph.inputs) == 2

    def named(m: Any, *, image: Tensor, mask: Tensor) -> Tensor:
        return m.a(image) + m.b(mask)

    graph = capture(Of(named, **modules), {"image": (3, 8, 8), "mask": (1, 8, 8)})
    assert list(graph.inputs) == ["image", "mask"]


def test_nested_outputs() -> None:
    @dataclass
    class Result:
        logits: Tensor
        maps: list[Tensor]
        loss: float | None = None

    graph = of(lambda m, x: {"a": (y := m.a(x)), "b": [F.relu(y), Result(y.tanh(), [y.sigmoid()])]}, a=conv())
    assert list(graph.outputs) == ["a", "b_0", "b_1_logits", "b_1_maps_0"]


def test_whole_numbers_are_found_out() -> None:
    graph = of(lambda m, x: m.e(x), (7,), e=nn.Embedding(20, 4))
    assert kinds(graph) == ["embedding"] and graph.nodes[0].output.shape == (7, 4)


# The module


def test_the_module_stays_as_it_is() -> None:
    module = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.Dropout())
    module[0].eval()
    module.register_forward_hook(lambda *_: None)
    before = {name: one.clone() for name, one in module.state_dict().items()}
    modes, keys = [one.training for one in module.modules()], [sorted(vars(one)) for one in module.modules()]
    torch.manual_seed(0)
    random.seed(0)
    states = torch.get_rng_state(), random.getstate()
    capture(module, (3, 8, 8))
    assert all(torch.equal(before[name], one) for name, one in module.state_dict().items())
    assert modes == [one.training for one in module.modules()] and keys == [sorted(vars(one)) for one in module.modules()]
    assert torch.equal(states[0], torch.get_rng_state()) and states[1] == random.getstate()
    assert all(one.grad is None for one in module.parameters())


def test_errors_of_the_module_are_its_own() -> None:
    def fails(m: Any, x: Tensor) -> Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        of(fails)


def test_an_autograd_function_is_one_opaque_step() -> None:
    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x * torch.sigmoid(x)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads[0]

    graph = of(lambda m, x: Swish.apply(m.a(x)), a=conv())
    assert kinds(graph) == ["conv", "Swish?"] and archc.memory(graph).bound.reasons


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_parts_are_seen_and_their_memory_is_not_called_exact(reentrant: bool) -> None:
    part = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))
    graph = of(lambda m, x: checkpoint(m.b, m.a(x), use_reentrant=reentrant), a=conv(), b=part)
    assert kinds(graph) == ["conv", "conv", "relu", "conv"] and archc.analyze(graph).parameters == numel(conv()) + numel(part)
    assert archc.memory(graph).bound.status == "about" and "recomputes" in archc.memory(graph).bound.text


def test_parts_without_gradients_are_not_called_exact() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = m.a(x)
        return m.b(y)

    graph = of(forward, a=conv(), b=conv(4, 4))
    assert archc.analyze(graph).macs == 64 * 9 * (12 + 16) and archc.memory(graph).bound.status != "exact"


def test_statistics_that_do_not_train_are_said() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return F.batch_norm(m.a(x), m.b.running_mean, m.b.running_var, m.b.weight, m.b.bias, False)

    assert archc.memory(of(forward, a=conv(), b=nn.BatchNorm2d(4))).bound.status != "exact"


def test_weights_inside_a_function_of_its_own_are_known() -> None:
    class Through(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, part: Any) -> Tensor:
            return part(x)  # type: ignore[no-any-return]

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads[0], None

    graph = of(lambda m, x: Through.apply(x, m.a), a=conv())
    assert kinds(graph) == ["Through?"] and archc.analyze(graph).parameters == numel(conv())


def test_hooks_are_part_of_the_model() -> None:
    module = nn.Sequential(conv(), nn.ReLU())
    module.register_forward_pre_hook(lambda _, inputs: (inputs[0] * 2,))
    module[0].register_forward_hook(lambda _m, _i, result: result * 2)
    assert kinds(capture(module, (3, 8, 8))) == ["scale", "conv", "scale", "relu"]


def test_direct_calls_of_forward_recursion_and_generators() -> None:
    def again(m: Any, x: Tensor, times: int = 3) -> Tensor:
        return again(m, m.a.forward(x), times - 1) if times else sum(one for one in (m.a(x), x))

    graph = of(again, (4, 8, 8), a=conv(4, 4))
    assert kinds(graph) == ["conv"] * 4 + ["add"] and archc.analyze(graph).parameters == numel(conv(4, 4))


def test_a_module_made_in_forward_owns_nothing_of_the_model() -> None:
    graph = of(lambda m, x: nn.Conv2d(3, 4, 3)(x))
    assert kinds(graph) == ["conv2d?"] and archc.analyze(graph).parameters == 0 and archc.analyze(graph).macs == 36 * 108


def test_lazy_modules_and_wrappers() -> None:
    with pytest.raises(CaptureError, match="lazy"):
        capture(nn.Sequential(nn.LazyConv2d(4, 3)), (3, 8, 8))
    for wrapped in (nn.DataParallel(conv()), torch.compile(conv())):
        assert kinds(capture(wrapped, (3, 8, 8))) == ["conv"]


def test_a_step_in_another_dtype_is_opaque() -> None:
    inner = Of(lambda m, x: m.c(x.half()).float(), c=conv(4, 4).half())
    graph = of(lambda m, x: m.b(m.a(x)), a=conv(), b=inner)
    assert kinds(graph) == ["conv", "half?", "conv2d?", "float?"] and archc.memory(graph).bound.reasons

    def autocast(m: Any, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return m.a(x)  # type: ignore[no-any-return]

    assert kinds(of(autocast, a=conv())) == ["conv2d?"]
    half = capture(nn.Sequential(conv(), nn.ReLU()).half(), (3, 8, 8))
    assert kinds(half) == ["conv", "relu"] and half.captured is not None and half.captured.dtype == "float16"


def test_attention_with_its_weights_as_a_result_is_opaque() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    assert kinds(of(lambda m, x: m.a(x, x, x)[0], (5, 8), a=attention)) == ["MultiheadAttention?"]
    assert kinds(of(lambda m, x: m.a(x, x, x, need_weights=False)[0], (5, 8), a=attention)) == ["attention"]


@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
@pytest.mark.parametrize("home", [nn.utils, nn.utils.parametrizations], ids=["hook", "parametrization"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weights_that_are_computed_before_each_use(norm: str, home: Any) -> None:
    made = getattr(home, norm)
    net = nn.Sequential(made(nn.Conv2d(3, 4, 3, padding=1)), made(nn.ConvTranspose2d(4, 6, 2, stride=2, bias=False)), nn.Flatten(),
                        made(nn.Linear(6 * 256, 5)))  # fmt: skip
    graph = capture(net, (3, 8, 8))
    assert [node.args.get("parametrize") for node in graph.nodes] == [norm, norm, None, norm]
    assert archc.analyze(graph).parameters == numel(net) and archc.analyze(graph).counts["macs"].exact
    other = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3), dim=1))
    assert kinds(capture(other, (3, 8, 8))) == ["conv2d?"]


def test_recurrent_layers() -> None:
    """The sequence first or the batch; states that nobody reads, that are read, that start another layer, that are zeros."""
    lstm = nn.LSTM(8, 6, batch_first=True)
    graph = of(lambda m, x: m.a(x)[0], (5, 8), a=lstm)
    assert kinds(graph) == ["lstm"] and archc.analyze(graph).parameters == numel(lstm) and archc.analyze(graph).counts["macs"].exact
    assert kinds(of(lambda m, x: m.a(x)[1][0][-1], (5, 8), a=lstm)) == ["lstm", "select"]
    turned = of(lambda m, x: m.a(x.transpose(0, 1))[0].transpose(0, 1), (5, 8), a=nn.LSTM(8, 6, 2, bidirectional=True))
    assert kinds(turned) == ["lstm"] and tuple(turned.nodes[0].output.shape) == (5, 12)
    both = of(lambda m, x: m.b(x, m.a(x)[1])[0], (5, 8), a=nn.GRU(8, 6, batch_first=True), b=nn.GRU(8, 6, batch_first=True))
    assert kinds(both) == ["gru", "gru"] and both.nodes[1].inputs[1] is both.nodes[0].outputs[1]
    zeros = of(lambda m, x: m.a(x, torch.zeros(1, len(x), 6).to(x.device))[0], (5, 8), a=nn.RNN(8, 6, batch_first=True))
    assert kinds(zeros) == ["rnn"]
    ones = of(lambda m, x: m.a(x, torch.zeros(1, len(x), 6).add_(1))[0], (5, 8), a=nn.RNN(8, 6, batch_first=True))
    assert kinds(ones) == ["rnn_tanh?"]
    along = of(lambda m, x: m.a(x)[0], (5, 8), a=nn.LSTM(8, 6))
    assert kinds(along) == ["lstm?"]
    assert kinds(of(lambda m, x: m.a(x), (8,), a=nn.GRUCell(8, 6))) == ["GRUCell?"]


def test_an_encoder_layer_of_torch() -> None:
    module = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    graph = capture(module, (5, 8))
    assert "opaque" not in {node.kind for node in graph.nodes} and archc.analyze(graph).parameters == numel(module)


def test_a_class_kept_whole() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(8, 24)

        def forward(self, x: Tensor) -> Any:
            return self.qkv(x)[..., :8]

    module = Of(lambda m, x: m.b(m.a(x)), a=Attention(), b=nn.Linear(8, 4))
    graph = capture(module, (5, 8), leaves=["Attention"])
    report = archc.analyze(graph)
    assert kinds(graph) == ["Attention?", "linear"] and report.parameters == numel(module) and report.macs == 5 * 8 * 24 + 5 * 8 * 4


def test_unused_parameters_are_named() -> None:
    graph = of(lambda m, x: m.a(x), a=conv(), b=conv(4, 4))
    assert graph.captured is not None and graph.captured.unused == {"b.weight": 144, "b.bias": 4}


def test_opaque_steps_say_where_they_are_called() -> None:
    graph = of(lambda m, x: torch.rot90(m.a(x), 2, (2, 3)), a=conv())
    assert graph.nodes[1].args["place"].startswith("tests/capture/test_traps.py:")
    with pytest.raises(archc.ArchcError, match="rot90"):
        archc.build(graph)


# Tensors of the model's own beside values


@pytest.mark.parametrize(
    ("function", "shape", "own", "expected"),
    [
        (lambda m, x: x + m.a, (3, 8, 8), (3, 1, 1), ["parameter", "add"]),
        (lambda m, x: x + m.a[None, :, None, None], (3, 8, 8), (3,), ["add?"]),
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
