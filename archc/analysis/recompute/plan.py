"""A plan of recomputation as data: the regions of a network that run again in backward, and where its layers stand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from archc.graph import Graph, Scope, Value
from archc.graph.structure import storage_roots
from archc.ops.facts import INPLACE
from archc.text import tree as t
from archc.text.suggest import did_you_mean

_PLAIN = re.compile(r"[A-Za-z_][\w.]*\Z")


@dataclass(frozen=True, slots=True)
class Region:
    """The part or layer `first`, or, with `last`, the layers from one to the other in the order in which they run."""

    first: str
    last: str = ""

    def __str__(self) -> str:
        return f"[{_quote(self.first)}, {_quote(self.last)}]" if self.last else _quote(self.first)


@dataclass(frozen=True, slots=True, repr=False)
class CheckpointPlan:
    """The regions of a network that run again in backward; one may lie in another."""

    regions: tuple[Region, ...]

    def __repr__(self) -> str:
        more = f", … {len(self.regions) - 4:,} more" if len(self.regions) > 4 else ""
        return f"<CheckpointPlan: {', '.join(map(str, self.regions[:4])) or 'nothing is recomputed'}{more}>"

    def _repr_html_(self) -> str:
        from archc.text.notebook import to_html
        from archc.text.table import Column, Table

        rows: list[list[object]] = [[number, str(region)] for number, region in enumerate(self.regions, 1)]
        return to_html("recomputed in backward", Table([Column("", "count"), Column("region")], rows))

    def text(self) -> str:
        """The plan as a file holds it."""
        return "checkpoint:\n" + "".join(f"  - {region}\n" for region in self.regions) if self.regions else "checkpoint: []\n"


def _quote(name: str) -> str:
    return name if _PLAIN.match(name) and t.plain_value(name) == name else json.dumps(name)


@dataclass(frozen=True, slots=True)
class PlanMistake:
    """What is wrong with a region, by its place in the plan, and what would be right."""

    at: int
    message: str
    hint: str


@dataclass(slots=True)
class NetworkPlaces:
    """Where the layers and parts of a network stand in the order in which they run, and what shares whose storage."""

    graph: Graph
    layers: dict[str, int] = field(default_factory=dict)
    parts: dict[str, range] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)  # parts and what they apply again
    last: dict[Value, int] = field(init=False)  # the last layer that reads a value; beyond all for what comes out
    roots: dict[Value, Value] = field(init=False)
    written: dict[Value, int] = field(default_factory=dict)  # the last layer that writes over a storage

    def __post_init__(self) -> None:
        self.last, self.roots = self.graph.last_uses(), storage_roots(self.graph)
        for at, node in enumerate(self.graph.nodes):
            self.layers[node.name] = at
            if node.facts.storage == INPLACE:
                self.written[self.roots[node.inputs[0]]] = at
        self._walk(self.graph.root)

    def _walk(self, scope: Scope) -> range | None:
        inner = [self._walk(c) if isinstance(c, Scope) else _span_at(self.layers.get(c.name)) for c in scope.children]
        known = [span for span in inner if span is not None]
        if not known:
            return None
        found = range(min(span.start for span in known), max(span.stop for span in known))
        if scope.parent is not None:
            self.parts[scope.name], self.scopes[scope.name] = found, scope
            if scope.shared is not None:
                self.copies[scope.name] = scope.shared.name
        return found

    def span(self, region: Region) -> range | PlanMistake:
        """The layers of a region, by their places."""
        for name in filter(None, (region.first, region.last)):
            if name not in self.layers and (name not in self.parts or region.last):
                known = [*self.layers, *self.parts]
                within = f"a range ends with layers, and {name} is a part" if name in self.parts else did_you_mean(name, known)
                return PlanMistake(0, f"no layer is called {name}", within or "`archc analyze` lists the layers")
        if region.last:
            first, last = self.layers[region.first], self.layers[region.last]
            found = range(first, last + 1)
            return found or PlanMistake(0, f"{region.last} runs before {region.first}", f"write [{region.last}, {region.first}]")
        both = [span for span in (_span_at(self.layers.get(region.first)), self.parts.get(region.first)) if span is not None]
        return range(min(span.start for span in both), max(span.stop for span in both))

    def taken(self, span: range) -> list[Value]:
        """The values that layers read and do not make."""
        nodes = self.graph.nodes[span.start : span.stop]
        own = {value for node in nodes for value in node.outputs}
        return list(dict.fromkeys(value for node in nodes for value in node.inputs if value not in own))


def _span_at(at: int | None) -> range | None:
    return None if at is None else range(at, at + 1)
