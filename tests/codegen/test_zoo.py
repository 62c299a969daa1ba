"""Every spec that ships, built: names, shapes of each layer, parameters and MACs are those of the analysis."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import archc
from archc.codegen.lowering import lower
from archc.graph import Graph, Node

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode

from archc.runtime.build.build import build
from tests.helpers.zoo import SPECS, VARIED, every_spec, shipped

from .seen import inputs_of, run, shapes_of, tensors_of


def layers_agree(graph: Graph, train: bool = False, inputs: list[Any] | None = None) -> None:
    """What each layer gives on the meta device has the shape that the analysis says, and each layer runs once. The graph is changed."""
    seen: list[Node] = []

    def watch(node: Node, out: object) -> None:
        assert shapes_of(out) == [tuple(shape.inner) for shape in node.facts.outputs], node.name
        seen.append(node)

    out = run(graph, "meta", train=train, watch=watch, inputs=inputs)
    assert len(seen) == len(set(seen)) == sum(train or not node.train_only for node in graph.nodes)
    heads = graph.heads.values() if train else ()
    wanted = [v for v in (*graph.outputs.values(), *heads) if train or v.node is None or not v.node.train_only]
    assert shapes_of(out) == [tuple(value.shape) for value in wanted]


@every_spec
def test_layers(name: str) -> None:
    layers_agree(archc.load(name))


@every_spec
def test_tensors_and_counts(name: str) -> None:
    graph = shipped(name)
    module = build(graph, "meta").eval()
    assert sorted((key, tuple(value.shape)) for key, value in module.state_dict().items()) == sorted(tensors_of(graph))
    report = archc.analyze(graph)
    deployed = build(graph.deployed(), "meta").eval()
    assert sum(value.numel() for value in deployed.parameters()) == report.parameters
    with FlopCounterMode(display=False) as counter:
        deployed(*inputs_of(graph, "meta", 1))
    assert counter.get_total_flops() == 2 * report.macs


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "googlenet_caffe"])
def test_heads_come_out_in_training(name: str) -> None:
    graph = archc.load(name)
    layers_agree(graph, train=True)
    assert list(build(graph, "meta").train()(*inputs_of(graph, "meta"))) == ["output", *graph.heads]
    assert not [key for key in build(graph.deployed(), "meta").state_dict() if key.startswith("aux")]


@every_spec
def test_source(name: str) -> None:
    """It is Python, knows torch alone, and is narrow enough for a screen but for docstrings and expressions."""
    text = lower(shipped(name)).source.text
    imported = {alias.name if isinstance(node, ast.Import) else node.module for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}  # fmt: skip
    assert imported <= {"torch", "torch.nn.functional", "collections", "fnmatch"}
    assert max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize("thorough", [False, pytest.param(True, marks=pytest.mark.heavy)])
def test_sources_are_formatted(tmp_path: Path, thorough: bool) -> None:
    """As the formatter would have them, and without a finding of the linter."""
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    for name in SPECS if thorough else VARIED:
        (tmp_path / f"{name}.py").write_text(lower(shipped(name)).source.text)
    checked = subprocess.run(
        [ruff, "check", "--isolated", "--select", "E,F,W,I,B,UP,PIE", "--ignore", "E501", tmp_path], capture_output=True
    )
    assert checked.returncode == 0, checked.stdout.decode()[-2000:]
    formatted = subprocess.run([ruff, "format", "--isolated", "--diff", tmp_path], capture_output=True)
    assert formatted.returncode == 0, formatted.stdout.decode()[:3000]
