"""Blocks, their signatures and inputs; layers as arguments; expressions; documents that extend and use others."""

from __future__ import annotations

from pathlib import Path

import pytest

from archc.cli.main import main
from archc.elaborate.compiler import compile_spec
from archc.language.packages import offered_blocks
from tests.language.helpers import codes, graph_of, names, wired


def test_a_block_sizes_itself_by_its_input() -> None:
    text = """
    blocks:
      widen:
        params: {by: "int = 2", kernel: "int = ${1 + input.height // 8}"}
        layers: [{conv: {channels: "${input.channels * by}", kernel: $kernel}}]
    layers: [widen, {widen: 3}, {widen: {by: 1, kernel: 1}}]
    """
    assert wired(text) == ["0.0 conv 8x14x14 < input", "1.0 conv 24x13x13 < 0.0", "2.0 conv 24x13x13 < 1.0"]


def test_a_body_sees_the_specs_params_and_not_its_callers_names() -> None:
    assert wired("params: {w: 8}\nblocks: {b: {layers: [{conv: $w}]}}\nlayers: [b]") == ["0.0 conv 8x16x16 < input"]
    assert codes("blocks: {b: {layers: [{conv: $c}]}}\nlayers: [{for: {c: [8]}, b: }]") == ["A303"]
    assert codes("params: {width: 3}\nblocks: {b: {layers: [{conv_bn_act: {channels: 8, act: $act}}]}}\nlayers: [b]") == ["A303"]


@pytest.mark.parametrize(
    ("argument", "kinds"),
    [
        ("relu", ["relu"]),
        ("{leaky_relu: 0.1}", ["leaky_relu"]),
        ("[relu, tanh]", ["relu", "tanh"]),
        ("null", []),
        ("'${null}'", []),
        ("$chosen", ["silu"]),
    ],
)
def test_a_layer_as_an_argument(argument: str, kinds: list[str]) -> None:
    block = "{params: {act: layer = gelu}, layers: [{conv: 8}, $act]}"
    text = f"params: {{chosen: silu}}\nblocks: {{b: {block}}}\nlayers: [{{b: {{act: {argument}}}}}]"
    assert [node.kind for node in graph_of(text).nodes] == ["conv", *kinds]


def test_a_layer_argument_has_the_names_of_where_it_was_written() -> None:
    text = """
    blocks:
      inner: {params: {body: layer, c: int}, layers: [$body]}
      outer: {params: {c: int}, layers: [{inner: {c: 99, body: {conv: $c}}}]}
    layers: [{outer: 8}]
    """
    assert wired(text) == ["0.0.0 conv 8x16x16 < input"]


def test_several_inputs() -> None:
    text = """
    blocks:
      cell:
        inputs: [x, prev]
        params: {c: "int = ${x.channels + prev.channels}"}
        layers: {a: {from: prev, conv: $c}, b: {from: x, conv: $c}, sum: {from: [a, b], add: }}
    layers: {l: {conv: 8}, r: {conv: 2}, c: {from: [l, r], cell: }}
    """
    assert wired(text)[2:] == ["c.a conv 10x16x16 < r", "c.b conv 10x16x16 < l", "c.sum add 10x16x16 < c.a, c.b"]


def test_a_block_may_use_itself_if_it_ends() -> None:
    text = "blocks: {nest: {params: {n: int}, layers: {a: relu, more: {when: '${n > 1}', nest: '${n - 1}'}}}}\nlayers: {x: {nest: 3}}"
    assert names(text) == ["x.a", "x.more.a", "x.more.more.a"]


def test_a_block_of_the_spec_goes_before_a_layer_of_its_name() -> None:
    assert [node.kind for node in graph_of("blocks: {relu: {layers: [tanh]}}\nlayers: [relu]").nodes] == ["tanh"]


def test_params_use_those_before_them_and_are_changed_from_outside() -> None:
    text = "params: {width: 8, double: '${2 * width}', act: relu}\nlayers: [{conv: $double}, $act]"
    assert wired(text)[0] == "0 conv 16x16x16 < input"
    assert wired(text, {"width": "3", "act": "tanh"}) == ["0 conv 6x16x16 < input", "1 tanh 6x16x16 < 0"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        *(("2 ** 3 + 1", 9), ("7 // 2 * 2", 6), ("round_to(30)", 32), ("round_to(100, 24)", 96), ("round(2.5) + round(3.5)", 6)),
        *(("len(range(5)) + sum([1, 2])", 8), ("zip([1, 2], [3, 4])[1][0]", 2), ("int(linspace(0, 8, 3)[1])", 4), ("[1, 2, 3][-1]", 3)),
        *(("sum([ceil(1.5 * x) for x in [1, 2, 3]])", 10), ("len([x for x in range(10) if x % 3 == 0])", 4)),
        *(("[a * b for a, b in zip([2, 3], [4, 5])][1]", 15), ("sum([sum([y for y in range(x)]) for x in range(4)])", 4)),
        *(("max(1, 4) if 1 < 2 <= 2 else 9", 4), ("4 if not (1 in [2]) and true else 5", 4), ("ceil(2.1) + floor(2.9) + abs(-1)", 6)),
        ("input.channels + input.height + input.shape[2] + input.rank", 39),
    ],
)
def test_expressions(expression: str, value: int) -> None:
    assert graph_of(f"layers: [{{conv: '${{{expression}}}'}}]").nodes[0].output.shape[0] == value


def test_texts_with_expressions_in_them() -> None:
    text = "params: {i: 3, half: 0.5}\nlayers:\n  a$i: {conv: 8}\n  b${i + 1}_x: {from: 'a${i}', relu: }\n  c: {dropout: $half}\n"
    assert names(text) == ["a3", "b4_x", "c"]
    assert graph_of(text).nodes[2].args["p"] == 0.5


def test_defaults_reach_shipped_blocks() -> None:
    graph = graph_of(
        "defaults: {batchnorm: {eps: 0.001}, conv_bn: {channels: 6}}\n"
        "layers: [batchnorm, conv_bn, {conv_bn: {channels: 2}}, {batchnorm: {eps: 0.5}}]"
    )
    assert [node.args["eps"] for node in graph.nodes if node.kind == "batchnorm"] == [0.001, 0.001, 0.001, 0.5]
    assert [node.output.shape[0] for node in graph.nodes if node.kind == "conv"] == [6, 2]


def test_extends_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "input: [4, 8, 8]\nparams: {a: 8, b: 2}\ndefaults: {dropout: {p: 0.3}}\nexpect: {macs: 1, parameters: 2}\n"
        "blocks: {unit: {layers: [{conv: $a}]}}\nlayers: [unit, dropout, {repeat: $b, relu: }]\n"
    )
    (tmp_path / "mid.yaml").write_text("extends: base.yaml\nparams: {b: 1}\nexpect: {macs: 3}\n")
    (tmp_path / "leaf.yaml").write_text("extends: mid.yaml\nname: leaf\ninput: [2, 8, 8]\nparams: {a: 5}\n")
    model = compile_spec(str(tmp_path / "leaf.yaml"))
    assert model.graph is not None and model.spec is not None
    assert [(node.name, node.kind, str(node.output.shape)) for node in model.graph.nodes] == [
        ("0.0", "conv", "5x8x8"), ("1", "dropout", "5x8x8"), ("2", "relu", "5x8x8")]  # fmt: skip
    assert model.graph.nodes[1].args["p"] == 0.3 and model.graph.name == "leaf"
    assert {name: tree.value for name, (_, tree) in model.spec.expect.items()} == {"macs": 3, "parameters": 2}  # type: ignore[attr-defined]


def test_extends_a_spec_that_ships() -> None:
    assert graph_of("extends: resnet18\nparams: {classes: 7}\n").outputs["output"].shape == (7,)


def test_use_blocks_of_a_file_and_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text("unit: {layers: [{conv: 8}, relu]}\n")
    package = tmp_path / "site" / "blocky"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('a spec may not import a package')\n")
    (package / "more.yaml").write_text("twin: {layers: [tanh]}\n")
    info = tmp_path / "site" / "blocky-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: blocky\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[archc.blocks]\nblocky = blocky\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (package / "broken.yaml").write_text("{")
    assert [(file, block.name) for file, block in offered_blocks()] == [("blocky:more.yaml", "twin")]
    assert main(["docs", "twin"]) == 0 and main(["docs"]) == 0
    said = capsys.readouterr().out
    assert "use: [blocky:more.yaml]" in said and "block of a package" in said
    spec = tmp_path / "net.yaml"
    spec.write_text("input: [4, 8, 8]\nuse: [mine.yaml, blocky:more.yaml]\nlayers: [unit, twin]\n")
    graph = compile_spec(str(spec)).graph
    assert graph is not None and [node.kind for node in graph.nodes] == ["conv", "relu", "tanh"]
    spec.write_text("input: [4, 8, 8]\nuse: ['blocky:../../mine.yaml']\nlayers: [relu]\n")
    assert [one.code for one in compile_spec(str(spec)).diagnostics] == ["A704"]


def test_outputs() -> None:
    head = "layers: {a: {conv: 8}, b: [relu, {conv: 2}]}\noutputs: "
    for written, expected in (("b.0", {"b.0": "8x16x16"}), ("[a, b]", {"a": "8x16x16", "b": "2x16x16"}), ("{x: a}", {"x": "8x16x16"})):
        assert {name: str(value.shape) for name, value in graph_of(head + written).outputs.items()} == expected


@pytest.mark.parametrize(("shape", "out"), [([4, 9], (8, 4)), ([4, 9, 9], (8, 4, 4)), ([4, 9, 9, 9], (8, 4, 4, 4))])
def test_one_two_and_three_dimensions(shape: list[int], out: tuple[int, ...]) -> None:
    graph = graph_of(
        f"input: {shape}\nlayers: [{{conv: {{channels: 8, kernel: 3, padding: 1}}}}, batchnorm, {{maxpool: 2}}, {{dropout: 0.1}}]"
    )
    assert graph.outputs["output"].shape == out


def test_sequences() -> None:
    text = """
    input: [12]
    layers:
      - embedding: {entries: 50, features: 16}
      - position_embedding
      - add: {a: {attention: 4}, s: identity}
      - layernorm
      - mean
      - linear: 3
    """
    shapes = [
        "0 embedding 12x16",
        "1 position_embedding 12x16",
        "a attention 12x16",
        "2 add 12x16",
        "3 layernorm 12x16",
        "4 mean 16",
        "5 linear 3",
    ]
    assert [line.split(" < ")[0] for line in wired(text)] == shapes


def test_a_block_of_the_spec_changes_no_block_that_ships() -> None:
    """`bottleneck` uses the library's `conv_bn`, whatever the spec calls so."""
    own = "blocks: {conv_bn: {params: {channels: int}, layers: [relu]}}\n"
    layers = "layers: [{bottleneck: {mid: 4, channels: 8}}, {conv_bn: 3}]"
    kinds = [node.kind for node in graph_of("input: [3, 8, 8]\n" + own + layers).nodes]
    plain = [node.kind for node in graph_of("input: [3, 8, 8]\n" + layers).nodes]
    assert kinds == [*plain[:-2], "relu"]
