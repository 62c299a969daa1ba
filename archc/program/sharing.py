"""Layers and parts that are applied again with the same weights, and the scopes that are written inline for that."""

from __future__ import annotations

from archc.graph import Node, Scope, Value
from archc.graph.structure import common_scope
from archc.ops.facts import Expression, Facts, Module
from archc.program.dataflow import Dataflow


class Sharing:
    """`original`: of a part that is a call of another, that one. `owner`: whose module a layer uses. `inlined`: parts whose layers are
    called from the part around them, since what they share lies outside, or since they only hold the branches of a merge."""

    def __init__(self, dataflow: Dataflow) -> None:
        self.dataflow = dataflow
        self.original: dict[Scope, Scope] = {}
        self.owner: dict[Node, Node] = {}
        self.inlined: set[Scope] = set()
        self._copies(dataflow.graph.root)
        inside = {node for scope in self.original for node in scope.walk()}
        for node in dataflow.graph.nodes:
            if node.shared is not None and node not in inside and _same_module(node.facts, node.shared.facts):
                self.owner[node] = node.shared
                self._inline(node.scope, node.shared.scope)
        for scope, original in self.original.items():
            if scope.parent is not None:
                self._inline(scope.parent, original)
        self._holders(dataflow.graph.root)

    def mapping(self, scope: Scope) -> dict[Value, Value]:
        """From the values of the part that a copy calls to those of the copy."""
        original = self.original[scope]
        pairs = zip(original.walk(), scope.walk(), strict=True)
        values = dict(zip(original.inputs, scope.inputs, strict=True))
        values.update((mine, theirs) for a, b in pairs for mine, theirs in zip(a.outputs, b.outputs, strict=True))
        return values

    def _copies(self, scope: Scope) -> None:
        for child in self.dataflow.children(scope):
            if not isinstance(child, Scope):
                continue
            if child.shared is not None and self._is_call(child, child.shared):
                self.original[child] = child.shared
                back = {theirs: mine for mine, theirs in self.mapping(child).items()}
                for value in self.dataflow.outputs(child):
                    self.dataflow.let_out(child.shared, back[value])
            else:
                self._copies(child)

    def _is_call(self, copy: Scope, original: Scope) -> bool:
        """Whether a call of the original does what the copy does. Forms may differ where shapes do."""
        mine, theirs = list(copy.walk()), list(original.walk())
        if len(mine) != len(theirs) or (len(set(original.inputs)) < len(original.inputs) and copy.inputs != original.inputs):
            return False
        known = self.dataflow.position
        return all(
            b in known and a.shared is (b.shared or b) and a.facts.torch == b.facts.torch and a.train_only == b.train_only
            for a, b in zip(mine, theirs, strict=True)
        )

    def _inline(self, scope: Scope, owner: Scope) -> None:
        """Writes the scopes around a layer inline, up to the one that holds the owner of its weights too."""
        limit = common_scope((scope, owner))
        for around in self.dataflow.around(scope):
            if around is limit:
                return
            self.inlined.add(around)

    def _holders(self, scope: Scope) -> None:
        children = self.dataflow.children(scope)
        merges = {child.label for child in children if isinstance(child, Node)}
        for child in children:
            if isinstance(child, Scope):
                if child.label in merges:
                    self.inlined.add(child)
                self._holders(child)


def _same_module(mine: Facts, theirs: Facts) -> bool:
    """Whether one module serves both. Without weights, a module of its own does where their forms differ."""
    a, b = mine.torch, theirs.torch
    if isinstance(a, Expression) or isinstance(b, Expression):
        return isinstance(a, Expression) and bool(a.start)
    equal = isinstance(a, Module) and isinstance(b, Module) and a._replace(call="") == b._replace(call="")
    return equal or bool(mine.owned)
