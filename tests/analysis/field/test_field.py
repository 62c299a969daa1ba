"""Receptive fields against autograd: networks drawn at random, every spec that ships, and what each output says of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from archc.analysis.cost.derive import DerivationStep, derive
from archc.analysis.cost.report import Layer, analyze
from archc.analysis.field.field import Field, fields, list_positions, text
from archc.analysis.field.positions import Always, PositionLine
from archc.elaborate.compiler import compile_text
from archc.graph import Graph, Node
from archc.language.loading import shipped

torch = pytest.importorskip("torch")

import archc
from tests.helpers.gradients import prepared, spans

RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=2000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))


def graph_of(layers: str, shape: str = "[1, 64, 64]") -> Graph:
    graph = compile_text(f"archc: 1\nname: net\ninput: {shape}\nlayers:\n{layers}\n").graph
    assert graph is not None, layers
    return graph


def output_of(graph: Graph) -> Node:
    node = next(iter(graph.outputs.values())).node
    assert node is not None
    return node


def found(graph: Graph, axes: list[tuple[int, int]] | None = None) -> list[list[tuple[int, int]]]:
    """By autograd: for each axis, what each position of the output sees."""
    module = prepared(archc.build(graph, device="cpu", memory_format="contiguous"))
    return spans(module, [tuple(value.shape) for value in graph.inputs.values()], 0, axes)


def told(field: Field, counts: list[int]) -> list[list[tuple[int, int]]]:
    columns = [[axis.span(i) for i in range(count)] for axis, count in zip(field.axes, counts, strict=True)]
    return [[span if span[0] <= span[1] else (0, -1) for span in column] for column in columns]


def widest(columns: list[list[tuple[int, int]]]) -> tuple[int, ...]:
    return tuple(max(last - first + 1 for first, last in column) for column in columns)


# Networks whose fields are worked by hand, or printed by autograd alone


def chain(*layers: str) -> str:
    return "\n".join(f"- {{{layer}}}" for layer in layers)


def conv(kernel: str = "3", **more: int) -> str:
    told = ", ".join(f"{name}: {value}" for name, value in {"channels": 1, **more}.items())
    return f"conv: {{kernel: {kernel}, {told}}}"


def spread(kernel: int, stride: int, dilation: int = 1) -> str:
    return f"conv_transpose: {{channels: 1, kernel: {kernel}, stride: {stride}, dilation: {dilation}}}"


HALF = conv(stride=2, padding=1)
NETWORKS = {
    "a transposed window of 2 after a stride of 2": (chain(HALF, spread(2, 2)), "3x3"),
    "of 4": (chain(HALF, spread(4, 2)), "5x5"),
    "of 8 and 4": (chain(conv(stride=4, padding=1), spread(8, 4)), "7x7"),
    "with holes": (chain(spread(1, 3), conv(dilation=3)), "3x3"),
    "out of order": (chain(spread(2, 2, dilation=3), conv("2")), "3x3"),
    "nearest": (chain(HALF, "upsample: 2"), "3x3"),
    "bilinear": (chain(HALF, "upsample: {scale: 2, mode: bilinear}"), "5x5"),
    "uneven bins": (chain("adaptive_avgpool: 7"), "10x10"),
    "bins of one axis": (chain("adaptive_avgpool: [1, 8]"), "64x8"),
    "uneven ratio": (chain("avgpool: {kernel: 3}", "upsample: {size: 64}", conv(padding=1)), "6x6"),
    "pixels of channels": (chain(conv(channels=4, padding=1), "pixel_shuffle: 2", conv(padding=1)), "4x4"),
    "a crop seen as a whole": (chain("crop: {sides: [3, 4, 5, 6]}", "global_avgpool: "), "57x53"),
    "an edge that no window reads": (chain(conv(stride=2), "global_avgpool: "), "63x63"),
    "a size alone": (
        f"  small: {{{HALF}}}\n  wide: {{from: input, {conv('9', padding=4)}}}\n  up: {{from: [small, wide], upsample: }}",
        "3x3",
    ),
    "a pyramid": (f"  a: {{{HALF}}}\n  b: {{{HALF}}}\n  top: {{upsample: 2}}\n  sum: {{from: [a, top], add: }}", "7x7"),
    "a gate": (f"  a: {{{conv()}}}\n  g: global_avgpool\n  m: {{from: [a, g], mul: }}", "all"),
    "one row at a time": (chain(conv(channels=2, padding=1), "layernorm: "), "3x64"),
    "statistics of the image itself": (chain("batchnorm: {track: false}"), "all"),
    "tokens and back": (
        chain(conv(channels=4, padding=1), "tokens: ", "linear: 4", "transpose: ", "reshape: {shape: [4, 64, 64]}", conv(padding=1)),
        "5x5",
    ),
    "tokens that are mixed": (chain(conv("16", channels=4, stride=16), "tokens: ", "transpose: ", "linear: 8"), "all"),
    "a token more": (chain(conv("16", channels=4, stride=16), "tokens: ", "class_token: "), "16x16"),
    "side by side": (
        "  a: {crop: {sides: [0, 60, 0, 0]}}\n  b: {from: input, crop: {sides: [60, 0, 0, 0]}}\n"
        f"  c: {{from: [b, a], concat: {{axis: 1}}}}\n  d: {{{conv()}}}",
        "64x3",
    ),
    "halves": (f"  s: {{split: {{axis: 1}}}}\n  c: {{from: s.1, {conv(padding=1)}}}", "3x3"),
    "axes exchanged": (chain(conv("[3, 5]"), "permute: {order: [0, 2, 1]}", conv("[1, 3]")), "5x5"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_those_of_autograd(name: str) -> None:
    layers, wanted = NETWORKS[name]
    graph = graph_of(layers)
    field = fields(graph)[output_of(graph).output]["input"]
    assert str(field) == wanted and field.exact
    if len(output_of(graph).output.shape) == 3 and name != "axes exchanged":
        columns = found(graph)
        assert widest(columns) == field.size
        assert told(list_positions(graph, output_of(graph)), [len(column) for column in columns]) == columns


def test_unet_sees_204_pixels() -> None:
    """The published network with one channel a level, which is what its field takes; at 316, where no border is in the way."""
    source = Path("specs/unet.yaml").read_text()
    thin = re.sub(r"expect:.*\n", "", source).replace("[64, 128, 256, 512]", "[1, 1, 1, 1]").replace("[512, 256, 128, 64]", "[1, 1, 1, 1]")
    graph = compile_text(thin.replace("double_conv: 1024", "double_conv: 1").replace("572, 572]", "316, 316]")).graph
    assert graph is not None
    (field,) = fields(graph)[output_of(graph).output].values()
    assert widest(found(graph)) == field.size == (204, 204)
    assert field.jump == (None, None)


def test_bounds_are_marked_everywhere(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Windows that are cut out by `reshape` put the positions of an axis on two."""
    from archc.cli.main import main

    path = tmp_path / "swin.yaml"
    path.write_text("archc: 1\nname: swin\ninput: [4, 16, 16]\nlayers:\n  w: {reshape: {shape: [4, 4, 4, 16]}}\n  r: relu\n")
    layer = analyze(archc.load(str(path))).layers[-1]
    assert str(layer.field) == "≤16x1" and not layer.field.exact and layer.field.axes[1].exact
    assert main(["analyze", str(path)]) == 0 and "≤16x1" in capsys.readouterr().out
    assert main(["analyze", str(path), "--format", "csv"]) == 0 and "≤16x1" in capsys.readouterr().out
    assert main(["analyze", str(path), "--format", "json"]) == 0 and '"exact": false' in capsys.readouterr().out
    assert main(["explain", str(path), "r"]) == 0 and "receptive field = at most 16x1: a bound" in capsys.readouterr().out
    assert main(["report", str(path), "-o", str(tmp_path / "swin.html")]) == 0 and "\\u226416x1" in (tmp_path / "swin.html").read_text()


def test_each_input_has_its_field() -> None:
    graph = compile_text(
        "archc: 1\nname: two\ninput: {left: [1, 20, 20], right: [1, 20, 20]}\nlayers:\n"
        "  a: {from: left, conv: {channels: 2, kernel: 3, padding: 1}}\n  b: {from: right, conv: {channels: 2, kernel: 5, padding: 2}}\n"
        "  c: {from: [a, b], add: }\n  d: {from: [a, b], center_crop: }\n"
    ).graph
    assert graph is not None
    seen = [text(layer.fields) for layer in analyze(graph).layers]
    assert seen == ["3x3", "5x5", "left 3x3, right 5x5", "3x3"]
    assert analyze(graph).to_dict()["layers"][2]["receptive_fields"]["right"]["size"] == [5, 5]


def test_a_stranger_cannot_make_it_long() -> None:
    """What is too large to be followed position by position is bounded, at once."""
    graph = graph_of("- {upsample: {size: 999999937}}\n- {conv: {channels: 1, kernel: 3}}\n- {upsample: 2}", "[1, 1000000000]")
    (field,) = analyze(graph).layers[-1].fields.values()
    assert field.covers_input and not field.exact


# Networks drawn at random


@st.composite
def networks(draw: st.DrawFn, scaled: bool) -> str:
    """A network over one axis: chains and meetings of all that moves positions. `scaled`: without what is tied to sizes."""
    pick = lambda *options: draw(st.sampled_from(options))  # noqa: E731
    size = draw(st.integers(140, 160)) if scaled else draw(st.integers(6, 30))
    head, lines = f"archc: 1\nname: net\ninput: [2, {size}]\nlayers:\n", ["  n0: {conv: {channels: 2, kernel: 1}}"]
    for _ in range(draw(st.integers(1, 7))):
        name, last = f"n{len(lines)}", f"n{len(lines) - 1}"
        one, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        k, s, p, d = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 2)), draw(st.integers(1, 3))
        mode = "zeros" if scaled else pick("zeros", "reflect", "replicate")
        window = f"channels: 2, kernel: {k}, stride: {s}, padding: {p}, dilation: {d}"
        kinds = {
            "conv": f"conv: {{{window}, groups: {pick(1, 2)}, padding_mode: {mode}}}",
            "transposed": f"conv_transpose: {{{window}, output_padding: {pick(0, 1)}}}",
            "pool": f"{pick('maxpool', 'avgpool')}: {{kernel: {k}, stride: {s}, padding: {min(p, k // 2)}, ceil: {pick('true', 'false')}}}",
            "up": f"upsample: {{scale: {draw(st.integers(2, 3))}, mode: {pick('nearest', 'linear')}}}",
            "crop": f"crop: {{sides: [{p}, {s}]}}",
            "to": f"upsample: {{size: {draw(st.integers(1, 30))}, mode: linear, align_corners: {pick('true', 'false')}}}",
            "nearest": f"upsample: {{size: {draw(st.integers(1, 30))}}}",
            "bins": f"{pick('adaptive_avgpool', 'adaptive_maxpool')}: {draw(st.integers(1, 12))}",
            "pad": f"pad: {{sides: [{p}, {d - 2}], mode: {mode}}}",
            "norm": "layernorm: {axis: channels}",
        }
        more = {
            "skip": [f"{{from: [n{one}, {last}], upsample: {{mode: {pick('nearest', 'linear')}}}}}", f"{{from: [{last}, {name}], add: }}"],
            "cut": [f"{{from: [n{one}, {last}], center_crop: }}", f"{{from: [{last}, {name}], add: }}"],
            "gate": ["global_avgpool", f"{{from: [{name}, n{other}], mul: }}"],
            "beside": [f"{{from: [n{one}, n{other}], concat: {{axis: 1}}}}"],
            "channels": [f"{{from: [{last}, {last}], concat: }}", "{conv: {channels: 2, kernel: 1}}"],
            "halves": ["{split: {axis: 1}}", f"{{from: {name}.1, relu: }}"],
            "turned": ["{transpose: }", "{layernorm: }", "{transpose: }"],
        }
        plain = ["conv", "transposed", "pool", "up", "crop", "cut"] if scaled else [*kinds, *more]
        kind = draw(st.sampled_from(plain))
        new = more[kind] if kind in more else [f"{{from: {pick(last, f'n{one}')}, {kinds[kind]}}}"]
        tried = [*lines, *(f"  n{len(lines) + i}: {entry}" for i, entry in enumerate(new))]
        if compile_text(head + "\n".join(tried) + "\n").graph is not None:
            lines = tried
    return head + "\n".join(lines) + "\n"


def proved(text: str, scaled: bool) -> None:
    graph = compile_text(text).graph
    assume(graph is not None and graph.outputs and max(value.shape[-1] for node in graph.nodes for value in node.outputs) < 400)
    assert graph is not None
    node = output_of(graph)
    assume(len(node.output.shape) == 2)
    here = list_positions(graph, node)
    columns = found(graph, [(1, here.axes[0].axis if here.axes[0].axis >= 0 else 1)])
    if here.exact:
        blind = {(0, -1)} if isinstance(here.axes[0].seen, Always) else set()  # a position of padding alone, behind what all see alike
        assert all(one == other or other in blind for one, other in zip(told(here, [len(columns[0])])[0], columns[0], strict=True))
    (field,) = fields(graph)[node.output].values()
    (axis,) = field.axes
    assert widest(columns)[0] <= field.size[0]
    if "reflect" not in text and "replicate" not in text:  # a border made of the map is elsewhere than where the map would go on
        assert all(first > last or (axis.span(i)[0] <= first and last <= axis.span(i)[1]) for i, (first, last) in enumerate(columns[0]))
    if scaled:
        assume(field.size[0] < 40 and len(columns[0]) > 20)
        assert (field.size, field.exact) == (widest(columns), True)
    elif not isinstance(axis.seen, PositionLine) and field.exact:
        assert field.size == widest(columns)


@RELAXED
@given(networks(scaled=False))
def test_each_position_sees_what_autograd_finds(text: str) -> None:
    proved(text, scaled=False)


@RELAXED
@given(networks(scaled=True))
def test_far_from_borders_the_widest_field_is_found(text: str) -> None:
    proved(text, scaled=True)


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(networks(scaled=False))
def test_each_position_at_length(text: str) -> None:
    proved(text, scaled=False)


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(networks(scaled=True))
def test_the_widest_field_at_length(text: str) -> None:
    proved(text, scaled=True)


# Derivations


def value_of(numbers: str) -> Fraction:
    """`floor((7 - 3)/2) + 1,024`, evaluated in fractions."""
    spelled = re.sub(r"\d+(\.\d+)?", lambda one: f"Fraction('{one[0]}')", numbers.replace(",", ""))
    return Fraction(eval(spelled, {"Fraction": Fraction, "floor": floor, "ceil": ceil, "min": min, "max": max}))


def equations(layer: Layer, **more: Any) -> Iterator[tuple[DerivationStep, Fraction, Fraction]]:
    for step in derive(layer, **more):
        result = re.match(r"-?[\d,]+", step.value)
        if step.numbers and result:
            yield step, value_of(step.numbers), Fraction(result[0].replace(",", ""))


@pytest.mark.parametrize("name", ["unet", "autoencoder", "resnet50", "googlenet", "densenet121", "vit_b16", "lambda_resnet26t"])
def test_every_derivation_is_a_true_equation(name: str) -> None:
    report = analyze(archc.load(name))
    for layer in report.layers:
        for step, left, right in equations(layer, fields=report.fields):
            assert left == right, f"{layer.name}: {step}"


@pytest.mark.parametrize("name", NETWORKS)
def test_derivations_of_fields_are_true(name: str) -> None:
    report = analyze(graph_of(NETWORKS[name][0]))
    checked = [(step, left, right) for layer in report.layers for step, left, right in equations(layer, fields=report.fields)]
    assert all(left == right for _, left, right in checked), checked
    for layer in report.layers:
        said = [step.value for step in derive(layer, report.fields) if step.what.startswith("receptive field")]
        assert said, layer.name


# Every spec that ships


@pytest.mark.parametrize("name", ["unet", "resnet50", "densenet121", "efficientnet_b0"])
def test_fields_take_little_of_the_analysis(name: str) -> None:
    """They are worked out by rules, not by positions: no layer of these needs a position written down."""
    graph = archc.load(name)
    assert all(
        isinstance(axis.seen, PositionLine) or axis.covers_input
        for found in fields(graph).values()
        for field in found.values()
        for axis in field.axes
    )
    assert len(shipped()) > 100
