"""What layers and arguments are called elsewhere: every remedy is valid, and is the layer that was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archc.aliases import hints, rewriting
from archc.aliases.rewriting import find_argument
from archc.aliases.table import Alias, Chosen, find_layer, fold, table
from archc.aliases.values import CONVERSIONS
from archc.elaborate.compiler import compile_text
from archc.language import library
from archc.ops import OPERATORS
from tests.helpers.hints import MAP, TOKENS, VECTOR, hint_of, params, said
from tests.helpers.paths import ROOT

KNOWN = rewriting.Known((*OPERATORS, *library.index()), params)


# Calls in PyTorch's form: the layer that the hint draws is held to the module itself.
CALLS = [
    ("nn.Conv2d(4, 8, 3)", MAP),
    ("nn.Conv2d(4, 8, kernel_size=3, stride=2, padding=1, bias=False)", MAP),
    ("nn.Conv2d(4, 8, (3, 5), padding=(1, 2), dilation=1, groups=2)", MAP),
    ("torch.nn.Conv2d(in_channels=4, out_channels=8, kernel_size=4, padding='same')", MAP),
    ("nn.Conv1d(6, 8, 3)", TOKENS),
    ("nn.ConvTranspose2d(4, 8, 2, stride=2)", MAP),
    ("nn.ConvTranspose2d(4, 8, 3, 2, 1, 1)", MAP),
    ("nn.Linear(20, 7)", VECTOR),
    ("nn.Linear(in_features=20, out_features=7, bias=False)", VECTOR),
    ("nn.BatchNorm2d(4)", MAP),
    ("nn.BatchNorm2d(4, eps=0.001, affine=False)", MAP),
    ("nn.SyncBatchNorm(4)", MAP),
    ("nn.InstanceNorm2d(4, affine=True)", MAP),
    ("nn.GroupNorm(2, 4)", MAP),
    ("nn.GroupNorm(num_groups=2, num_channels=4)", MAP),
    ("nn.LayerNorm(16)", TOKENS),
    ("nn.LayerNorm(normalized_shape=16, elementwise_affine=False)", TOKENS),
    ("nn.RMSNorm(16)", TOKENS),
    ("nn.LocalResponseNorm(5)", MAP),
    ("nn.MaxPool2d(2)", MAP),
    ("nn.MaxPool2d(3, 2, 1)", MAP),
    ("nn.MaxPool2d(kernel_size=5, stride=2, ceil_mode=True)", MAP),
    ("nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)", MAP),
    ("nn.LPPool2d(2, 3)", MAP),
    ("nn.AdaptiveAvgPool2d(1)", MAP),
    ("nn.AdaptiveAvgPool2d((3, 2))", MAP),
    ("nn.AdaptiveMaxPool2d(3)", MAP),
    ("nn.Upsample(scale_factor=2)", MAP),
    ("nn.Upsample(size=(20, 18), mode='bilinear')", MAP),
    ("nn.UpsamplingBilinear2d(scale_factor=2)", MAP),
    ("nn.UpsamplingNearest2d(scale_factor=3)", MAP),
    ("nn.ZeroPad2d(1)", MAP),
    ("nn.ZeroPad2d((1, 2, 3, 4))", MAP),
    ("nn.ReflectionPad2d((1, 2, 3, 4))", MAP),
    ("nn.ReplicationPad2d(2)", MAP),
    ("nn.CircularPad2d(2)", MAP),
    ("nn.ConstantPad1d((1, 2), 0)", TOKENS),
    ("nn.Dropout(0.2)", MAP),
    ("nn.Dropout2d(p=0.2)", MAP),
    ("nn.Flatten()", MAP),
    ("nn.Flatten(start_dim=1)", MAP),
    ("nn.Identity()", MAP),
    ("nn.ReLU(inplace=True)", MAP),
    ("nn.LeakyReLU(0.2)", MAP),
    ("nn.LeakyReLU(negative_slope=0.2, inplace=True)", MAP),
    ("nn.PReLU()", MAP),
    ("nn.PReLU(num_parameters=4)", MAP),
    ("nn.PReLU(1)", MAP),
    ("nn.ELU(alpha=0.5)", MAP),
    ("nn.GELU(approximate='tanh')", MAP),
    ("nn.Hardtanh(min_val=-2, max_val=2)", MAP),
    ("nn.Softplus(beta=2)", MAP),
    ("nn.Softshrink(lambd=0.3)", MAP),
    ("nn.Threshold(0.1, 20.0)", MAP),
    ("nn.GLU(dim=1)", MAP),
    ("nn.Softmax(dim=1)", VECTOR),
    ("nn.LogSoftmax(dim=-1)", VECTOR),
    ("nn.Softmax2d()", MAP),
    ("nn.PixelShuffle(2)", MAP),
    ("nn.PixelShuffle(upscale_factor=2)", MAP),
    ("nn.ChannelShuffle(2)", MAP),
    ("nn.Unflatten(1, (5, 4))", VECTOR),
    *((f"nn.{name}()", MAP) for name in (
        "SiLU", "Mish", "Hardswish", "Hardsigmoid", "Sigmoid", "Tanh", "LogSigmoid", "Softsign", "ReLU6", "SELU", "CELU")),
]  # fmt: skip


@pytest.mark.parametrize(("call", "shape"), CALLS, ids=[call for call, _ in CALLS])
def test_a_call_is_the_module_that_it_names(call: str, shape: list[int]) -> None:
    import torch
    from torch import nn

    import archc

    hint = hint_of(f'"{call}"', shape)
    found = re.fullmatch(r"write (.*?)( \([\w ,:;`.'-]*\))?", hint)
    assert found, hint
    net = archc.loads(f"archc: 1\ninput: {shape}\nlayers: [{found[1]}]")
    theirs = eval(call, {"nn": nn, "torch": torch}).eval()  # one of the calls that stand above
    ours = archc.build(net).eval()
    image = torch.rand(2, *shape)
    weights = list(theirs.state_dict().values())
    assert [tuple(one.shape) for one in ours.state_dict().values()] == [tuple(one.shape) for one in weights]
    ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
    torch.testing.assert_close(ours(image), theirs(image))


def test_every_module_of_torch_is_known_with_its_arguments() -> None:
    import inspect

    from torch import nn

    for name, one in inspect.getmembers(nn, inspect.isclass):
        if not issubclass(one, nn.Module):
            continue
        layer = find_layer(name, KNOWN.kinds)
        assert layer is not None, name
        for argument in inspect.signature(one).parameters if isinstance(layer, Alias) else ():
            says = find_argument(layer.kind, argument, params(layer.kind), own=True)
            assert argument in ("args", "kwargs") or says.argument or says.inferred or says.say or says.next is not None, (name, argument)


def test_a_remedy_of_several_entries() -> None:
    assert hint_of("{Dense: {units: 5, activation: relu}}", VECTOR) == "write two entries, - {linear: 5} and - relu"
    assert hint_of("{conv: {channels: 5, activation: leaky}}") == "an activation is an entry of its own, the next: - {leaky_relu: 0.1}"
    layers = "{c1: {conv: {channels: 5, act: nn.ReLU()}}, c2: {Dense: {units: 5, activation: softmax}}}"
    first, second = compile_text(f"archc: 1\ninput: [4, 12, 12]\nlayers: {layers}").diagnostics
    assert first.hint == "an activation is an entry of its own, the next: c1_relu: relu"
    assert second.hint == "write two entries, c2: {linear: 5} and c2_softmax: softmax"


# What stands in a spec, and the whole hint.
HINTS = [
    ("{Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same}}",
     "write {conv: {channels: 8, kernel: 3, stride: 2, padding: same_upper}}"),
    ("{Conv2D: {filters: 8, kernel_size: [3, 3], padding: valid}}", "write {conv: {channels: 8, kernel: [3, 3]}}"),
    ("{Conv2D: {filters: 8, kernel_size: 3, activation: null}}", "write {conv: {channels: 8, kernel: 3}}"),
    ("{DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2}}",
     'write {conv: {channels: "${input.channels * 2}", kernel: 3, groups: depthwise}}'),
    ("{DepthwiseConv2D: 3}", 'write {conv: {channels: "${input.channels}", kernel: 3, groups: depthwise}}'),
    ("{Conv2DTranspose: {filters: 8, kernel_size: 4, strides: 2, padding: same}}",
     "write {conv_transpose: {channels: 8, kernel: 4, stride: 2, padding: 1}}"),
    ("{Conv2DTranspose: {filters: 8, kernel_size: 3, strides: 2, padding: same}}",
     "write two entries, - {conv_transpose: {channels: 8, kernel: 3, stride: 2}} and - {crop: {sides: [0, 1, 0, 1]}}"),
    ("{MaxPooling2D: {pool_size: 3, strides: 2, padding: same}}", "write {maxpool: {kernel: 3, stride: 2, padding: same_upper}}"),
    ("{AveragePooling2D: {pool_size: 3, strides: 1, padding: same}}",
     "write {avgpool: {kernel: 3, stride: 1, padding: same_upper, count_padding: false}}"),
    ("GlobalAveragePooling2D", "write two entries, - global_avgpool and - flatten"),
    ("{UpSampling2D: {size: 2, interpolation: bilinear}}", "write {upsample: {scale: 2, mode: bilinear}}"),
    ("{ZeroPadding2D: [1, 2]}", "write {pad: {sides: [1, 1, 2, 2]}}"),
    ("{ZeroPadding2D: {padding: [[1, 2], [3, 4]]}}", "write {pad: {sides: [1, 2, 3, 4]}}"),
    ("{Cropping2D: 1}", "write {crop: {sides: [1, 1, 1, 1]}}"),
    ("{Permute: {dims: [2, 3, 1]}}", "write {permute: {order: [1, 2, 0]}}"),
    ("{permute: {dims: [0, 2, 3, 1]}}", "write order: [1, 2, 0]"),
    ("{Softmax: {axis: 1}}", "write {softmax: {axis: 0}}"),
    ("{Dropout: {keep_prob: 0.8}}", "write {dropout: 0.2}"),
    ("{SpatialDropout2D: {rate: 0.2}}", "write {spatial_dropout: 0.2}"),
    ("{PReLU: {shared_axes: [1, 2]}}", "write {prelu: {shared: false}}"),
    ("{ThresholdedReLU: {theta: 1.0}}", "write {threshold: {threshold: 1.0, value: 0}}"),
    ("{Convolution: {num_output: 8, kernel_size: 3, pad: 1, bias_term: false}}",
     "write {conv: {channels: 8, kernel: 3, padding: 1, bias: false}}"),
    ("{Pooling: {pool: MAX, kernel_size: 3, stride: 2}}", "write {maxpool: {kernel: 3, stride: 2, ceil: true}}"),
    ("{Pooling: {pool: AVE, global_pooling: true}}", "write global_avgpool"),
    ("{InnerProduct: {num_output: 10}}", "write {linear: 10}"),
    ("{from: [a, b], Eltwise: {operation: SUM}}", "write {from: [a, b], add: }"),
    ("{from: [a, b], Eltwise: {operation: PROD}}", "write {from: [a, b], mul: }"),
    ("{Add: [a, b]}", "write {from: [a, b], add: }"),
    ("{lrn: {local_size: 5}}", "write size: 5"),
    ("{convolutional: {filters: 8, size: 3, stride: 1, pad: 1, batch_normalize: 1, activation: leaky}}",
     "write three entries, - {conv: {channels: 8, kernel: 3, stride: 1, padding: same}} and - batchnorm and - {leaky_relu: 0.1}"),
    ("{convolutional: {filters: 8, size: 1, stride: 1, pad: 1, activation: linear}}",
     "write {conv: {channels: 8, kernel: 1, stride: 1, padding: same}}"),
    ("{connected: {output: 10, activation: relu}}", "write two entries, - {linear: 10} and - relu"),
    ("{upsample: {stride: 2}}", "write scale: 2"),
    ("{Gemm: {transB: 1}}", "write {linear: …} (transB is not known here)"),
    ("{Conv: {kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2], group: 4}}",
     "write {conv: {channels: …, kernel: [3, 3], stride: [2, 2], padding: 1, groups: 4}}"),
    ("{Clip: {min: 0, max: 6}}", "write {clamp: {low: 0, high: 6}}"),
    ("{repeat: 2, Conv2D: {filters: 4, kernel_size: 1}}", "write {repeat: 2, conv: {channels: 4, kernel: 1}}"),
    ("{SELayer: {reduction: 4}}", 'write {squeeze_excite: {reduced: "${input.channels // 4}"}}'),
    ("{conv: {channels: 8, kernel: 3, dim: 2}}",
     "it takes channels, kernel, stride, padding, dilation, groups, bias, padding_mode, standardize, parametrize, computed"),
    ("{conv: {channels: 8, kernel_initializer: he_normal}}",
     "how weights begin is said by `init` at the top of the spec: init: {conv: kaiming_normal}"),
    ("{conv: {channels: 8, out_channels: 8}}", "that is `channels`, which stands here already: leave it out"),
    ("{batchnorm: {num_features: 4}}", "inferred from the input: leave it out"),
    ("{conv: {channels: 8, data_format: channels_first}}", "maps are [C, H, W] here: leave it out"),
    ("{conv: {channels: 8, norm: bn}}", "batchnorm is an entry of its own, the next: - batchnorm"),
    ("{conv: {channels: 8, kernel: 3, padding: 1, use_bn: true}}", "batchnorm is an entry of its own, the next: - batchnorm"),
    ("{conv: {channels: 8, activation: none}}", "an activation is an entry of its own: leave this out"),
    ("{dropout: {rate: 0.5}}", "write p: 0.5"),
    ("{conv: 8, kernel: 3}",
     "an argument of conv goes inside it: {conv: {channels: 8, kernel: 3}}; a second layer needs an entry of its own"),
    ("{channels: 8, kernel: 3}", "these are arguments; write the layer's name before them: {conv: {channels: …, kernel: …}}"),
    ("{conv: 8, activation: relu}", "an activation is an entry of its own, after this one"),
    ("{pool: {type: avg, kernel: 2}}", "write {avgpool: 2}"),
    ("{type: Conv2d, out_channels: 64, kernel_size: 3}", "the layer's name is the key: {conv: {channels: 64, kernel: 3}}"),
    ("{channels: 8, type: conv}", "the layer's name is the key: {conv: 8}"),
    ("{type: Dense, units: 5, activation: relu}", "the layer's name is the key: two entries, - {linear: 5} and - relu"),
    ("{class_name: Conv2D, config: {filters: 8, kernel_size: 3}}", "the layer's name is the key: {conv: {channels: 8, kernel: 3}}"),
    ("{repeat: 2, type: Conv2d, out_channels: 64}", "the layer's name is the key: {repeat: 2, conv: 64}"),
    ("{type: LSTM, hidden: 4}", "the layer's name is the key: {lstm: {hidden: 4}}"),
    ("{type: nn.ReLU, inplace: true}", "the layer's name is the key: {relu: {inplace: true}}"),
    ("{op: relu}", "the layer's name is the key: relu"),
    ("{name: c1, conv: 64}", "an entry is named by its key in a mapping: c1: {conv: 64}"),
    ("{Relu: {max_value: 6}}", "max_value: relu6 is cut at 6; {hardtanh: {low: 0, high: 1}} elsewhere"),
    ("{conv: {channels: 8, depthwise: true}}", "write groups: depthwise"),
    ("{conv_transpose: {channels: 8, kernel: 4, stride: 2, padding: same}}",
     "numbers alone: (kernel - stride) / 2 makes the map `stride` times as large"),
    ("{from: [x, input], shortcut: }", "write {from: [x, input], add: }"),
    ('"F.relu(x)"', "write relu"),
    ("{conv: {channels: 8, bias: 0}}", "write false"),
    ("{Input: [3, 32, 32]}", "the input stands at the top of the spec, without a batch axis: input: [3, 224, 224]"),
    ("nn.MSELoss", "a loss is no layer; training has it: train: {loss: mse}"),
    ("CTCLoss", "a loss is no layer; `archc docs --recipe` lists those of training"),
    ("CrossEntropyLoss", "a loss is no layer; training has it: train: {loss: cross_entropy}"),
    ("{from: [input, input], crop: }", "center_crop crops the first value to the size of the second: {from: [a, b], center_crop: }"),
    ("xyzzy", f"`archc docs` lists the layers; {hints.PLUGIN}"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "hint"), HINTS, ids=[entry for entry, _ in HINTS])
def test_hint(entry: str, hint: str) -> None:
    before = "  - layers: {x: {conv: 4}}\n"
    found = [one.hint for one in said(entry, MAP, before) if one.code != "A304"]
    assert found[:1] == [hint]


ABSENT = "LSTMCell ConvLSTM2D Bidirectional crnn C3k2 SPPELAN ReGLU PSRoIAlign DropBlock2D"


@pytest.mark.parametrize("word", ABSENT.split())
def test_what_is_not_there_is_not_taken_for_another(word: str) -> None:
    hint = hint_of(f"{{{word}: 64}}")
    pages = ("docs/develop/writing-an-operator.md", "docs/language.md")
    assert "archc has no" in hint and any(page in hint for page in pages) and "did you mean" not in hint


def test_every_name_of_the_table_is_there() -> None:
    known = table()
    for layer in known.layers.values():
        if isinstance(layer, Alias):
            assert {*layer.fixed, *layer.arguments.values()} <= set(params(layer.kind)), layer
            assert not layer.then or layer.then in KNOWN.kinds
        if isinstance(layer, Chosen):
            assert set(layer.cases.values()) <= set(KNOWN.kinds)
    for (kind, _), argument in known.of.items():
        assert argument in params(kind), (kind, argument)
    for (kind, _), converted in known.converted.items():
        assert converted.argument in params(kind) and converted.by in CONVERSIONS, (kind, converted)
    for (kind, argument), by in known.conversions.items():
        assert argument in params(kind) and by in CONVERSIONS
    everywhere = {name for kind in KNOWN.kinds for name in params(kind)}
    assert {name for names in known.arguments.values() for name in names} <= everywhere
    assert {name for name, _ in known.values} <= everywhere and {*known.alone, *known.keeping} <= set(KNOWN.kinds)
    assert {kind for kind in known.next.values() if kind} <= set(KNOWN.kinds)
    assert all(next(iter(params(kind))) == name for kind, name in known.mains.items())
    assert all(argument in params(kind) for kind, argument in known.typed) and {kind for kind, _ in known.told} <= set(KNOWN.kinds)


def test_no_layer_of_archc_stands_under_another() -> None:
    for kind in KNOWN.kinds:
        layer = find_layer(kind, KNOWN.kinds)
        # Caffe's Scale, a normalization, and PyTorch's stacks of layers are others
        if kind not in ("scale", "norm", "transformer_encoder", "transformer_decoder"):
            assert isinstance(layer, Alias) and layer.kind == kind, (kind, layer)


def test_no_argument_of_a_layer_is_an_alias_of_its_own() -> None:
    """A word that a layer has as an argument is never said to be another of it."""
    for kind in KNOWN.kinds:
        for name in params(kind):
            assert find_argument(kind, name, params(kind), own=True).argument == name


def test_every_alias_of_a_layer_is_drawn_as_a_valid_entry() -> None:
    """The words of the table alone: what is drawn has no mistake but what its reader must fill in, and shapes."""
    for word, layer in table().layers.items():
        if not isinstance(layer, Alias) or layer.shown:
            continue
        made = rewriting.rewrite(word, layer, None, KNOWN)
        assert made is not None
        filled = made.text.replace("…", "4")
        entries = ", ".join([filled, *made.after]) if layer.kind not in rewriting.MERGES else ""
        found = compile_text(f"archc: 1\ninput: {SHAPES.get(layer.kind, [4, 12, 12])}\nlayers: [{entries or 'relu'}]").diagnostics
        assert not [one for one in found if one.code not in ("A501", "A502", "A402", "A403")], (word, filled)


SHAPES = {"pad": [4, 12, 12], "embedding": [6], "layernorm": [6, 8], "rmsnorm": [6, 8], "transformer_encoder": [6, 8]}


def test_every_alias_of_an_argument_is_taken() -> None:
    """Of each layer that archc has, each foreign word of each argument: what is written then is an argument of the layer."""
    for kind in KNOWN.kinds:
        of_kind = params(kind)
        for word in {*table().arguments, *(word for one, word in table().of if one == kind)}:
            says = find_argument(kind, word, of_kind)
            assert not says.argument or says.argument in of_kind


@given(st.text("abcdefgilmnorstuvCDLRN.()=, 0123[]_", max_size=30), st.sampled_from(["3", "{a: 1}", "[1, 2]", "{k: (3, 3), units: 4}", ""]))
def test_any_word_gets_a_hint(word: str, argument: str) -> None:
    text = f'{{"{word}": {argument}}}'
    for one in said(text, MAP):
        assert one.code.startswith("A") and one.hint != ""


def test_the_table_is_read_only_where_there_is_a_mistake() -> None:
    import subprocess
    import sys

    script = (
        "import sys; from archc.cli.main import main; main(['check', 'vgg16']); assert not [n for n in sys.modules if 'archc.aliases' in n]"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)


def test_words_are_folded_once() -> None:
    data = yaml.safe_load((Path(hints.__file__).parent / "table.yaml").read_text())
    words = [word for sort in data["absent"].values() for word in sort.split()]
    assert len({fold(word) for word in words}) == len(words)


# `archc docs`


DOCS = [
    ("Conv2d", "Conv2d is called conv here; out_channels is channels, kernel_size is kernel, in_channels is inferred."),
    ("nn.Linear", "nn.Linear is called linear here; out_features is features, in_features is inferred."),
    ("nn.Conv2d(3, 8)", "nn.Conv2d(3, 8) is written {conv: 8} here; in_channels is inferred."),
    ("conv(64, kernel=3)", "conv(64, kernel=3) is written {conv: {channels: 64, kernel: 3}} here."),
    ("GlobalAveragePooling2D", "GlobalAveragePooling2D is written global_avgpool, then flatten here."),
]


@pytest.mark.parametrize(("word", "first"), DOCS)
def test_docs_find_a_layer_by_its_other_name(word: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    from archc.cli.main import main

    assert main(["docs", word]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == first and lines[2].split(":")[0] in KNOWN.kinds
