"""Feature maps as boxes: what is drawn, how it is told, and that it can be read."""

from __future__ import annotations

import re

import networkx
import pytest

from archc import load, loads
from archc.draw.theme import DARK, LIGHT
from archc.draw.volumes.picture import VolumesOptions, draw, scene
from archc.draw.volumes.pieces import pieces
from archc.draw.volumes.u_shape import path
from archc.draw.volumes.units import runs, shape_text, units
from tests.draw.pictures import ALL, HOSTILE, LECTURES, SVG, covered, faces, is_inert, net, outside, overlapping, titles, tree, words

OPTIONS = VolumesOptions()
HEAD = "archc: 1\nname: n\n"

# what the papers and lectures print under their figures
PRINTED = {
    "alexnet": ["227×227×3", "55×55×96", "27×27×96", "27×27×256", "13×13×256", "13×13×384", "13×13×256", "6×6×256", "4096", "1000"],
    "vgg16": ["224×224×3", "224×224×64", "112×112×64", "112×112×128", "56×56×128", "56×56×256", "28×28×256", "28×28×512", "14×14×512",
              "14×14×512", "7×7×512", "4096", "1000"],
    "resnet50": ["224×224×3", "112×112×64", "56×56×64", "56×56×256", "28×28×512", "14×14×1024", "7×7×2048", "1×1×2048", "1000"],
}  # fmt: skip


def bold(svg: str) -> list[str]:
    """The shapes: what stands in bold under the title."""
    return [one.text or "" for one in tree(svg).iter(f"{SVG}text") if one.get("font-weight")]


@pytest.mark.parametrize("name", ALL)
def test_every_spec_is_drawn_and_can_be_read(name: str) -> None:
    svg = draw(net(name), OPTIONS, LIGHT)
    root = tree(svg)
    assert is_inert(svg) and not overlapping(root) and not outside(root) and not covered(root)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    assert len(svg) < 60_000 and width < 1_750 and height < 1_000


@pytest.mark.parametrize("name", LECTURES)
def test_other_options_can_be_read_as_well(name: str) -> None:
    for options in (VolumesOptions(scale="log"), VolumesOptions(scale="linear"), VolumesOptions(names=True)):
        root = tree(draw(net(name), options, DARK))
        assert not overlapping(root) and not outside(root) and not covered(root)


@pytest.mark.parametrize("name", ("vgg16", "unet", "densenet121"))
def test_the_same_network_is_the_same_picture(name: str) -> None:
    assert draw(load(name), OPTIONS, LIGHT) == draw(load(name), OPTIONS, LIGHT)
    assert draw(load(name), OPTIONS, LIGHT) != draw(load(name), OPTIONS, DARK)


@pytest.mark.parametrize("name", PRINTED)
def test_labels_are_the_sizes_that_papers_print(name: str) -> None:
    assert sorted(bold(draw(net(name), OPTIONS, LIGHT))[:-1]) == sorted(PRINTED[name])


@pytest.mark.parametrize("name", LECTURES)
def test_what_is_under_the_pointer_is_what_the_layers_have(name: str) -> None:
    graph = net(name)
    known = {tuple(node.output.shape) for node in graph.nodes} | {tuple(value.shape) for value in graph.inputs.values()}
    for title in titles(tree(draw(graph, OPTIONS, LIGHT)))[1:]:
        found = re.search(r"([\d×]+), ([\d,]+) values$", title)
        assert found is not None
        sizes = [int(size) for size in found[1].split("×")]
        assert (sizes[-1], *sizes[:-1]) in known or tuple(sizes) in known
        product = 1
        for size in sizes:
            product *= size
        assert product == int(found[2].replace(",", ""))


@pytest.mark.parametrize("name", ("resnet18", "googlenet", "densenet_40_12", "vit_b16", "mobilenet_v2"))
def test_cuts_are_where_taking_a_layer_out_parts_the_network(name: str) -> None:
    """By brute force, on networkx's graph."""
    graph = net(name).deployed()
    whole = graph.to_networkx()
    (start,), (end,) = graph.inputs, [value.node.name for value in graph.outputs.values() if value.node]
    kept = {node.name for node in graph.nodes}
    flow = whole.subgraph(kept | {start})
    cuts = {one for one in kept - {end} if not networkx.has_path(flow.subgraph(set(flow) - {one}), start, end)} | {end}
    assert {piece[-1].name for piece in pieces(graph)} == cuts


@pytest.mark.parametrize("name", ALL)
def test_no_layer_is_in_two_boxes_and_runs_leave_none_out(name: str) -> None:
    graph = net(name).deployed()
    found = units(graph)
    seen = [id(node) for unit in found for node in unit.nodes]
    assert len(seen) == len(set(seen))
    assert [id(unit) for run in runs(found) for unit in run.units] == [id(unit) for unit in found]


def test_repeats_are_counted() -> None:
    text = words(tree(draw(net("resnet152"), OPTIONS, LIGHT)))
    assert [f"bottleneck ×{n}" in text for n in (3, 8, 36)] == [True] * 3
    assert "transformer encoder ×12" in words(tree(draw(net("vit_b16"), OPTIONS, LIGHT)))
    text = words(tree(draw(net("densenet121"), OPTIONS, LIGHT)))
    assert [f"dense layer ×{n}" in text for n in (6, 12, 24, 16)] == [True] * 4


@pytest.mark.parametrize("scale", ("sqrt", "log", "linear"))
def test_boxes_are_sized_by_their_shapes(scale: str) -> None:
    picture = tree(draw(net("vgg16"), VolumesOptions(scale=scale), LIGHT))
    heights = []
    for group in picture.iter(f"{SVG}g"):
        if (group.get("class") or "").startswith("volume") and "×" in (group[0].text or "").split(", ")[-2]:
            extent = int((group[0].text or "").split(": ")[1].split(", ")[1].split("×")[0])
            ys = [float(pair.split(",")[1]) for pair in (group.findall(f"{SVG}polygon")[-1].get("points") or "").split()]
            heights.append((extent, round(max(ys) - min(ys), 1)))
    assert len(heights) >= 19
    by_extent = dict(heights)
    assert all(by_extent[extent] == high for extent, high in heights)
    assert sorted(by_extent.values()) == [by_extent[extent] for extent in sorted(by_extent)]
    ratio = {"sqrt": 0.5**0.5, "linear": 0.5}.get(scale)
    assert ratio is None or abs(by_extent[112] / by_extent[224] - ratio) < 0.01


def test_unet_is_a_u() -> None:
    """Five levels, four wires across, each between maps of one level (Ronneberger et al. 2015, figure 1)."""
    graph = net("unet")
    assert path(graph)
    root = tree(draw(graph, OPTIONS, LIGHT))
    wires = [one for one in root.iter(f"{SVG}polyline") if one.get("stroke-dasharray")]
    ends = [[float(pair.split(",")[1]) for pair in (one.get("points") or "").split()] for one in wires]
    assert len(wires) == 4 and all(len(set(ys)) == 1 for ys in ends)
    assert words(root).count("concat, cropped") == 4
    shapes = bold(draw(graph, OPTIONS, LIGHT))
    assert {"568×568×64", "280×280×128", "136×136×256", "64×64×512", "28×28×1024", "52×52×512", "388×388×2"} <= set(shapes)


@pytest.mark.parametrize("name", [name for name in LECTURES if name != "unet"] + ["autoencoder", "fractalnet20", "pnasnet5_large"])
def test_nothing_else_is_a_u(name: str) -> None:
    assert not path(net(name).deployed())


PADDED = """
input: [3, 64, 64]
layers:
  a: {conv: {channels: 16, kernel: 3, padding: 1}}
  down: {maxpool: {kernel: 2}}
  b: {conv: {channels: 16, kernel: 3, padding: 1}}
  up: {upsample: {scale: 2}}
  join: {add: , from: [up, a]}
  end: {conv: {channels: 2, kernel: 1}}
"""


def test_a_u_whose_wire_is_a_sum() -> None:
    graph = loads(HEAD + PADDED)
    assert [node.name for node in path(graph)] == ["a", "down", "b", "up", "join", "end"]
    assert "add" in words(tree(draw(graph, OPTIONS, LIGHT)))


def test_one_and_three_dimensions() -> None:
    layers = "layers: [{conv: {channels: 8, kernel: 3}}, relu, {maxpool: {kernel: 2}}, global_avgpool, flatten, {linear: {features: 5}}]\n"
    sound = bold(draw(loads(HEAD + "input: [1, 100]\n" + layers), OPTIONS, LIGHT))
    cube = bold(draw(loads(HEAD + "input: [1, 10, 20, 30]\n" + layers), OPTIONS, LIGHT))
    assert {"100×1", "98×8", "49×8", "1×8", "5"} <= set(sound)
    assert {"10×20×30×1", "8×18×28×8", "4×9×14×8", "1×1×1×8", "5"} <= set(cube)


def test_sequences_are_told_as_tokens_by_features() -> None:
    assert "197×768" in bold(draw(net("vit_b16"), OPTIONS, LIGHT))


def test_two_inputs_are_both_drawn() -> None:
    graph = loads(
        HEAD + "input: {left: [4, 8, 8], right: [4, 8, 8]}\nlayers:\n  sum: {add: , from: [left, right]}\n  c: {conv: {channels: 3}}\n"
    )
    root = tree(draw(graph, OPTIONS, LIGHT))
    assert {"left", "right"} <= set(words(root))
    arrows = [one for one in root.iter(f"{SVG}polyline") if one.get("stroke") == LIGHT.line]
    assert len(arrows) == 2  # to the sum and to the convolution, none from left to right


def towers(given: str, first: str, second: str, layers: int) -> str:
    """A spec of two chains of convolutions, one after the other in the file, that meet at `join`."""
    row = "  {0}{1}: {{conv: {{channels: 8, kernel: 3, padding: 1}}{2}}}\n"
    chains = [
        row.format(name, i, "" if i else f", from: {source}") for name, source in (("a", first), ("b", second)) for i in range(layers)
    ]
    return f"{HEAD}{given}{''.join(chains)}  join: {{add: , from: [a{layers - 1}, b{layers - 1}]}}\n  end: {{conv: {{channels: 3}}}}\n"


INPUTS = "input: {left: [4, 8, 8], right: [4, 8, 8]}\nlayers:\n"
TRUNK = "input: [4, 8, 8]\nlayers:\n  x: {conv: {channels: 8}}\n"


@pytest.mark.parametrize(("given", "first", "second", "layers"), [
    (INPUTS, "left", "right", 1), (INPUTS, "left", "right", 5), (INPUTS, "left", "right", 25), (TRUNK, "x", "x", 4), (TRUNK, "x", "x", 25),
])  # fmt: skip
def test_towers_are_no_chain(given: str, first: str, second: str, layers: int) -> None:
    what = "inputs" if given == INPUTS else "branches"
    with pytest.raises(ValueError, match=f'^n is not one chain: {what} meet at join; use style="graph"$'):
        draw(loads(towers(given, first, second, layers)), OPTIONS, LIGHT)


def test_short_branches_and_branches_of_a_block_are_one_box() -> None:
    assert "block" in words(tree(draw(loads(towers(TRUNK, "x", "x", 3)), OPTIONS, LIGHT)))
    chains = towers("", "x", "x", 6).removeprefix(HEAD).replace("\n  ", "\n      ").strip().rpartition("\n")[0]
    block = f"blocks:\n  two_ways:\n    layers:\n      x: {{conv: {{channels: 8}}}}\n      {chains}\n"
    spec = f"{HEAD}{block}input: [4, 8, 8]\nlayers:\n  one: {{two_ways: }}\n  end: {{conv: {{channels: 3}}}}\n"
    assert "block" in words(tree(draw(loads(spec), OPTIONS, LIGHT)))


@pytest.mark.parametrize(("layers", "said"), [
    ("a: {conv: {channels: 8}, from: left}\n  b: {conv: {channels: 8}, from: right}\noutputs: [a, b]", "inputs never meet"),
    ("a: {conv: {channels: 4}, from: left}\n  b: {add: , from: [a, right]}\n  c: {conv: {channels: 8}}", "inputs meet at b"),
    ("x: {add: , from: [left, right]}\n  a: {conv: {channels: 8}}\n  b: {conv: {channels: 8}, from: x}\noutputs: [a, b]",
     "it leads to 2 outputs"),
])  # fmt: skip
def test_other_networks_that_are_no_chain(layers: str, said: str) -> None:
    with pytest.raises(ValueError, match=f'^n is not one chain: {said}; use style="graph"$'):
        draw(loads(f"{HEAD}{INPUTS}  {layers}\n"), OPTIONS, LIGHT)


def test_names_of_a_stranger_stay_text() -> None:
    svg = draw(loads(HOSTILE), VolumesOptions(names=True), LIGHT)
    assert is_inert(svg) and any("<script>alert('x')</script>" in text for text in words(tree(svg)))


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="a scale is sqrt, log or linear, not cube"):
        VolumesOptions(scale="cube")


def test_a_box_is_three_faces_and_its_band() -> None:
    picture = scene(net("lenet5"), OPTIONS, LIGHT)
    found = units(net("lenet5"))
    assert len(faces(tree(picture.svg()))) == 3 * (len(found) + 1) + 2 * sum(1 for unit in found if unit.band)
    assert [shape_text(unit) for unit in found] == ["24×24×6", "12×12×6", "8×8×16", "4×4×16", "120", "84", "10"]


def test_a_name_without_end_makes_no_picture_without_end() -> None:
    graph = loads(HOSTILE.replace("<script>", "long " * 20_000))
    root = tree(draw(graph, OPTIONS, LIGHT))
    assert float(root.get("width", "0")) < 1_200 and not outside(root)
