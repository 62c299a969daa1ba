"""Where the layers and parts of a network stand, for regions that are named."""

from __future__ import annotations

from dataclasses import dataclass, field

from archc.analysis.recompute.plan import Region
from archc.graph import Graph, Scope, Value
from archc.graph.structure import storage_roots
from archc.ops.facts import INPLACE
from archc.text.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a region, by its place in the plan, and what would be right."""

    at: int
    message: str
    hint: str


@dataclass(slots=True)
class Places:
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
        inner = [self._walk(c) if isinstance(c, Scope) else _one(self.layers.get(c.name)) for c in scope.children]
        there = [one for one in inner if one is not None]
        if not there:
            return None
        found = range(min(one.start for one in there), max(one.stop for one in there))
        if scope.parent is not None:
            self.parts[scope.name], self.scopes[scope.name] = found, scope
            if scope.shared is not None:
                self.copies[scope.name] = scope.shared.name
        return found

    def span(self, region: Region) -> range | Mistake:
        """The layers of a region, by their places."""
        for name in filter(None, (region.first, region.last)):
            if name not in self.layers and (name not in self.parts or region.last):
                known = [*self.layers, *self.parts]
                within = f"a range ends with layers, and {name} is a part" if name in self.parts else did_you_mean(name, known)
                return Mistake(0, f"no layer is called {name}", within or "`archc analyze` lists the layers")
        if region.last:
            first, last = self.layers[region.first], self.layers[region.last]
            found = range(first, last + 1)
            return found or Mistake(0, f"{region.last} runs before {region.first}", f"write [{region.last}, {region.first}]")
        both = [one for one in (_one(self.layers.get(region.first)), self.parts.get(region.first)) if one is not None]
        return range(min(one.start for one in both), max(one.stop for one in both))

    def taken(self, span: range) -> list[Value]:
        """The values that layers read and do not make."""
        nodes = self.graph.nodes[span.start : span.stop]
        own = {value for node in nodes for value in node.outputs}
        return list(dict.fromkeys(value for node in nodes for value in node.inputs if value not in own))


def _one(at: int | None) -> range | None:
    return None if at is None else range(at, at + 1)
