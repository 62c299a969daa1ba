"""Random networks: the compiled module does what the graph says, layer by layer, and counts what the analysis counts."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings

import archc
from archc.elaborate.compiler import compile_text

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode

from archc.runtime.build.build import build
from tests.helpers.interpreter import interpret
from tests.helpers.random_networks import networks

from .seen import inputs_of, randomize, tensors_of
from .test_zoo import layers_agree

RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=5000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))


def built_as_written(text: str) -> None:
    model = compile_text(text)
    assume(model.graph is not None)
    graph = model.graph
    assert graph is not None
    torch.manual_seed(0)
    module = randomize(build(graph))
    state = {key: value.clone() for key, value in module.state_dict().items()}
    assert sorted((key, tuple(value.shape)) for key, value in state.items()) == sorted(tensors_of(graph))
    assert sum(value.numel() for value in build(graph.deployed(), "meta").parameters()) == archc.analyze(graph).parameters
    inputs = inputs_of(graph)
    for train in (False, True):
        for one in module.modules():  # what is drawn by chance would differ between two runs
            one.p = 0.0 if hasattr(one, "p") else None
        ours, theirs = module.train(train)(*inputs), interpret(_without_chance(graph), state, inputs, train)
        assert list(theirs) == (list(ours) if isinstance(ours, dict) else list(theirs))
        pairs = zip(ours.values() if isinstance(ours, dict) else [ours], theirs.values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    with FlopCounterMode(display=False) as counter:
        build(graph.deployed(), "meta").eval()(*inputs_of(graph, "meta", 1))
    assert counter.get_total_flops() == 2 * archc.analyze(graph).macs
    layers_agree(compile_text(text).graph, train=True)  # type: ignore[arg-type]


def _without_chance(graph):  # type: ignore[no-untyped-def]
    """Dropout of probability 0 everywhere."""
    from dataclasses import replace

    for node in graph.nodes:
        if "dropout" in node.kind or node.kind == "drop_path":
            node.facts = replace(node.facts, torch=node.facts.torch._replace(args=(0.0,)))
    return graph


@RELAXED
@given(networks())
def test_random_networks(text: str) -> None:
    built_as_written(text)


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@LONG
@given(networks())
def test_random_networks_at_length(text: str) -> None:
    built_as_written(text)
