"""The text of a spec that stands alone, written from a graph."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

from archc.graph import Graph
from archc.graph.write_spec import resolve_text
from archc.language.spec import Spec


def spec_text(graph: Graph) -> str:
    """The resolved spec without its recipe. It reads back as the same network."""
    nowhere = ("", SimpleNamespace(span=""))
    document: Any = SimpleNamespace(paper=graph.paper, input=None, params={}, init=defaultdict(lambda: nowhere), train={})
    return resolve_text(graph, cast(Spec, document), {"input": ""}) + "\n"
