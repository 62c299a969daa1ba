"""Declared outputs of a block: a backbone and a pyramid that give several values, read by name."""

from __future__ import annotations

import pytest

import archc
from archc.elaborate.compiler import compile_text

PYRAMID = """
input: [3, 32, 32]
blocks:
  backbone:
    outputs: [c2, c3]
    layers:
      c2: {conv: {channels: 8, kernel: 3, stride: 2, padding: 1}}
      c3: {conv: {channels: 16, kernel: 3, stride: 2, padding: 1}}
      spare: relu
  fpn:
    inputs: [c2, c3]
    params: {channels: int}
    outputs: {p2: smooth2, p3: lat3, seen: c2}
    layers:
      lat3: {from: c3, conv: $channels}
      up3: {upsample: 2}
      lat2: {from: c2, conv: $channels}
      sum2: {from: [lat2, up3], add: }
      smooth2: {conv: {channels: $channels, kernel: 3, padding: 1}}
layers:
  body: backbone
  neck: {fpn: 12}
  again: {from: [body.c2, body.c3], share: neck}
  high: {from: neck.p2, conv: 4}
  low: {from: again.p3, conv: 5}
  seen: {from: neck.seen, conv: 6}
  inner: {from: neck.lat2, conv: 7}
outputs: [high, low, seen, inner]
"""


def test_values_come_out_by_name() -> None:
    """All values are the entry's, in order; each is read by name, of a part that is applied again too."""
    graph = compile_text(PYRAMID).graph
    assert graph is not None
    assert {name: value.shape for name, value in graph.outputs.items()} == {
        "high": (4, 16, 16), "low": (5, 8, 8), "seen": (6, 16, 16), "inner": (7, 16, 16)
    }  # fmt: skip
    read = {node.name: node.inputs[0].node.name for node in graph.nodes[-4:] if node.inputs[0].node is not None}
    assert read == {"high": "neck.smooth2", "low": "again.lat3", "seen": "body.c2", "inner": "neck.lat2"}


def test_the_module_returns_them() -> None:
    torch = pytest.importorskip("torch")
    built = archc.build(archc.loads(PYRAMID))
    assert [type(part).__name__ for part in (built.body, built.neck)] == ["Backbone", "Fpn"]
    shapes = {name: tuple(value.shape[1:]) for name, value in built(torch.zeros(2, 3, 32, 32)).items()}
    assert shapes["high"] == (4, 16, 16) and shapes["low"] == (5, 8, 8)


def test_the_next_entry_takes_them_all() -> None:
    text = "{input: [4, 8, 8], blocks: {two: {outputs: [a, b], layers: {a: {conv: 3}, b: relu}}}, layers: [two, concat]}"
    graph = compile_text(text).graph
    assert graph is not None and next(iter(graph.outputs.values())).shape == (6, 8, 8)
