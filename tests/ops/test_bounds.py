"""One layer makes a bounded number of values and tensors, and all layers together too."""

from __future__ import annotations

import pytest

from archc.elaborate.compiler import compile_text


@pytest.mark.parametrize(
    ("shape", "entry", "told"),
    [
        ("[100000, 4]", "{split: {parts: 100000}}", "100,000 values from one"),
        ("[16, 16]", "{lstm: {hidden: 8, layers: 1000000}}", "a stack of 1,000,000 layers"),
        ("[16, 16]", f"{{opaque: {{outputs: [{', '.join(['[2]'] * 5000)}]}}}}", "outputs names 5,000 shapes"),
        ("[16, 16]", "{repeat: 1000, gru: {hidden: 8, layers: 1000}}", "too much work"),
    ],
)
def test_a_layer_makes_no_more_than_can_be_told(shape: str, entry: str, told: str) -> None:
    model = compile_text(f"input: {shape}\nlayers:\n- {entry}\n")
    assert any(told in one.message for one in model.diagnostics)


def test_many_parts_are_made_at_once() -> None:
    model = compile_text("input: [4096, 4]\nlayers:\n  s: {split: {parts: 4096}}\n  t: {from: s.4095, relu: }\n")
    assert model.graph is not None and len(model.graph.nodes[0].outputs) == 4096
