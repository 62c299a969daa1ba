"""Every spec that ships, built at its own size, at the other sizes that it allows: its shapes are those of the analysis there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import archc
from archc.graph import Graph
from tests.helpers.zoo import every_spec

torch = pytest.importorskip("torch")

MOST = 2  # sizes that are run
FIXED = {"lambda_resnet26t"}  # whose layers turn rows into maps of a height and a width that the source names


def others(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Sizes near a network's own, larger and smaller, and no square among the first."""
    if len(shape) != 3:
        return []
    channels, height, width = shape
    sizes = [(height + 32, width + 64), (height + 64, width), (2 * height, 2 * width), (height // 2, width // 2), (height + 16, width + 16)]
    return [(channels, *size) for size in sizes if min(size) > 0]


def tensors(graph: Graph) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for node in graph.nodes if node.shared is None for weight in node.facts.owned]


def allowed(name: str, graph: Graph) -> Iterator[tuple[tuple[int, ...], Graph]]:
    """The other sizes at which the spec is a network of the same tensors, and that network."""
    (value,) = graph.inputs.values()
    for shape in others(tuple(map(int, value.shape))):
        try:
            other = archc.load(name, input=shape)
        except archc.SpecError:
            continue
        if tensors(other) == tensors(graph):
            yield shape, other


@every_spec
def test_a_network_at_other_sizes(name: str) -> None:
    graph = archc.load(name)
    if len(graph.inputs) > 1 or name in FIXED:
        return
    module = archc.build(graph, device="meta").eval()
    for (shape, other), _ in zip(allowed(name, graph), range(MOST), strict=False):
        made = module(torch.zeros(2, *shape, device="meta"))
        found = [tuple(one.shape[1:]) for one in (made.values() if isinstance(made, dict) else [made])]
        assert found == [tuple(value.shape) for value in other.outputs.values()][: len(found)], shape


@pytest.mark.parametrize(("name", "has"), [("resnet20_cifar", True), ("unet", True), ("vit_b16", False)])
def test_which_networks_have_another_size(name: str, has: bool) -> None:
    assert (next(allowed(name, archc.load(name)), None) is not None) is has
