"""Merges, splits, shared weights."""

from __future__ import annotations

import archc
from archc.analysis.cost.report import analyze
from archc.elaborate.compiler import compile_text
from archc.graph.write_spec import resolve_text
from tests.language.helpers import codes, graph_of, names, wired


def test_named_branches_live_in_the_enclosing_chain() -> None:
    text = "layers: {pre: relu, sum: {add: {body: [{conv: 4}, relu], skip: identity}}, post: {from: body.0, relu: }}"
    assert wired(text)[1:] == [
        "body.0 conv 4x16x16 < pre",
        "body.1 relu 4x16x16 < body.0",
        "sum add 4x16x16 < body.1, pre",
        "post relu 4x16x16 < body.0",
    ]


def test_listed_branches_are_numbered_under_the_merge() -> None:
    assert wired("layers: [relu, {concat: [{conv: 2}, identity, [{conv: 3}]]}]") == [
        "0 relu 4x16x16 < input",
        "1.0 conv 2x16x16 < 0",
        "1.1.0 conv 3x16x16 < 0",
        "1 concat 9x16x16 < 1.0, 0, 1.1.0",
    ]


def test_identity_may_stand_in_every_merge() -> None:
    assert names("layers: {x: {add: {a: {conv: 4}, skip: identity}}, y: {add: {b: {conv: 4}, skip: identity}}}") == ["a", "x", "b", "y"]


def test_a_merge_by_reference() -> None:
    assert wired("layers: {a: {conv: 4}, b: {conv: 8}, c: {from: [a, b], concat: }}")[2] == "c concat 12x16x16 < a, b"
    assert wired("layers: {a: {conv: 4}, c: {from: [a, input], concat: {axis: 1}}}")[1] == "c concat 4x32x16 < a, input"


def test_add_demands_equal_shapes() -> None:
    gate = "gate: [global_avgpool, {conv: 4}], skip: identity"
    assert codes(f"layers: [{{add: {{{gate}}}}}]") == ["A501"]
    assert wired(f"layers: [{{add: {{broadcast: true, {gate}}}}}]")[-1] == "0 add 4x16x16 < gate.1, input"
    assert wired(f"layers: [{{mul: {{{gate}}}}}]")[-1] == "0 mul 4x16x16 < gate.1, input"


def test_split() -> None:
    text = "layers: {s: {split: 2}, a: {from: s.1, relu: }, b: {from: s, add: }, c: {from: [s.0, a, b], concat: }}"
    assert wired(text) == ["s split 2x16x16 < input", "a relu 2x16x16 < s.1", "b add 2x16x16 < s.0, s.1", "c concat 6x16x16 < s.0, a, b"]
    assert codes("layers: {s: {split: 2}, a: relu}") == ["A502"]


def test_shared_weights_count_once_and_macs_each_time() -> None:
    report = analyze(graph_of("layers: {a: {conv: {channels: 4, kernel: 3, padding: 1}}, b: {share: a}, c: {share: a, from: input}}"))
    assert report.parameters == 4 * 4 * 9 + 4 and report.macs == 3 * 16 * 16 * 4 * 4 * 9
    assert [layer.node.shared.name if layer.node.shared else None for layer in report.layers] == [None, "a", "a"]


def test_a_whole_part_is_shared() -> None:
    text = """
    input: {x: [4, 8, 8], y: [4, 8, 8]}
    blocks:
      twin: {layers: {conv: {conv: 4}, inner: [relu, {conv: 2}], skip: {add: {l: {conv: 2}, r: identity}}}}
    layers:
      a: {from: x, twin: }
      b: {from: y, share: a}
      c: {from: [a, b], concat: }
    """
    assert wired(text)[5:] == [
        "b.conv conv 4x8x8 < y",
        "b.inner.0 relu 4x8x8 < b.conv",
        "b.inner.1 conv 2x8x8 < b.inner.0",
        "b.l conv 2x8x8 < b.inner.1",
        "b.skip add 2x8x8 < b.l, b.inner.1",
        "c concat 4x8x8 < a.skip, b.skip",
    ]
    assert all(node.shared is not None for node in graph_of(text).nodes[5:10])


def test_weights_that_do_not_fit_are_not_shared() -> None:
    assert codes("layers: {a: {conv: 8}, b: {share: a}}") == ["A503"]


def test_listed_branches_are_read_from_outside_and_after_sharing() -> None:
    spec = """
archc: 1
name: parts
input: [3, 8, 8]
layers:
  a: [{concat: [{conv: 2}, {conv: 4}]}, relu]
  b: {conv: 3}
  c: {share: a}
  d: {from: c.0.1, relu: }
  e: {from: a.0.0, relu: }
outputs: {c: c, d: d, e: e}
"""
    model = compile_text(spec)
    graph = model.graph
    assert graph is not None and model.spec is not None
    assert [graph[name].inputs[0].node is graph[source] for name, source in (("d", "c.0.1"), ("e", "a.0.0"))] == [True, True]
    again = archc.loads(resolve_text(graph, model.spec, {}))
    assert [node.name for node in again.nodes] == [node.name for node in graph.nodes]
    owners = [{node.name: node.shared and node.shared.name for node in one.nodes if node.facts.owned} for one in (graph, again)]
    assert owners[0] == owners[1] and owners[0]["c.0.1"] == "a.0.1"
