"""Random modules, captured: what archc says of them against torch itself, which runs them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.analysis.memory.saved import saved
from archc.tracing import capture
from tests.helpers.autograd import kept_in_forward
from tests.helpers.random_modules import draw

BATCH = 2


def shapes(result: dict[str, Tensor]) -> list[tuple[int, ...]]:
    return [tuple(one.shape[1:]) for one in result.values()]


def check(module: Any) -> str:
    """Holds a capture against the module: numel, torch's counter, shapes, hooks of autograd. Says whether every step has an operator."""
    graph = capture(module, module.shape)
    opaque = [node for node in graph.nodes if node.kind == "opaque"]
    captured = graph.captured
    assert captured is not None
    values = sum(weight.values for node in graph.nodes if node.shared is None for weight in node.facts.owned if weight.role != "buffer")
    assert values + sum(captured.unused.values()) == sum(one.numel() for one in module.parameters())

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        deployed = module.eval()(torch.randn(BATCH, *module.shape))
    macs, counted = archc.analyze(graph).counts["macs"], counter.get_total_flops() // 2 // BATCH
    assert macs.low <= counted and (macs.high is None or counted <= macs.high), (macs, counted)
    assert macs.exact or opaque
    assert [tuple(value.shape) for value in graph.outputs.values()] == shapes(deployed)

    module.train()
    images = torch.randn(BATCH, *module.shape)
    try:
        measured = kept_in_forward(module, images)
    except RuntimeError as error:  # written over what is needed, or over one of the views of a split
        assert "in-place" in str(error) or "inplace" in str(error), error
        return "refused by autograd"
    found = saved(graph, BATCH)
    if opaque:
        bound = archc.memory(graph, batch=BATCH).bound
        assert found.unknown and bound.status in ("at least", "about")
        assert found.total <= measured or bound.status == "about", (found.total, measured, found.by_node)
        return "bound"
    assert found.total == measured, (found.total, measured, {node.name: n for node, n in found.by_node.items()})
    return "exact"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_random_modules(seed: int) -> None:
    check(draw(seed))


@pytest.mark.heavy
@pytest.mark.timeout(6000)
@settings(max_examples=2000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.sampled_from([4, 8, 16]))
def test_random_modules_at_length(seed: int, steps: int) -> None:
    check(draw(seed, steps))
