"""How fast the analyzer is. By hand: `pytest tests/benchmarks -o addopts= --benchmark-only`."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from archc.analysis.cost.report import Report, analyze
from archc.elaborate.compiler import compile_spec, compile_text
from archc.elaborate.state import MOST_LAYERS
from archc.language.loading import shipped
from tests.helpers.paths import ROOT

BODY = "{conv: {channels: 8, kernel: 3, padding: 1}}, relu"


def analyzed(name: str) -> Report:
    graph = compile_spec(name).graph
    assert graph is not None
    return analyze(graph.deployed())


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "resnet152", "efficientnet_b7"])
def test_elaborated_and_analyzed(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark(analyzed, name)


def chain(layers: int) -> Report:
    graph = compile_text(f"input: [8, 16, 16]\nlayers: [{{repeat: {layers // 2}, layers: [{BODY}]}}]\n").graph
    assert graph is not None and len(graph.nodes) == layers
    return analyze(graph)


def test_cost_of_a_layer_in_long_networks(benchmark: BenchmarkFixture) -> None:
    """Microseconds a layer at 1,000 and 5,000 layers and at the most that a network may have, and the ratio of the last to the first."""
    costs = {}
    for layers in (1_000, 5_000, MOST_LAYERS):
        start = time.perf_counter()
        chain(layers)
        costs[layers] = (time.perf_counter() - start) / layers * 1e6
    benchmark.extra_info["us_a_layer"] = costs
    benchmark.extra_info["ratio"] = costs[MOST_LAYERS] / costs[1_000]
    print(f"\nmicroseconds a layer: {costs}")
    benchmark.pedantic(chain, args=(5_000,), rounds=3)


def test_whole_process(benchmark: BenchmarkFixture) -> None:
    command = [sys.executable, "-m", "archc.cli.main", "analyze", "specs/vgg16.yaml"]
    benchmark(subprocess.run, command, cwd=ROOT, capture_output=True, check=True)


def test_the_whole_zoo(benchmark: BenchmarkFixture) -> None:
    """Every spec that ships, in one process."""
    benchmark.pedantic(lambda: [analyzed(path.stem) for path in shipped()], rounds=3)
