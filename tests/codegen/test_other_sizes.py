"""Every spec that ships, built at its own size, at the other sizes that it allows: its shapes are those of the analysis there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import archc
from archc.graph import Graph
from tests.helpers.zoo import every_spec

torch = pytest.importorskip("torch")

MOST = 2  # sizes that are run


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
    if len(graph.inputs) > 1:
        return
    module = archc.build(graph, device="meta").eval()
    for (shape, other), _ in zip(allowed(name, graph), range(MOST), strict=False):
        made = module(torch.zeros(2, *shape, device="meta"))
        found = [tuple(one.shape[1:]) for one in (made.values() if isinstance(made, dict) else [made])]
        assert found == [tuple(value.shape) for value in other.outputs.values()][: len(found)], shape


IMAGE, TOKENS = ((8, 16, 16), (8, 24, 20)), ((6, 16), (9, 16))
BLOCKS: dict[str, tuple[tuple[tuple[int, ...], tuple[int, ...]], str]] = {
    "lambda_layer": (IMAGE, "{lambda_layer: {heads: 2, keys: 4, reach: 3}}"),
    "atrous_spatial_pyramid_pooling": (IMAGE, "{atrous_spatial_pyramid_pooling: {channels: 4, rates: [1, 2, 3]}}"),
    "pyramid_pooling": (IMAGE, "{pyramid_pooling: [1, 2, 4, 8]}"),
    "self_attention": (TOKENS, "{self_attention: {heads: 4, kv_heads: 2, causal: true, positions: rotary}}"),
    "qkv_attention": (TOKENS, "{qkv_attention: 4}"),
    "cross_attention": (TOKENS, "{from: [input, input, input], cross_attention: 4}"),
    "gpt2_block": (TOKENS, "{gpt2_block: 4}"),
    "llama_block": (TOKENS, "{llama_block: {heads: 4, hidden: 24, kv_heads: 2}}"),
    "transformer_encoder": (TOKENS, "{transformer_encoder: 4}"),
    "transformer_decoder": (TOKENS, "{from: [input, input], transformer_decoder: 4}"),
    "detr_decoder": (TOKENS, "{from: [input, input, input, input], detr_decoder: {heads: 4, hidden: 24}}"),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_at_another_size(block: str, tmp_path: Path) -> None:
    (size, other), entry = BLOCKS[block]
    nets = []
    for shape in (size, other):
        spec = tmp_path / f"{'x'.join(map(str, shape))}.yaml"
        spec.write_text(f"archc: 1\ninput: {list(shape)}\nlayers:\n  it: {entry}\n")
        torch.manual_seed(1)
        nets.append(archc.build(spec).eval())
    x = torch.randn(2, *other)
    assert torch.equal(nets[0](x), nets[1](x))


@pytest.mark.parametrize(("name", "has"), [("resnet20_cifar", True), ("unet", True), ("vit_b16", False)])
def test_which_networks_have_another_size(name: str, has: bool) -> None:
    assert (next(allowed(name, archc.load(name)), None) is not None) is has
