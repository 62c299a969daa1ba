"""The receptive field's picture: its figures are the analysis's, and those that papers print."""

from __future__ import annotations

import re

import pytest

from archc import analyze, load, loads
from archc.draw.field import FieldOptions, draw, growths
from archc.draw.theme import DARK, LIGHT
from tests.draw.pictures import ALL, HOSTILE, SVG, is_inert, net, outside, overlapping, titles, tree, words

OPTIONS = FieldOptions()
SQUARE = 300


@pytest.mark.parametrize("name", [one for one in ALL if one.values[0] != "mlp"])
def test_every_spec_is_drawn_and_can_be_read(name: str) -> None:
    svg = draw(net(name), OPTIONS, LIGHT)
    root = tree(svg)
    assert is_inert(svg) and not overlapping(root) and not outside(root)
    assert len(svg) < 200_000


def test_the_same_network_is_the_same_picture() -> None:
    assert draw(load("resnet50"), OPTIONS, DARK) == draw(load("resnet50"), OPTIONS, DARK)


@pytest.mark.parametrize("name", ("lenet5", "alexnet", "vgg16", "resnet18", "googlenet", "unet"))
def test_points_and_squares_are_the_fields_of_the_analysis(name: str) -> None:
    known = {layer.name: str(layer.field) for layer in analyze(net(name)).layers}
    root = tree(draw(net(name), OPTIONS, LIGHT))
    said = [re.fullmatch(r"(\S+): (\S+|the whole input)", title) for title in titles(root)]
    found = [(one[1], one[2].replace("the whole input", "all")) for one in said if one and one[1] in known]
    assert len(found) >= 6 and all(known[layer] == field for layer, field in found)


def test_vgg16_grows_as_printed() -> None:
    """After the last pooling 212 pixels (Araujo, Norris & Sim, Distill 2019, table 1, for VGG-16's fields)."""
    sizes = {one.node.name: one.size for one in growths(net("vgg16"))}
    assert sizes["features.30"] == 212 and sizes["features.0"] == 3 and sizes["features.2"] == 5 and sizes["features.4"] == 6


def test_alexnet_grows_as_printed() -> None:
    """The same table: 195 pixels for AlexNet's last pooling."""
    assert [one.size for one in growths(net("alexnet")) if one.size][-1] == 195


def test_squares_are_to_scale() -> None:
    root = tree(draw(net("vgg16"), FieldOptions(("features.12", "features.30")), LIGHT))
    sides = {rect[0].text: float(rect.get("width", "")) for rect in root.iter(f"{SVG}rect") if len(rect)}
    assert sides["input 3x224x224"] == SQUARE
    assert sides["features.12: 32x32"] == pytest.approx(SQUARE * 32 / 224, abs=0.01)
    assert sides["features.30: 212x212"] == pytest.approx(SQUARE * 212 / 224, abs=0.01)


@pytest.mark.parametrize("name", ("resnet18", "densenet121", "efficientnet_b0"))
def test_the_line_never_falls(name: str) -> None:
    root = tree(draw(net(name), OPTIONS, LIGHT))
    line = max(root.iter(f"{SVG}polyline"), key=lambda one: len(one.get("points") or ""))
    heights = [float(pair.split(",")[1]) for pair in (line.get("points") or "").split()]
    assert heights == sorted(heights, reverse=True)


def test_a_field_wider_than_the_input_is_said() -> None:
    assert any(text.endswith("on wider than the input") for text in words(tree(draw(net("resnet50"), OPTIONS, LIGHT))))
    assert not any("wider" in text for text in words(tree(draw(net("lenet5"), OPTIONS, LIGHT))))


def test_one_dimension_is_a_strip() -> None:
    graph = loads("archc: 1\nname: n\ninput: [1, 100]\nlayers: [{conv: {channels: 8, kernel: 9}}, {maxpool: {kernel: 4}}]\n")
    root = tree(draw(graph, OPTIONS, LIGHT))
    assert "Extent of the field, in positions" in words(root)
    assert [title.partition(": ")[2] for title in titles(root)[2:]] == ["9", "9", "12"]  # a square, and two points


@pytest.mark.parametrize(
    ("net_", "said"),
    [(load("mlp"), "no receptive field smaller"), (loads("archc: 1\nname: n\ninput: [9]\nlayers: [relu]\n"), "is a vector")],
)
def test_a_network_without_fields_is_refused(net_: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        draw(net_, OPTIONS, LIGHT)  # type: ignore[arg-type]


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="lenet5 has no layer called conv9"):
        draw(net("lenet5"), FieldOptions(("conv9",)), LIGHT)


def test_names_of_a_stranger_stay_text() -> None:
    svg = draw(loads(HOSTILE), OPTIONS, LIGHT)
    assert is_inert(svg) and any("<script>" in text for text in words(tree(svg)))


def test_a_name_without_end_makes_no_picture_without_end() -> None:
    graph = loads(HOSTILE.replace("<script>", "long " * 20_000))
    root = tree(draw(graph, OPTIONS, LIGHT))
    assert float(root.get("width", "0")) < 1_200 and not outside(root)
