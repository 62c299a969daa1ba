"""Models whole: inputs, outputs, hooks, wrappers, parts that are opaque; and that the module given stays as it is."""

from __future__ import annotations

import gc
import random
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import archc
from archc.tracing import CaptureError, capture
from tests.helpers.captured import Of, conv, kinds, numel, of

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
    assert all(one.grad is None for one in module.parameters()) and gc.isenabled()


def test_errors_of_the_module_are_its_own() -> None:
    def fails(m: Any, x: Tensor) -> Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        of(fails)
    assert gc.isenabled()


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
    assert graph.nodes[1].args["place"].startswith("tests/capture/test_modules.py:")
    with pytest.raises(archc.ArchcError, match="rot90"):
        archc.build(graph)


def test_standardized_filters_and_a_border_that_no_maximum_takes() -> None:
    """As in Big Transfer and in TensorFlow's pools: they come out as they are written, and are built again."""

    class Standardized(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            filters = F.batch_norm(self.weight.view(1, self.out_channels, -1), None, None, training=True, momentum=0.0, eps=1e-6)
            return F.conv2d(x, filters.reshape_as(self.weight), self.bias, self.stride, self.padding, self.dilation, self.groups)

    module = Of(lambda m, x: F.max_pool2d(F.pad(m.a(x), (0, 1, 0, 1), value=float("-inf")), 2), a=Standardized(3, 8, 3))
    made = archc.import_model(module, input=(3, 9, 9))
    assert made.report().good
    assert made.graph.nodes[0].args["standardize"] == 1e-6 and made.graph.nodes[0].name == "a"
    assert 'value: "-inf"' in made.text
