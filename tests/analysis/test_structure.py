"""The structure of a network: against networkx's own enumeration, against brute force, and against figures of papers."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from itertools import pairwise
from math import comb

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archc
from archc.analysis.structure import has_weights, structure
from archc.cli.main import main
from archc.graph import Graph, Node, Value
from archc.graph.structure import ancestors, bottlenecks, common_scope, crossings, cuts, longest_path, only_user
from archc.ops import OPERATORS, Shape


@st.composite
def drawn(draw: st.DrawFn) -> Graph:
    """Small networks of convolutions, activations and sums; some of what they compute leads nowhere."""
    graph = Graph("drawn", "", {})
    values = [Value(None, 0, Shape((2, 1, 1)), name) for name in ("a", "b")[: draw(st.integers(1, 2))]]
    graph.inputs = {value.name: value for value in values}
    for i in range(draw(st.integers(1, 9))):
        read = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        kind = "add" if len(read) > 1 else draw(st.sampled_from(["relu", "conv"]))
        args = {"kernel": 1, "channels": 2} if kind == "conv" else {}
        node = Node(f"n{i}", OPERATORS[kind], args, tuple(read), OPERATORS[kind](*(value.shape for value in read), **args), graph.root)
        graph.nodes.append(node)
        values += node.outputs
    graph.outputs = {value.node.name: value for value in draw(st.lists(st.sampled_from(values), max_size=2)) if value.node is not None}
    graph.heads = {}
    return graph


@settings(max_examples=120, deadline=None)
@given(drawn())
def test_paths_are_those_that_networkx_enumerates(graph: Graph) -> None:
    flow, weighted = graph.to_networkx(), {node.name for node in graph.nodes if has_weights(node)}
    ends = [value.node.name for value in graph.outputs.values() if value.node is not None]
    paths = [path for start in graph.inputs for end in ends for path in networkx.all_simple_paths(flow, start, end)]
    found = structure(graph)
    assert found.lengths == Counter(len(weighted.intersection(path)) for path in paths)
    everywhere = set.intersection(*map(set, paths)) - set(graph.inputs) if paths else set()
    assert set(found.bottlenecks) == everywhere
    reached = {name for path in paths for name in path}
    assert found.layers == len(reached - set(graph.inputs)) and found.layers + found.idle == len(graph.nodes)
    wires = {wire for path in paths for wire in pairwise(path)}
    assert set(found.joins) == {name for name in reached if sum(head == name for _, head in wires) > 1}


@settings(max_examples=120, deadline=None)
@given(drawn())
def test_the_structure_of_a_graph_is_what_its_words_say(graph: Graph) -> None:
    assert [graph.nodes[at] for at in graph.positions.values()] == graph.nodes == list(graph.positions)
    for value, users in graph.uses.items():
        assert users == tuple(node for node in graph.nodes if value in node.inputs)
        assert only_user(graph, value) == (users[0] if len(users) == 1 and value not in graph.outputs.values() else None)
    flow = graph.to_networkx()
    for node in graph.nodes:
        above = networkx.ancestors(flow, node.name) - set(graph.inputs)
        assert {one.name for one in ancestors(node.outputs)} == above | {node.name}
        chain = longest_path(graph, node)
        inner = flow.subgraph(above | {node.name})
        assert len(chain) == networkx.dag_longest_path_length(inner) + 1 and chain[-1] is node
        assert all(a.output in b.inputs for a, b in pairwise(chain))
    places = range(1, len(graph.nodes))
    waiting = {
        at: {v for v, last in graph.last_uses().items() if (graph.positions[v.node] if v.node else -1) < at <= last} for at in places
    }
    assert cuts(graph) == [0, *(at for at in places if len(waiting[at]) == 1), len(graph.nodes)]
    lone = [graph.nodes[at - 1] for at in places if all(value.node is graph.nodes[at - 1] for value in waiting[at])]
    assert [node for node in bottlenecks(graph) if node is not graph.nodes[-1]] == lone


@given(st.lists(st.tuples(st.integers(-1, 8), st.integers(-1, 8)), max_size=6))
def test_crossings(spans: list[tuple[int, int]]) -> None:
    assert crossings(spans, 8) == [sum(made < place <= last for made, last in spans) for place in range(9)]


def test_the_paths_of_residual_networks() -> None:
    """Veit et al. (2016): 54 blocks are 2^54 paths, by the binomial law; of its two convolutions each block has both or none."""
    found = structure(archc.load("resnet110_cifar"))
    assert found.paths == 2**54
    assert found.lengths == {2 + 2 * blocks: comb(54, blocks) for blocks in range(55)}
    assert (found.shortest, found.quantile(0.5), found.depth) == (2, 56, 110)
    assert sum(many for length, many in found.lengths.items() if 19 <= (length - 2) // 2 <= 35) / found.paths > 0.95


@pytest.mark.parametrize(("name", "depth"), [("vgg16", 16), ("resnet50", 50), ("googlenet", 22), ("densenet121", 121), ("alexnet", 8)])
def test_depth_is_that_of_the_paper(name: str, depth: int) -> None:
    assert structure(archc.load(name).deployed()).depth == depth


def test_scopes_in_common() -> None:
    graph = archc.load("resnet18")
    scopes = [graph[name].scope for name in ("layer1.0.conv1", "layer1.1.conv1")]
    assert common_scope(scopes).name == "layer1" and common_scope([*scopes, graph["fc"].scope]) is graph.root
    assert [scope.name for scope in scopes[0].around()] == ["layer1.0", "layer1", ""]


def test_a_graph_that_grows_is_counted_again() -> None:
    graph = archc.loads("input: [3, 8, 8]\nlayers: [relu, relu]")
    assert len(graph.uses) == len(graph.positions) + 1 == 3
    node = Node("more", OPERATORS["relu"], {}, graph.nodes[-1].outputs, graph.nodes[-1].facts, graph.root)
    graph.nodes.append(node)
    assert graph.uses[graph.nodes[1].output] == (node,) and graph.positions[node] == 2


def test_the_deployed_network_is_a_copy_of_its_own() -> None:
    graph = archc.load("googlenet")
    deployed = graph.deployed()
    assert graph.heads and not deployed.heads and list(deployed.outputs) == ["output"]
    assert {node.name for node in deployed.nodes} == {node.name for node in graph.nodes if not node.train_only}
    assert list(deployed.root.walk()) == deployed.nodes and not set(deployed.nodes) & set(graph.nodes)
    assert len(deployed.uses[deployed["inception4a.0"].output]) < len(graph.uses[graph["inception4a.0"].output])


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["explain", "resnet110_cifar", "--structure"]) == 0
    text = capsys.readouterr().out
    assert "18,014,398,509,481,984  2^54" in text and "95% of them: 42 to 70" in text and max(map(len, text.splitlines())) <= 80
    assert main(["explain", "resnet1202_cifar", "--structure"]) == 0
    assert "  2^600\n" in capsys.readouterr().out
    assert main(["explain", "unet", "--structure"]) == 0
    rows = re.findall(r"^(\d+) +(\d+) +(\S+%)$", capsys.readouterr().out, re.MULTILINE)
    assert rows == [(length, "1", "20.0%") for length in ("5", "10", "15", "20", "23")]  # of each depth one
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["explain", "unet", "--structure"]) == 0
    assert "…" not in (text := capsys.readouterr().out) and max(map(len, text.splitlines())) <= 40
    assert main(["explain", "vgg16", "--structure", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["paths"], found["depth"], found["lengths"]) == (1, 16, [{"length": 16, "paths": 1}])
    assert len(found["bottlenecks"]) == found["layers"] == 40
    assert main(["explain", "vgg16", "features.0", "--structure"]) == 2
    assert "leave out layers" in capsys.readouterr().err


def test_without_networkx(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    assert main(["explain", "vgg16", "--structure"]) == 2
    assert capsys.readouterr().err.startswith("archc: this needs networkx, which is not installed: pip install")
