"""Copies: chains and branches, families of names, the chain's own input."""

from __future__ import annotations

import pytest

from archc.analysis.cost.report import analyze
from archc.graph.write_spec import resolve_text
from archc.text.diagnostics import draw
from tests.language.helpers import codes, graph_of, model_of, wired


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        # names with row variables, and how they are collected
        ("b${c}: {for: {c: [2, 3]}, from: t, parallel: true, conv: $c}\n  e: {from: 'b*', concat: }", ["b2 < t", "b3 < t", "e < b2 b3"]),
        ("b${c}: {for: {c: [2, 3]}, parallel: true, conv: $c}\n  e: concat", ["b2 < o", "b3 < o", "e < b2 b3"]),
        # one name: numbers under it
        ("b: {for: {c: [2, 3]}, parallel: true, conv: $c}\n  e: {from: [t, b.*], concat: }", ["b.0 < o", "b.1 < o", "e < t b.0 b.1"]),
        ("b: {for: {c: [2, 3]}, from: t, parallel: true, conv: $c}\n  e: {from: b, concat: }", ["b.0 < t", "b.1 < t", "e < b.0 b.1"]),
        # no name
        ("e: [{for: {c: [2, 3]}, parallel: true, conv: $c}, concat]", ["e.0 < o", "e.1 < o", "e.2 < e.0 e.1"]),
        # `repeat` alone, and within the rows of `for`
        ("b: {repeat: 2, parallel: true, conv: 2}\n  e: concat", ["b.0 < o", "b.1 < o", "e < b.0 b.1"]),
        ("b${index}: {repeat: 2, from: t, parallel: true, conv: 2}\n  e: concat", ["b0 < t", "b1 < t", "e < b0 b1"]),
        (
            "b${c}: {for: {c: [2, 3]}, repeat: 2, from: t, parallel: true, conv: $c}\n  e: concat",
            ["b2.0 < t", "b2.1 < b2.0", "b3.0 < t", "b3.1 < b3.0", "e < b2.1 b3.1"],
        ),
        ("b${c}: {for: {c: [2, 3], at: [t, o]}, from: $at, parallel: true, conv: $c}\n  e: concat", ["b2 < t", "b3 < o", "e < b2 b3"]),
        (
            "b${c}: {for: {c: [2, 3], at: [t, o]}, repeat: 2, from: $at, parallel: true, conv: $c}\n  e: concat",
            ["b2.0 < t", "b2.1 < b2.0", "b3.0 < o", "b3.1 < b3.0", "e < b2.1 b3.1"],
        ),
        # what `when` leaves out is no branch; where all is left out, the input passes on
        ("b${c}: {for: {c: [2, 3, 4]}, when: '${c != 3}', parallel: true, conv: $c}\n  e: concat", ["b2 < o", "b4 < o", "e < b2 b4"]),
        ("b${c}: {for: {c: [2, 3]}, when: '${c > 2}', parallel: true, conv: $c}\n  e: {from: [t, 'b*'], concat: }", ["b3 < o", "e < t b3"]),
        ("b${c}: {for: {c: [2, 3]}, from: t, when: false, parallel: true, conv: $c}\n  e: tanh", ["e < t"]),
        ("b${c}: {for: {c: [2, 3]}, from: t, when: false, parallel: true, conv: $c}\n  e: {from: [o, 'b*'], concat: }", ["e < o t"]),
        # an explicit chain
        ("b${c}: {for: {c: [2, 3]}, from: t, parallel: false, conv: $c}", ["b2 < t", "b3 < b2"]),
        # branches of a merge
        ("e: {concat: [identity, {for: {c: [2, 3]}, conv: $c}]}", ["e.0 < o", "e.1 < o", "e < o e.0 e.1"]),
        (
            "e: {concat: [identity, {for: {c: [2, 3]}, from: t, repeat: 2, conv: $c}]}",
            ["e.0 < t", "e.1 < e.0", "e.2 < t", "e.3 < e.2", "e < o e.1 e.3"],
        ),
        ("e: {concat: {'b${c}': {for: {c: [2, 3]}, conv: $c}, skip: identity}}", ["b2 < o", "b3 < o", "e < b2 b3 o"]),
        ("e: {concat: {b: {for: {c: [2, 3]}, parallel: true, conv: $c}, skip: identity}}", ["b.0 < o", "b.1 < o", "e < b.0 b.1 o"]),
        ("e: {concat: {b: {for: {c: [2, 3]}, parallel: false, conv: $c}, skip: identity}}", ["b.0 < o", "b.1 < b.0", "e < b.1 o"]),
        ("e: {concat: [identity, {repeat: 2, conv: 3}]}", ["e.0 < o", "e.1 < e.0", "e < o e.1"]),
        ("e: {concat: [identity, {repeat: 2, parallel: true, conv: 3}]}", ["e.0 < o", "e.1 < o", "e < o e.0 e.1"]),
        ("e: {concat: [tanh, identity, {for: {c: [2, 3]}, when: '${c > 3}', conv: $c}]}", ["e.0 < o", "e < e.0 o"]),
        # side branches for training take `from` each, and the chain goes on from before them
        ("a${i}: {for: {i: [1, 2]}, from: t, train_only: true, relu: }\n  e: tanh", ["a1 < t (training)", "a2 < t (training)", "e < o"]),
    ],
)  # fmt: skip
def test_every_combination_has_one_meaning(layers: str, expected: list[str]) -> None:
    text = f"layers:\n  t: {{conv: 8}}\n  o: relu\n  {layers}\n"
    model = model_of(text)
    assert model.graph is not None and model.spec is not None and not list(model.diagnostics)
    found = [line.split(" ") for line in wired(text)[2:]]
    assert [" ".join([line[0], *line[3:]]).replace(",", "") for line in found] == expected
    assert wired(resolve_text(model.graph, model.spec, {})) == wired(text)


def test_a_pyramid_of_pools() -> None:
    """PSPNet's module (Zhao et al., CVPR 2017): four pools of 2048 channels, each reduced to 512 by a 1x1 convolution."""
    text = """
    input: [2048, 60, 60]
    layers:
      pyramid:
        concat:
          - identity
          - for: {bin: [1, 2, 3, 6]}
            layers: [{adaptive_avgpool: $bin}, {conv: {channels: 512, bias: false}}, batchnorm, relu, {upsample: {size: [60, 60]}}]
    """
    graph = graph_of(text)
    assert analyze(graph).parameters == 4 * (2048 * 512 + 2 * 512)
    assert list(graph.nodes[-1].output.shape) == [2048 + 4 * 512, 60, 60]


def test_a_layer_argument_spreads_where_the_block_uses_it() -> None:
    block = "blocks: {join: {params: {more: layer}, layers: {c: {concat: [identity, $more]}}}}"
    assert wired(f"{block}\nlayers: {{j: {{join: {{more: {{for: {{c: [2, 3]}}, conv: $c}}}}}}}}") == [
        "j.c.0 conv 2x16x16 < input",
        "j.c.1 conv 3x16x16 < input",
        "j.c concat 9x16x16 < input, j.c.0, j.c.1",
    ]


def test_families_by_pattern() -> None:
    text = """
    layers:
      enc${i}: {for: {i: [2, 10, 1]}, layers: {conv: {conv: $i}, act: relu}}
      a: {from: "enc*.conv", concat: }
      b: {from: ".enc[12]", concat: }
      c: {layers: {x: {from: "enc1?", relu: }, y: {from: ["*", a], concat: }}}
    outputs: ["enc?", c]
    """
    graph = graph_of(text)
    assert wired(text)[6:] == [
        "a concat 13x16x16 < enc2.conv, enc10.conv, enc1.conv",
        "b concat 3x16x16 < enc2.act, enc1.act",
        "c.x relu 10x16x16 < enc10.act",
        "c.y concat 23x16x16 < c.x, a",
    ]
    assert list(graph.outputs) == ["enc2", "enc1", "c"]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("b${c}: {for: {c: [2, 3]}, from: t, conv: $c}", ["A904"]),
        ("b${c}: {for: {c: [2, 3, 4]}, from: t, layers: [{conv: $c}, relu]}", ["A904"]),
        ("b: {for: {c: [2, 3]}, from: t, conv: $c}", ["A904"]),
        ("b${index}: {repeat: 2, from: t, conv: 2}", ["A904"]),
        ("e: {concat: {b: {for: {c: [2, 3]}, conv: $c}, skip: identity}}", ["A904"]),
        ("b${c}: {for: {c: [2]}, from: t, conv: $c}", []),
        ("b: {repeat: 2, from: t, conv: 2}", []),
        ("b${c}: {for: {c: [2, 3]}, conv: $c}", []),
        ("b${c}: {for: {c: [2, 3], at: [t, o]}, from: $at, conv: $c}", []),
        ("b: {repeat: 2, layers: {x: {conv: 4}, y: {from: [x, input], add: }}}", ["A905"]),
        ("b: {repeat: 2, inline: {'x${index}': {conv: 4}, 'y${index}': {from: ['x${index}', input], add: }}}", ["A905"]),
        ("b: {repeat: 2, layers: {x: {conv: 4}, y: {add: {l: {conv: 4}, r: {from: input, conv: 4}}}}}", ["A905"]),
        ("b: {repeat: 2, layers: {x: {conv: 4}, y: {from: [x, .input], add: }}}", []),
        ("b: {repeat: 1, layers: {x: {conv: 4}, y: {from: [x, input], add: }}}", []),
        ("b: {layers: {x: {conv: 4}, y: {from: [x, input], add: }}}", []),
        ("b: {repeat: 2, from: input, parallel: true, layers: {x: {conv: 4}, y: {from: [x, input], add: }}}", []),
        ("b: {repeat: 2, basic_block: {channels: 8}}", []),
    ],
)  # fmt: skip
def test_a_warning_where_another_network_may_be_meant(layers: str, expected: list[str]) -> None:
    model = model_of(f"layers:\n  t: {{conv: 4}}\n  o: relu\n  {layers}\n")
    assert model.graph is not None
    assert [one.code for one in model.diagnostics] == expected, "\n".join(map(draw, model.diagnostics))
    assert all(one.repeats == 0 and "`" in (one.hint or "") for one in model.diagnostics)


def test_the_input_of_a_chain() -> None:
    text = """
    layers:
      pre: {conv: 4}
      copies: {repeat: 2, layers: {body: {conv: 4}, add: {from: [body, chain_input], add: }}}
      flat: {inline: {x: {conv: 4}, y: {from: chain_input, tanh: }}}
      both: {from: [x, y], layers: {left: {from: chain_input.1, relu: }, all: {from: [left, chain_input], concat: }}}
      branch: {concat: [[{conv: 3}, {from: chain_input, relu: }], {from: chain_input, tanh: }]}
      wide: [relu, [{conv: 2}, {conv: "${chain_input.channels}"}]]
    """
    assert wired(text)[1:] == [
        "copies.0.body conv 4x16x16 < pre",
        "copies.0.add add 4x16x16 < copies.0.body, pre",
        "copies.1.body conv 4x16x16 < copies.0.add",
        "copies.1.add add 4x16x16 < copies.1.body, copies.0.add",
        "x conv 4x16x16 < copies.1.add",
        "y tanh 4x16x16 < copies.1.add",
        "both.left relu 4x16x16 < y",
        "both.all concat 12x16x16 < both.left, x, y",
        "branch.0.0 conv 3x16x16 < both.all",
        "branch.0.1 relu 12x16x16 < both.all",
        "branch.1 tanh 4x16x16 < input",
        "branch concat 16x16x16 < branch.0.1, branch.1",
        "wide.0 relu 16x16x16 < branch",
        "wide.1.0 conv 2x16x16 < wide.0",
        "wide.1.1 conv 16x16x16 < wide.1.0",
    ]


def test_the_input_of_a_chain_is_that_of_the_block_at_its_edge() -> None:
    block = "blocks: {two: {inputs: [x, y], layers: {a: {from: x, relu: }, b: {from: [a, chain_input], concat: }}}}"
    assert wired(f"{block}\nlayers: {{p: relu, q: {{from: [p, input], two: }}}}")[-1] == "q.b concat 12x16x16 < q.a, p, input"
    assert codes("input: [4]\nlayers: {chain_input: relu}") == ["A306"]
    assert codes("input: [4]\nlayers: [{for: {chain_input: [1, 2]}, relu: }]") == ["A306"]
