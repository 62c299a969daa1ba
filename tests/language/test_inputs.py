"""Shapes of inputs: every common writing is read, the network's number of axes is held to, a batch and channels last are doubted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import archc
from archc.elaborate.compiler import Model, compile_spec, compile_text
from archc.ops.shape import read_sizes
from tests.helpers.paths import ROOT

SAME, PLAIN = "{conv: {channels: 8, kernel: 3, padding: 1}}", "{conv: {channels: 8, kernel: 3}}"
HEAD = "global_avgpool, flatten, {linear: 10}"
BATCH, LAST = "no batch axis", "channels come first"

# A network of one axis more or less than was meant: its input, its layers, and the input that the message proposes.
DOUBTED = [
    ("[1, 3, 32, 32]", f"{SAME}, {HEAD}", BATCH, "[3, 32, 32]"),
    ("[8, 3, 32, 32]", f"{SAME}, {HEAD}", BATCH, "[3, 32, 32]"),
    ("[64, 1, 28, 28]", f"{SAME}, {HEAD}", BATCH, "[1, 28, 28]"),
    ("[32, 1, 28, 28]", "flatten, {linear: 10}", BATCH, "[1, 28, 28]"),
    ("[224, 224, 3]", f"{SAME}, {HEAD}", LAST, "[3, 224, 224]"),
    ("[28, 28, 1]", f"{SAME}, {HEAD}", LAST, "[1, 28, 28]"),
    ("[480, 640, 3]", f"{SAME}, {HEAD}", LAST, "[3, 480, 640]"),
    ("[32, 224, 224, 3]", f"{SAME}, {HEAD}", LAST, "[3, 224, 224]"),
    ("[400, 1]", f"{SAME}, {HEAD}", LAST, "[1, 400]"),
    ("[1, 784]", "{linear: 100}, relu, {linear: 10}", BATCH, "[784]"),
]
# The same, where a layer fails for it.
FAILING = [
    ("[1, 3, 32, 32]", "{maxpool: 2}, {maxpool: 2}", BATCH, "[3, 32, 32]"),
    ("[32, 32, 3]", f"{PLAIN}, {PLAIN}", LAST, "[3, 32, 32]"),
    ("[400, 1]", PLAIN, LAST, "[1, 400]"),
    ("[32, 1, 400]", PLAIN, BATCH, "[1, 400]"),
    ("[32, 128, 64]", "{attention: 8}", BATCH, "[128, 64]"),
    ("[32, 128]", "{embedding: {entries: 100, features: 8}}", BATCH, "[128]"),
]
# Volumes, videos, signals, spectrograms, points, tokens: as they are meant.
MEANT = [
    ("[1, 16, 112, 112]", f"{SAME}, {HEAD}"),
    ("[3, 16, 112, 112]", f"{SAME}, {HEAD}"),
    ("[4, 155, 240, 240]", f"{SAME}, {HEAD}"),
    ("[1, 3, 64, 64]", "{conv: {channels: 8, kernel: [3, 3, 3], padding: 1}}"),
    ("[1, 128, 400]", f"{SAME}, {HEAD}"),
    ("[64, 1000, 1]", "{conv: {channels: 8, kernel: [5, 1]}}"),
    ("[3, 1024]", f"{{conv: 64}}, {HEAD}"),
    ("[1024, 3]", "{linear: 64}, relu, {linear: 10}"),
    ("[1, 400]", f"{SAME}, {HEAD}"),
    ("[4, 10, 8]", "{permute: [1, 0, 2]}"),
    ("[197, 768]", "{transformer_encoder: 12}"),
    ("[64, 7, 7]", f"{SAME}, {HEAD}"),
    ("[28, 28, 1]", "flatten, {linear: 10}"),
    ("[32, 32, 3]", f"{{permute: [2, 0, 1]}}, {SAME}, {HEAD}"),
    ("[2, 1, 8, 10]", "{transpose: {axes: [2, 3]}}"),
    ("[2, 1, 8, 10]", f"{{permute: {{order: [0, 2, 1, 3]}}}}, {SAME}"),
    ("[2, 3, 10, 8]", "{add: [identity, relu]}"),
    ("[2, 3, 10, 8]", "{reshape: [6, 10, 8]}, {conv: {channels: 8, kernel: 3}}"),
]
# Failures that another shape would only hide.
OTHERWISE = [
    ("[3, 64, 100]", "{maxpool: 70}"),
    ("[16, 7, 9]", "{linear: 10}"),
    ("[1, 16, 64, 64]", "{maxpool: 2}, {maxpool: 2}, {maxpool: 2}, {maxpool: 2}, {maxpool: 2}"),
    ("[6, 8]", "{split: {parts: 4}}"),
    ("[9, 128, 1]", PLAIN),
]


def made(shape: str, layers: str) -> Model:
    return compile_text(f"archc: 1\ninput: {shape}\nlayers: [{layers}]")


@pytest.mark.parametrize(("shape", "layers", "rule", "right"), DOUBTED)
def test_doubted(shape: str, layers: str, rule: str, right: str) -> None:
    model = made(shape, layers)
    (found,) = model.diagnostics
    assert model.graph is not None and (found.code, found.severity, found.span.text) == ("A902", "warning", shape)
    assert rule in (found.hint or "") and (found.hint or "").endswith(f"input: {right}")
    assert not len(made(right, layers).diagnostics)


@pytest.mark.parametrize(("shape", "layers", "rule", "right"), FAILING)
def test_told_where_a_layer_fails(shape: str, layers: str, rule: str, right: str) -> None:
    warned, failed = sorted(made(shape, layers).diagnostics, key=lambda one: one.severity, reverse=True)
    assert (warned.code, failed.code) == ("A902", "A501")
    assert rule in (failed.hint or "") and f"input: {right} this fits" in (failed.hint or "")
    assert not [one for one in made(right, layers).diagnostics if one.severity == "error"]


@pytest.mark.parametrize(("shape", "layers"), MEANT)
def test_meant(shape: str, layers: str) -> None:
    assert [one.message for one in made(shape, layers).diagnostics] == []


@pytest.mark.parametrize(("shape", "layers"), OTHERWISE)
def test_no_other_shape_is_proposed(shape: str, layers: str) -> None:
    (found,) = made(shape, layers).diagnostics
    assert found.severity == "error" and "batch" not in (found.hint or "") and "channels come" not in (found.hint or "")


def test_no_spec_that_ships_is_doubted() -> None:
    for path in sorted((ROOT / "specs").glob("*.yaml")):
        if path.stem.startswith(("unet", "vgg16", "vit_b16", "mlp", "autoencoder", "lenet", "allcnn", "resnet18")):
            assert not len(compile_spec(str(path)).diagnostics), path


@pytest.mark.parametrize(
    "text", ["3x64x64", "3X64x64", "3 x 64 x 64", "3,64,64", "3 64 64", "(3, 64, 64)", "[3, 64, 64]", "3×64×64", " 3, 64, 64,"]
)
def test_writings(text: str) -> None:
    assert read_sizes(text) == [3, 64, 64]
    assert compile_spec("resnet18", {}, {"": text}).graph is not None


@pytest.mark.parametrize("text", ["", "3x", "x3", "3.0x2", "-3x2", "3;;2", "3x2)(", "a", "3x" * 200])
def test_no_writings(text: str) -> None:
    assert read_sizes(text) == []


@pytest.mark.parametrize(("text", "hint"), [
    ("64x64", "write --input 3x64x64"),
    ("1x3x64x64", "write --input 3x64x64: shapes have no batch axis"),
    ("1x64x64x3", "write --input 3x64x64: shapes have no batch axis"),
    ("224", "write --input 3x224x224"),
    ("3x64", "write --input 3x64x64"),
    ("3x16x112x112", "as --input 3x224x224"),
])  # fmt: skip
def test_another_number_of_axes(text: str, hint: str) -> None:
    model = compile_spec("resnet18", {}, {"": text})
    (found,) = model.diagnostics
    assert model.graph is None and (found.code, found.hint) == ("A402", hint)
    assert found.message.endswith("the input of resnet18, [3, 224, 224], has 3")


def test_channels_last_on_the_command_line() -> None:
    (found,) = compile_spec("resnet18", {}, {"": "224x224x3"}).diagnostics
    assert (found.code, found.severity, found.hint) == ("A902", "warning", "channels come first: --input 3x224x224")


@pytest.mark.parametrize(("given", "hint"), [
    ((64, 64), "input=(3, 64, 64)"),
    (224, "input=(3, 224, 224)"),
    ((8, 3, 64, 64), "input=(3, 64, 64): shapes have no batch axis"),
    ((None, 64, 64), "input=(64, 64)"),
    ((3.0, 64, 64), "3.0 is not a size"),
    ("64x64", "--input 3x64x64"),
])  # fmt: skip
def test_shapes_from_a_program(given: object, hint: str) -> None:
    with pytest.raises(archc.SpecError) as caught:
        archc.load("resnet18", input=given)  # type: ignore[arg-type]
    assert hint in str(caught.value)


@pytest.mark.parametrize(("shape", "hint"), [
    ("[64, 64]", "resnet18 takes [3, 224, 224]: input: [3, 64, 64]"),
    ("[16, 3, 64, 64]", "shapes have no batch axis: input: [3, 64, 64]"),
    ("[3, 16, 112, 112]", None),  # a video
    ("[12, 5000]", None),  # a signal of twelve leads
    ("[1, 128, 400]", None),
])  # fmt: skip
def test_a_spec_that_extends(shape: str, hint: str | None) -> None:
    found = list(compile_text(f"extends: resnet18\ninput: {shape}\nexpect: {{parameters: 1}}").diagnostics)
    assert [(one.code, one.severity, one.hint) for one in found] == [("A902", "warning", hint)] * (hint is not None)


def test_a_program_is_warned() -> None:
    with pytest.warns(archc.SpecWarning, match="no batch axis: input=\\(1, 28, 28\\)") as caught:
        archc.loads(f"input: [1, 16, 28, 28]\nlayers: [{SAME}]", input=(8, 1, 28, 28))
    assert [Path(one.filename).name for one in caught] == [Path(__file__).name]


def test_numbers_of_others_are_numbers() -> None:
    for given in (np.array([3, 64, 64]), (np.int64(3), 64, 64), [3, 64, 64], "3x64x64", {"input": (3, 64, 64)}):
        assert archc.load("resnet18", input=given).inputs["input"].shape == (3, 64, 64)  # type: ignore[arg-type]
    assert archc.loads("input: [784]\nlayers: [{linear: 10}]", input=100).inputs["input"].shape == (100,)


def test_inputs_by_name() -> None:
    text = "input: {left: [3, 8, 8], right: [3, 8, 8]}\nlayers: [{from: [left, right], concat: }]"
    wrong = {"left": "8x8"}, {"": "3x16x16"}, {"lef": "3x16x16"}
    hints = [[one.hint for one in compile_text(text, {}, inputs).diagnostics] for inputs in wrong]
    assert hints == [["write --input left=3x8x8"], ["write --input left=3x16x16, --input right=3x16x16"], ['did you mean "left"?']]
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [relu]", {}, {"image": "3x16x16"}).diagnostics
    assert (found.code, found.hint) == ("A307", "write --input 3x16x16")


@pytest.mark.parametrize(("shape", "hint"), [
    ("3x32x32", "write input: [3, 32, 32]"),
    ("(3, 32, 32)", "write input: [3, 32, 32]"),
    ("784", "write input: [784] for a vector; an image is [3, 224, 224]"),
    ("{image: 3x32x32}", "write image: [3, 32, 32]"),
    ("[null, 3, 32, 32]", "shapes have no batch axis: input: [3, 32, 32]"),
    ("[8, 3, 16, 112, 112]", "shapes have no batch axis: input: [3, 16, 112, 112]"),
    ("[[3, 32, 32]]", "one pair of brackets is enough"),
    ("{channels: 3}", "a shape is a list of sizes, channels first: input: [3, 224, 224]"),
])  # fmt: skip
def test_what_is_no_shape(shape: str, hint: str) -> None:
    assert [one.hint for one in made(shape, SAME).diagnostics] == [hint]
