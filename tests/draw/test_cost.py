"""Bars, the treemap and the timeline: the figures in the picture are those of the analysis."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc import analyze, load, loads, memory
from archc.analysis.memory.timeline import Options, training
from archc.draw.cost.picture import BY, CostOptions, draw
from archc.draw.cost.treemap import cells, parts, squarify
from archc.draw.scene import Box, binary_ticks, plain_ticks
from archc.draw.theme import DARK, LIGHT
from tests.draw.pictures import ALL, HOSTILE, LECTURES, SVG, is_inert, net, outside, overlapping, titles, tree, words

OPTIONS = CostOptions()
BOX = Box(10, 20, 410, 320)


def area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


@pytest.mark.parametrize("name", ALL)
def test_every_spec_is_drawn_and_can_be_read(name: str) -> None:
    svg = draw(net(name), OPTIONS, LIGHT)
    root = tree(svg)
    assert is_inert(svg) and not overlapping(root) and not outside(root)
    assert len(svg) < 400_000


@pytest.mark.parametrize("name", ("vgg16", "resnet50"))
def test_the_same_network_is_the_same_picture(name: str) -> None:
    assert draw(load(name), OPTIONS, DARK) == draw(load(name), OPTIONS, DARK)


@pytest.mark.parametrize("name", LECTURES)
def test_bars_add_up_to_the_totals_of_the_analysis(name: str) -> None:
    report, kept = analyze(net(name)), memory(net(name), batch=4).kept_by_layer()
    picture = tree(draw(net(name), CostOptions("bars", batch=4), LIGHT))
    columns = Counter[str]()
    for rect in picture.iter(f"{SVG}rect"):
        found = [int(value.replace(",", "")) for value in re.findall(r": ([\d,]+)$", rect[0].text or "")] if len(rect) else []
        if found:
            columns[column(rect, picture)] += found[0]
    wanted = {"parameters": report.parameters, "MACs": report.macs, "activations": report.activations,
              "kept for backward, 4 images": sum(kept.values())}  # fmt: skip
    assert dict(columns) == wanted


def column(rect: object, picture: object) -> str:
    """The heading that a bar stands under."""
    headings = [(float(one.get("x")), one.text) for one in picture.iter(f"{SVG}text") if one.get("font-weight")][1:]  # type: ignore[attr-defined]
    heading: str = max((at, text) for at, text in headings if at <= float(rect.get("x")) + 0.01)[1]  # type: ignore[attr-defined]
    return heading


def test_bars_are_as_long_as_their_figures() -> None:
    picture = tree(draw(net("alexnet"), CostOptions("bars"), LIGHT))
    lengths = []
    for rect in picture.iter(f"{SVG}rect"):
        if len(rect) and column(rect, picture) == "parameters":
            lengths.append((int((rect[0].text or "").rpartition(" ")[2].replace(",", "")), float(rect.get("width", ""))))
    most = max(lengths)
    assert len(lengths) == 8 and most[0] == 37_752_832
    assert all(abs(width - most[1] * size / most[0]) <= 0.02 for size, width in lengths)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=60))
def test_a_treemap_tiles_its_box_in_proportion(sizes: list[int]) -> None:
    found = squarify(sizes, BOX)
    total = sum(sizes)
    for size, one in zip(sizes, found, strict=True):
        assert abs(area(one) - area(BOX) * size / total) <= 1e-6 * area(BOX)
        assert BOX.left <= one.left <= one.right <= BOX.right and BOX.top <= one.top <= one.bottom <= BOX.bottom
    assert abs(sum(map(area, found)) - area(BOX)) <= 1e-6 * area(BOX)
    assert not any(a.meets(b, -1e-9) for i, a in enumerate(found) for b in found[i + 1 :])
    assert {one.left for one in found} - {one.right for one in found} == {BOX.left}  # no gaps: sides are shared
    assert {one.right for one in found} - {one.left for one in found} <= {BOX.right}


def test_a_treemap_is_the_one_of_its_paper() -> None:
    """Bruls, Huizing & van Wijk (2000), figure 3: areas 6, 6, 4, 3, 2, 2, 1 in a box of 6 by 4."""
    found = squarify([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    printed = [(0, 0, 3, 2), (0, 2, 3, 4), (3, 0, 3 + 12 / 7, 7 / 3), (3 + 12 / 7, 0, 6, 7 / 3)]
    for one, corners in zip(found, printed, strict=False):
        assert one == pytest.approx(corners)


@pytest.mark.parametrize("name", LECTURES)
def test_areas_of_layers_are_their_shares_of_the_whole_network(name: str) -> None:
    """Through all levels: a scope's name lies over its layers and takes nothing from them."""
    report = analyze(net(name))
    root = parts(report, lambda layer: layer.parameters.low)
    assert root.size == report.parameters
    waiting, leaves = cells(root, BOX), {}
    while waiting:
        part, box = waiting.pop()
        waiting += cells(part, box) if part.parts else []
        if not part.parts:
            leaves[part.name] = (part.size, area(box))
    assert {label: size for label, (size, _) in leaves.items()} == {
        layer.name: layer.parameters.low for layer in report.layers if layer.parameters.low
    }
    assert all(abs(covered - area(BOX) * size / root.size) <= 1e-6 * area(BOX) for size, covered in leaves.values())


@pytest.mark.parametrize("by", BY)
def test_the_treemap_says_the_whole_figure(by: str) -> None:
    report, kept = analyze(net("vgg16")), memory(net("vgg16"), batch=1).kept_by_layer()
    whole = {"parameters": report.parameters, "macs": report.macs, "activations": report.activations, "memory": sum(kept.values())}[by]
    unit = {"macs": "MACs", "memory": "bytes"}.get(by, by)
    shown = titles(tree(draw(net("vgg16"), CostOptions("treemap", by), LIGHT)))
    shares = [re.fullmatch(rf"(\S+): ([\d,]+) {unit}, ([\d.]+)%", title) for title in shown]
    found = [(int(one[2].replace(",", "")), float(one[3])) for one in shares if one]
    assert len(found) >= 10
    assert all(abs(100 * size / whole - share) <= 0.051 for size, share in found)


@pytest.mark.parametrize("name", ("lenet5", "resnet18", "vit_b16", "unet"))
@pytest.mark.parametrize("options", (Options(1), Options(8, optimizer="adam", device="cuda")), ids=("sgd", "adam"))
def test_the_timeline_reaches_the_peak_and_no_further(name: str, options: Options) -> None:
    found = training(net(name), options)
    columns = found.tape.moments()
    assert len(columns) == len(found.events)
    assert max(one.total() for one in columns) == found.peak_bytes
    assert all(one.total() >= mark.live for one, mark in zip(columns, found.events, strict=True))
    top = max(columns, key=Counter.total)
    assert {kind: size for kind, size in top.items() if size} == found.by_kind()
    assert all(size >= 0 for one in columns for size in one.values())


def test_the_peak_is_named() -> None:
    options = CostOptions("timeline", batch=32, optimizer="adam")
    found = memory(net("resnet18"), batch=32, optimizer="adam")
    root = tree(draw(net("resnet18"), options, LIGHT))
    assert any(text.startswith("peak ") and text.endswith(found.peak_at) for text in words(root))
    assert f"{found.peak_bytes:,} bytes" in titles(root)
    assert {"forward", "backward", *found.by_kind()} <= set(words(root))


@given(st.integers(1, 10**13))
def test_ticks_are_few_round_and_within(top: int) -> None:
    for ticks in (plain_ticks(top), binary_ticks(top)):
        assert ticks[0] == 0 and ticks[-1] <= top and len(ticks) <= 7
        assert len({b - a for a, b in pairwise(ticks)}) <= 1
    assert re.fullmatch(r"[125]0*", str(plain_ticks(top)[1]))
    assert top < 2 or bin(binary_ticks(top)[1]).count("1") == 1


def test_each_figure_alone() -> None:
    alone = {of: draw(net("lenet5"), CostOptions(of), LIGHT) for of in ("bars", "treemap", "timeline")}
    assert all(len(svg) < len(draw(net("lenet5"), OPTIONS, LIGHT)) for svg in alone.values())
    assert [("Parameters by scope" in svg, "Memory of a training step" in svg) for svg in alone.values()] == [
        (False, False), (True, False), (False, True)]  # fmt: skip


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="of is all, bars, treemap or timeline, not pie"):
        CostOptions("pie")
    with pytest.raises(ValueError, match="by is parameters, macs, activations or memory, not time"):
        CostOptions(by="time")


def test_a_network_without_parameters_has_an_empty_treemap() -> None:
    graph = loads("archc: 1\nname: n\ninput: [3, 8, 8]\nlayers: [relu, {maxpool: {kernel: 2}}]\n")
    assert "no parameters" in words(tree(draw(graph, OPTIONS, LIGHT)))


def test_names_of_a_stranger_stay_text() -> None:
    assert is_inert(draw(loads(HOSTILE), OPTIONS, LIGHT))


def test_a_name_without_end_makes_no_picture_without_end() -> None:
    graph = loads(HOSTILE.replace("<script>", "long " * 20_000))
    root = tree(draw(graph, OPTIONS, LIGHT))
    assert float(root.get("width", "0")) < 1_200 and not outside(root)
