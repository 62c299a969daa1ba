"""Networks drawn from all operators: shapes, tensors, parameters, MACs and outputs of the analysis are those of what is built."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.memory.saved import clashes
from archc.graph import Graph
from archc.graph.dtypes import input_items

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode

from archc.runtime.build.build import build
from tests.codegen.seen import randomize, tensors_of
from tests.codegen.test_zoo import layers_agree
from tests.helpers.drawn_specs import spec_of
from tests.helpers.interpreter import interpret
from tests.helpers.random_layers import drawn

RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=5000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
BY_VALUES = {"experts"}  # which read what they compute, so that `meta` will not do


def inputs_of(graph: Graph, device: str, batch: int) -> list[Any]:
    items = input_items(graph, 4)
    return [
        torch.zeros(batch, *value.shape, dtype=torch.int64, device=device)
        if items[value] == 8
        else torch.randn(batch, *value.shape, device=device)
        for value in graph.inputs.values()
    ]


def agrees_with_what_is_built(random: Random, most: int) -> bool:
    """False where nothing was drawn that has an output, and where PyTorch refuses what is written over."""
    found = drawn(random, most, regions=True)
    text = spec_of(found, random) if found.nodes else None
    if text is None:
        return False
    graph = archc.loads(text)
    if clashes(graph):
        return False
    device = "cpu" if BY_VALUES & {node.kind for node in graph.nodes} else "meta"
    module = build(graph, device).eval()
    owned = {**module.state_dict(), **dict(module.named_buffers())}  # constants are in no state
    assert sorted((key, tuple(value.shape)) for key, value in owned.items()) == sorted(tensors_of(graph))
    report = archc.analyze(graph)
    assert sum(value.numel() for value in module.parameters()) == report.parameters
    with FlopCounterMode(display=False) as counter:
        module(*inputs_of(graph, device, 2))
    uncounted = device == "cpu" and any("attention" in node.kind for node in graph.nodes)  # the kernels of the CPU
    assert uncounted or counter.get_total_flops() == 2 * 2 * report.macs
    _same_outputs(archc.loads(text))
    if device == "meta":
        with torch.no_grad():  # to be watched, buffers become parameters
            layers_agree(archc.loads(text), inputs=inputs_of(graph, "meta", 2))
    return True


def _same_outputs(graph: Graph) -> None:
    """The source, and each layer's form on its own."""
    torch.manual_seed(0)
    module = randomize(build(graph)).eval()
    state = {key: value.clone() for key, value in module.state_dict().items()}
    given = inputs_of(graph, "cpu", 2)
    with torch.no_grad():
        ours, theirs = module(*[one.clone() for one in given]), interpret(graph, state, [one.clone() for one in given])
    values = list(ours.values()) if isinstance(ours, dict) else [ours]
    for value, found, wanted in zip(graph.outputs.values(), values, theirs.values(), strict=True):
        assert tuple(found.shape) == value.shape.batched(2)
        assert torch.equal(found.nan_to_num(), wanted.nan_to_num())


@RELAXED
@given(st.randoms(use_true_random=False))
def test_drawn_networks(random: Random) -> None:
    assume(agrees_with_what_is_built(random, 10))


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(st.randoms(use_true_random=False))
def test_drawn_networks_at_length(random: Random) -> None:
    assume(agrees_with_what_is_built(random, 16))
