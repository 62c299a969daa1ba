"""Specs as text, and what came of them as text beside it."""

from __future__ import annotations

from textwrap import dedent

from archc.elaborate.compiler import Model, compile_text
from archc.graph import Graph, Value
from archc.text.diagnostics import draw


def model_of(text: str, changes: dict[str, str] | None = None, inputs: dict[str, str] | None = None) -> Model:
    text = dedent(text)
    return compile_text(text if "input:" in text or "extends:" in text else f"input: [4, 16, 16]\n{text}", changes, inputs)


def graph_of(text: str, changes: dict[str, str] | None = None, inputs: dict[str, str] | None = None) -> Graph:
    model = model_of(text, changes, inputs)
    assert model.graph is not None, "\n".join(draw(one) for one in model.diagnostics)
    return model.graph


def wired(text: str, changes: dict[str, str] | None = None) -> list[str]:
    """`name kind shape < inputs`, a line for each layer."""
    return [
        f"{node.name} {node.kind} {node.output.shape} < {', '.join(map(named, node.inputs))}" + (" (training)" if node.train_only else "")
        for node in graph_of(text, changes).nodes
    ]


def named(value: Value) -> str:
    if value.node is None:
        return value.name
    return value.node.name + (f".{value.index}" if len(value.node.outputs) > 1 else "")


def names(text: str, changes: dict[str, str] | None = None) -> list[str]:
    return [node.name for node in graph_of(text, changes).nodes]


def codes(text: str) -> list[str]:
    return [one.code for one in model_of(text).diagnostics]
