"""Formulas of open sizes are the analysis: worked out at any size, they are what `archc.analyze` says there, exactly."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.formulas import Formulas, formulas
from archc.analysis.formulas.figures import COUNTED, Figures
from archc.cli.main import main
from archc.elaborate.compiler import Given, compile_spec, compile_text, load_spec
from archc.elaborate.open import OpenSpec, open_spec
from archc.language.loading import shipped_names
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics, SpecError
from tests.helpers.paths import ROOT

SIZES = 50


def open_text(text: str, name: str = "net") -> OpenSpec:
    """A spec that is a text, with its open sizes and numbers that suit them."""
    spec = compile_text(text, name=name).spec
    assert spec is not None
    found = open_spec(spec, {}, {})
    diagnostics = Diagnostics()
    assert found is not None
    assert found.graph_at_witness(diagnostics) is not None, list(diagnostics)
    return found


def open_shipped(name: str, shape: Given) -> OpenSpec:
    model = compile_spec(name, {}, {"": shape}, may_be_open=True)
    assert model.open is not None, list(model.diagnostics)
    return model.open


def agree(found: Formulas, sizes: Mapping[str, int]) -> bool:
    """Whether the formulas and the analysis say the same at some sizes: all figures, or that these sizes cannot be."""
    graph = found.spec.graph(sizes, Diagnostics())
    if graph is None:
        with pytest.raises(SpecError):
            found.at(**sizes)
        return False
    batch, dtype, optimizer = found.options
    report = archc.analyze(graph, batch=batch, dtype=dtype, optimizer=optimizer)
    ours: Figures[int] = found.at(**sizes)
    assert {key: (bounds.low, bounds.high) for key, bounds in ours.counts.items()} == {
        key: tuple(count) for key, count in report.counts.items()
    }
    assert ours.memory == {key: getattr(report.memory, key) for key in ours.memory}
    assert [layer.name for layer in ours.layers] == [layer.name for layer in report.layers]
    for layer, other in zip(ours.layers, report.layers, strict=True):
        assert (layer.output_shape, layer.values) == (tuple(other.output_shape), other.values)
        assert [(layer.counts[key].low, layer.counts[key].high) for key in COUNTED] == [tuple(getattr(other, key)) for key in COUNTED]
    return True


def some_sizes(found: Formulas, count: int, draw: random.Random) -> list[dict[str, int]]:
    """Random sizes around those at which a network was analyzed: half of all, half of those that the formulas are for."""
    around = [{name: max(1, int(size * draw.uniform(0.5, 1.6))) for name, size in found.recording.witness.items()} for _ in range(count)]
    apart = {name: rest.divisor for name, rest in found._required.items()}
    return [
        sizes if at % 2 else {name: max(1, size // apart[name]) * apart[name] + found._required[name].rest for name, size in sizes.items()}
        for at, sizes in enumerate(around)
    ]


FAST = {
    "resnet18": "3xHxW", "resnet20_cifar": "3xHxW", "vgg11": "3xHxW", "googlenet": "3xHxW", "mobilenet_v2": "3xHxW",
    "densenet121": "3xHxW", "unet": "1xHxW", "nin": "3xHxW", "allcnn_c": "3xHxW",
}  # fmt: skip


@pytest.mark.parametrize("name", FAST)
def test_shipped_specs_at_random_sizes(name: str) -> None:
    found = formulas(open_shipped(name, FAST[name]), 4, "float16", "adam")
    draw = random.Random(name)
    assert sum(agree(found, sizes) for sizes in some_sizes(found, 12, draw)) >= 4


@pytest.mark.heavy
@pytest.mark.parametrize("name", shipped_names())
def test_all_shipped_specs_at_fifty_sizes(name: str) -> None:
    """Each network whose size is not fixed by a layer, which is then said."""
    spec = load_spec(name, Diagnostics())
    assert spec is not None
    own = compile_spec(name).graph
    assert own is not None
    shape = next(iter(own.inputs.values())).shape
    names = ["H", "W"] if len(shape) == 3 else ["L"]
    found = open_shipped(name, "x".join([str(shape[0]), *names]) if len(shape) > 1 else "F")
    try:
        made = formulas(found, optimizer="sgd")
    except SpecError as error:
        assert {one.code for one in error.diagnostics} == {"A504"}
        return
    sizes = some_sizes(made, SIZES if len(own.nodes) < 400 else SIZES // 5, random.Random(name))
    agreed = [agree(made, one) for one in sizes]
    assert any(agreed)


STAGES = [
    "{{conv: {{channels: {c}, kernel: {k}, stride: {s}, padding: {p}}}}}",
    "{{conv: {{channels: {c}, kernel: {k}, stride: {s}, padding: same_upper}}}}",
    "{{conv: {{channels: {c}, kernel: 3, dilation: {s}, padding: same, padding_mode: reflect}}}}",
    "{{conv_transpose: {{channels: {c}, kernel: {k}, stride: {s}}}}}",
    "{{maxpool: {{kernel: {k}, stride: {s}, ceil: true}}}}",
    "{{avgpool: {{kernel: 3, stride: {s}, padding: 1}}}}",
    "batchnorm", "relu", "{{groupnorm: 1}}", "{{upsample: 2}}", "{{upsample: {{scale: 1.5, mode: bilinear}}}}", "{{dropout: 0.1}}",
    "{{pad: {{sides: [{p}, 0, 1, {s}]}}}}", "{{crop: [0, {p}, 1, 0]}}", "{{adaptive_maxpool: 5}}",
    "{{add: {{body: {{conv: {{channels: {c}, kernel: 1}}}}, skip: {{conv: {c}}}}}}}",
    "{{concat: [{{conv: {c}}}, {{maxpool: {{kernel: 3, stride: 1, padding: 1}}}}]}}",
    '{{when: "${{input.height > 9}}", maxpool: 2}}',
    '{{upsample: {{size: ["${{input.height + 1}}", "${{2 * input.width}}"]}}}}',
    "{{inline: [tokens, {{layernorm: }}, {{attention: 1}}, {{transpose: }}, {{reshape: ['${{input.channels}}', -1, 1]}}]}}",
    "{{inline: [{{roll: {{shift: 1, axis: 1}}}}, {{flip: {{axis: 2}}}}, {{slice: {{start: 1, axis: 1}}}}]}}",
    "{{mul: {{a: relu, b: {{inline: [global_avgpool, {{conv: '${{input.channels}}'}}, sigmoid]}}}}}}",
    "{{reshape: ['${{input.channels}}', '${{input.height * input.width}}', 1]}}",
    "{{lrn: 3}}", "{{pixel_unshuffle: 2}}", "{{layernorm: channels}}",
]  # fmt: skip
STAGE = st.builds(
    lambda stage, c, k, s, p: stage.format(c=c, k=k, s=s, p=p),
    st.sampled_from(STAGES),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2),
)


@settings(max_examples=40)
@given(st.lists(STAGE, min_size=1, max_size=6), st.booleans(), st.randoms(use_true_random=False))
def test_drawn_networks(stages: list[str], square: bool, draw: random.Random) -> None:
    layers = "".join(f"  - {stage}\n" for stage in [*stages, "global_avgpool", "flatten", "{linear: 3}"])
    text = f"archc: 1\ninput: [2, H, {'H' if square else 'W'}]\nlayers:\n{layers}"
    spec = compile_text(text).spec
    found = open_spec(spec, {}, {}) if spec is not None else None
    if found is None or found.graph_at_witness(Diagnostics()) is None:
        return  # drawn layers need not fit
    try:
        made = formulas(found)
    except SpecError as error:
        assert {one.code for one in error.diagnostics} == {"A504"}
        return
    for _ in range(8):
        agree(made, {name: draw.randint(1, 40) for name in made.sizes})


OTHERS = {
    "signal": "input: [1, L]\nlayers: [{conv: {channels: 8, kernel: 9, stride: 4}}, relu, {maxpool: 2}, global_avgpool, flatten]\n",
    "video": "input: [3, D, H, W]\nlayers: [{conv: {channels: 8, kernel: 3, stride: [1, 2, 2], padding: 1}}, global_avgpool, flatten]\n",
    "sentence": "input: [T]\nlayers: [{embedding: {entries: 90, features: 12}}, {transformer_encoder: 3}, {layernorm: }, {select: 0}]\n",
    "recurrent": "input: [T, 6]\nlayers: [{gru: {hidden: 5, layers: 2}}, {linear: 4}]\n",
    "two": "input: {image: [3, H, W], mask: {shape: [1, H, W]}}\nlayers:\n  a: {from: image, conv: 4}\n  b: {from: [a, mask], mul: }\n",
    "square": "input: [3, S, S]\nsizes: {S: 32}\nlayers: [{conv: {channels: 8, kernel: 5}}, {maxpool: 3}, global_maxpool]\n",
    "windows": "input: [3, H, W]\nlayers: [{conv: {channels: 8, kernel: 4, stride: 4}}, {pixel_unshuffle: 2}, {pixel_shuffle: 2}]\n",
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_inputs(name: str) -> None:
    found = formulas(open_text(OTHERS[name], name), optimizer="adamw")
    draw = random.Random(name)
    assert sum(agree(found, {one: draw.randint(1, 60) for one in found.sizes}) for _ in range(SIZES)) >= 10


def test_formulas_in_words() -> None:
    found = archc.formulas("resnet50", input=(3, "H", "W"), optimizer="sgd")
    assert found.sizes == ["H", "W"]
    assert str(found.macs) == "81,456*H*W + 2,048,000"
    assert found.macs.exact_text == (
        "9,408*ceil(H/2)*ceil(W/2) + 245,760*ceil(H/4)*ceil(W/4) + 1,310,720*ceil(H/8)*ceil(W/8)"
        " + 7,471,104*ceil(H/16)*ceil(W/16) + 14,417,920*ceil(H/32)*ceil(W/32) + 2,048,000"
    )
    assert found.assumption == "H and W divisible by 32"
    assert found.conditions == []
    assert [size.exact_text for size in found.figures["layer4.2.conv3"].output_shape] == ["2,048", "ceil(H/32)", "ceil(W/32)"]
    assert found.parameters.number == archc.analyze("resnet50").parameters
    assert json.loads(json.dumps(found.to_dict()))["totals"]["parameters"] == found.parameters.number


def test_of_one_recording_is_worked_out_and_others_are_made_anew() -> None:
    """The amount of padding depends on the rest of the size: four kinds of sizes."""
    text = "input: [1, H, W]\nlayers: [{conv: {channels: 2, kernel: 2, stride: 2, padding: same_upper}}]\n"
    found = formulas(open_text(text))
    assert found.conditions == ["H and W divisible by 2"]
    for sizes in ({"H": 8, "W": 8}, {"H": 7, "W": 8}, {"H": 8, "W": 7}, {"H": 7, "W": 9}, {"H": 5, "W": 5}, {"H": 100, "W": 2}):
        assert agree(found, sizes)
    assert len(found._recordings) == 4


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("input: [1, H, W]\nlayers:\n  - {conv: 4}\n  - flatten\n  - {linear: 10}\n", 5, "it needs 200,704 features, and gets 4*H*W"),
        ("input: [T, 8]\nsizes: {T: 9}\nlayers:\n  - position_embedding\n", 4, "it needs weights for 9, and gets T"),
        ("input: [2, L]\nsizes: {L: 8}\nlayers:\n  - {reshape: [4, 4]}\n", 4, "2*L must be 16"),
        ("input: [C, 8]\nsizes: {C: 8}\nlayers:\n  - relu\n  - {conv: 4}\n", 5, "it needs weights for 8, and gets C"),
        (
            "input: [1, L]\nsizes: {L: 8}\nlayers:\n  - relu\n  - {fully: }\nblocks:\n  fully: {layers: [{unbind: {axis: 1}}, stack]}\n",
            7,
            "L must be 8",
        ),
    ],
)
def test_a_layer_that_fixes_a_size_is_named(text: str, line: int, said: str) -> None:
    with pytest.raises(SpecError) as error:
        formulas(open_text(text))
    (found,) = error.value.diagnostics[:1]
    assert (found.code, found.span.line) == ("A504", line)
    assert said in found.message
    assert "can only be" in (found.hint or "")


def test_a_range_of_sizes_may_come_to_the_same() -> None:
    with pytest.raises(SpecError, match="H can only be 28 to 31, W can only be 28 to 31"):
        archc.formulas("lenet5", input=(1, "H", "W"))


def test_numbers_for_open_sizes(tmp_path: Path) -> None:
    body = "layers: {a: {from: image, conv: 4}, b: {from: mask, conv: 4}, c: {from: [a, b], add: }}\n"
    spec = tmp_path / "two.yaml"
    spec.write_text(f"input: {{image: [3, H, W], mask: [1, H, W]}}\n{body}")
    graph = archc.load(spec, input={"image": (3, 6, 8)})
    assert [tuple(value.shape) for value in graph.inputs.values()] == [(3, 6, 8), (1, 6, 8)]
    with pytest.raises(SpecError, match="H is 5 here, and 6 of image"):
        archc.load(spec, input={"image": (3, 6, 8), "mask": (1, 5, 8)})
    spec.write_text(f"input: {{image: [3, H, W], mask: [1, H, W]}}\nsizes: {{H: 4, W: 5}}\n{body}")
    assert tuple(archc.load(spec).inputs["mask"].shape) == (1, 4, 5)
    assert tuple(archc.load(spec, input={"mask": (1, 7, 7)}).inputs["image"].shape) == (3, 7, 7)
    found = archc.formulas(spec)
    assert found.recording.witness == {"H": 4, "W": 5}
    with pytest.raises(SpecError, match="this needs numbers for A and B"):
        archc.load("resnet18", input="3xAxB")


def test_a_derived_spec_takes_open_sizes_and_other_numbers() -> None:
    base = "input: [3, H, W]\nsizes: {H: 8, W: 8}\nlayers: [{conv: 4}]\n"
    assert compile_text(base).graph is not None
    with pytest.raises(archc.ArgumentError, match=r"at\(H=224, W=224\)"):
        archc.formulas("resnet18", input="3xHxW").at(H=3)
    with pytest.raises(archc.ArgumentError, match="no open size"):
        archc.formulas("resnet18")
    with pytest.raises(SpecError, match="has 3"):
        archc.formulas("resnet18", input=("H", "W"))


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_tables_fit_eighty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for more in ([], ["--exact"], ["--depth", "1"], ["--tree"], ["--top", "3"], ["--optimizer", "adam", "--batch", "8"]):
        out = printed(capsys, "analyze", "resnet50", "--input", "3xHxW", *more)
        assert max(map(len, out.splitlines())) <= 80
        assert "4.09G MACs" in re.sub(r"\s+", " ", out)


def test_an_explanation_has_formulas_in_the_place_of_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "explain", "resnet50", "layer1.0.conv2", "--input", "3xHxW")
    assert "H' = floor((H - kernel + 2*padding)/stride) + 1 = floor((ceil(H/4) - 3 + 2*1)/1) + 1 = ceil(H/4)" in out or (
        "H' = H - kernel + 2*padding + 1 = ceil(H/4) - 3 + 2*1 + 1 = ceil(H/4)" in out
    )
    assert re.search(r"MACs = .* = 36,864\*ceil\(H/4\)\*ceil\(W/4\)\n", out)
    assert "takes   layer1.0.relu1 [64, ceil(H/4), ceil(W/4)]" in out


def test_what_needs_numbers_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for words in (["--as", "thop"], ["--view", "lecture"], ["--training"]):
        assert main(["analyze", "resnet18", "--input", "3xHxW", *words]) == 2
        assert "--input 3x224x224" in capsys.readouterr().err
    assert main(["analyze", "alexnet", "--input", "3xHxW"]) == 2
    assert "fc6 fixes the size of the input" in capsys.readouterr().err
    assert main(["time", "resnet18", "--device", "cpu", "--input", "3xHxW"]) == 2
    assert "this needs numbers for H and W" in capsys.readouterr().err


def test_a_shape_tree_is_left_as_it_was() -> None:
    """Names are read from shapes alone: what is written in `$` is no open size."""
    spec = compile_text("input: [$c, H, W]\nparams: {c: 3}\nlayers: [{conv: 4}]\n").spec
    assert spec is not None
    assert isinstance(spec.input, t.Sequence)
    found = open_spec(spec, {}, {})
    assert found is not None
    assert found.names == ["H", "W"]
