"""The style `graph`: what is in a picture is what is in the network, whatever is folded; names are text and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import networkx
import pytest

import archc
from archc.draw.graph.fold import MOST_BOXES, Folding, view
from archc.draw.graph.fold_marks import GraphBox, Group, Item, ranks, spines
from archc.draw.graph.picture import graph_dot
from tests.helpers.pictures import FULL, groups, network, parsed
from tests.helpers.zoo import VARIED, every_spec


@every_spec
def test_every_spec_as_dot(name: str) -> None:
    text = graph_dot(network(name))
    assert text == graph_dot(network(name))
    nodes, edges = parsed(text)
    assert len(set(nodes)) == len(nodes) <= 120
    assert {end for edge in edges for end in edge} == set(nodes)


@every_spec
def test_every_layer_and_wire_at_full_depth(name: str) -> None:
    graph = network(name)
    nodes, edges = parsed(graph_dot(graph, FULL))
    assert len(nodes) == len(graph.nodes) + len(graph.inputs) + len(graph.outputs)
    assert len(edges) == sum(len(node.inputs) for node in graph.nodes) + len(graph.outputs)
    if name in VARIED:
        theirs = graph.to_networkx()
        ours = len(nodes) - len(graph.outputs), len(set(edges)) - len(graph.outputs)
        assert ours == (theirs.number_of_nodes(), theirs.number_of_edges())


@every_spec
def test_each_layer_is_in_one_box_and_each_wire_in_one_edge(name: str) -> None:
    graph = network(name)
    for depth in (None, 0, 1, 2, 9):
        found = view(graph, Folding(depth))
        boxes = list(found.boxes())
        of = {id(node): box for box in boxes for copy in box.copies for node in copy}
        assert Counter(id(node) for box in boxes for copy in box.copies for node in copy) == Counter(map(id, graph.nodes))
        assert all(len(box.copies) == times for box, times in timed(found.items) if not box.end)
        drawn = {(id(edge.tail), id(edge.head)) for edge in found.edges}
        wires = {
            (id(of[id(value.node)]), id(of[id(node)]))
            for node in graph.nodes
            for value in node.inputs
            if value.node is not None and of[id(value.node)] is not of[id(node)]
        }
        inner = {edge for edge in drawn if edge[0] in map(id, of.values()) and edge[1] in map(id, of.values())}
        assert inner <= wires
        assert all(folded_together(found.items, tail, head) for tail, head in wires - inner)


def timed(items: list[Item], times: int = 1) -> Iterator[tuple[GraphBox, int]]:
    """Each box with how many copies it stands for."""
    for item in items:
        if isinstance(item, GraphBox):
            yield item, times * item.times
        else:
            yield from timed(item.items, times * item.times)


def folded_together(items: list[Item], tail: int, head: int) -> bool:
    """Whether two boxes are in one group of several copies: then what flows from copy to copy is not drawn."""
    for item in items:
        if isinstance(item, Group):
            own = {id(box) for box, _ in timed(item.items)}
            if {tail, head} <= own:
                return item.times > 1 or folded_together(item.items, tail, head)
    return False


# The papers' own numbers: ResNet-50 has 3, 4, 6 and 3 units of which the first of each stage differs; DenseNet-121 6, 12, 24 and 16;
# Inception-v4 4, 7 and 3 modules; NASNet-A (6 @ 4032) 18 normal cells; ViT-B 12 encoders.
REPEATS = {
    "resnet50": [2, 3, 5, 2],
    "densenet121": [6, 12, 24, 16],
    "inception_v4": [4, 7, 3],
    "vit_b16": [12],
    "xception": [8],
    "resnet152": [2, 7, 35, 2],
    "preact_resnet1001": [110, 110, 110],
}


@pytest.mark.parametrize("name", REPEATS)
def test_repeats_are_those_of_the_papers(name: str) -> None:
    found = view(network(name), Folding(None))
    assert [group.times for group in groups(found.items) if group.times > 1] == REPEATS[name]


def test_parts_side_by_side_are_no_repeat() -> None:
    blocks = "blocks: {b: {layers: [{conv: 8}, relu, {conv: 8}]}}"
    spec = f"archc: 1\ninput: [8, 9, 9]\n{blocks}\nlayers:\n  join: {{add: {{x: b, y: b}}}}\n  chain: {{repeat: 3, b: }}\n"
    found = view(archc.loads(spec), Folding(9))
    assert [(group.scope.block, group.times) for group in groups(found.items)] == [("b", 1), ("b", 1), ("b", 3)]


@pytest.mark.parametrize("name", ["vgg16", "inception_v4", "efficientnet_b7", "nasnet_a_large", "resnet1202_cifar", "densenet264"])
def test_the_default_is_legible(name: str) -> None:
    found = view(network(name), Folding(None))
    assert 10 < sum(1 for _ in found.boxes()) <= MOST_BOXES


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "nasnet_a_mobile", "unet", "fractalnet20"])
def test_ranks_are_the_longest_way(name: str) -> None:
    for depth in (0, 1, 9):
        found = view(network(name), Folding(depth))
        theirs = networkx.DiGraph((edge.tail.index, edge.head.index) for edge in found.edges)
        assert ranks(found.edges) == networkx.dag_longest_path_length(theirs) + 1
        spine = [edge for edge in found.edges if id(edge) in spines(found.edges)]
        assert max(Counter(edge.tail.index for edge in spine).values()) == max(Counter(edge.head.index for edge in spine).values()) == 1
