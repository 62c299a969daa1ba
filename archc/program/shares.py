"""Layers and parts that are applied again with the same weights, and the parts that have to be opened for that."""

from __future__ import annotations

from archc.graph import Node, Scope, Value
from archc.graph.structure import common_scope
from archc.ops.facts import Expression, Facts, Module
from archc.program.wires import Wires


class Shares:
    """`whole`: parts that are a call of another part. `lender`: whose module a layer uses. `opened`: parts whose layers are
    called from the part around them, since what they share lies outside, or since they only hold the branches of a merge."""

    def __init__(self, wires: Wires) -> None:
        self.wires = wires
        self.whole: dict[Scope, Scope] = {}
        self.lender: dict[Node, Node] = {}
        self.opened: set[Scope] = set()
        self._copies(wires.graph.root)
        inside = {node for scope in self.whole for node in scope.walk()}
        for node in wires.graph.nodes:
            if node.shared is not None and node not in inside and _same_module(node.facts, node.shared.facts):
                self.lender[node] = node.shared
                self._open(node.scope, node.shared.scope)
        for scope, original in self.whole.items():
            if scope.parent is not None:
                self._open(scope.parent, original)
        self._holders(wires.graph.root)

    def twin(self, scope: Scope) -> dict[Value, Value]:
        """From the values of the part that a whole copy calls to those of the copy."""
        original = self.whole[scope]
        pairs = zip(original.walk(), scope.walk(), strict=True)
        values = dict(zip(original.inputs, scope.inputs, strict=True))
        values.update((mine, theirs) for a, b in pairs for mine, theirs in zip(a.outputs, b.outputs, strict=True))
        return values

    def _copies(self, scope: Scope) -> None:
        for child in self.wires.children(scope):
            if not isinstance(child, Scope):
                continue
            if child.shared is not None and self._is_whole(child, child.shared):
                self.whole[child] = child.shared
                back = {theirs: mine for mine, theirs in self.twin(child).items()}
                for value in self.wires.gives(child):
                    self.wires.give(child.shared, back[value])
            else:
                self._copies(child)

    def _is_whole(self, copy: Scope, original: Scope) -> bool:
        """Whether a call of the original does what the copy does. Forms may differ where shapes do."""
        mine, theirs = list(copy.walk()), list(original.walk())
        if len(mine) != len(theirs) or (len(set(original.inputs)) < len(original.inputs) and copy.inputs != original.inputs):
            return False
        known = self.wires.place
        return all(
            b in known and a.shared is (b.shared or b) and a.facts.torch == b.facts.torch and a.train_only == b.train_only
            for a, b in zip(mine, theirs, strict=True)
        )

    def _open(self, scope: Scope, lender: Scope) -> None:
        """Opens the parts around a borrower, up to the one that holds its lender too."""
        limit = common_scope((scope, lender))
        for one in self.wires.above(scope):
            if one is limit:
                return
            self.opened.add(one)

    def _holders(self, scope: Scope) -> None:
        children = self.wires.children(scope)
        merges = {child.label for child in children if isinstance(child, Node)}
        for child in children:
            if isinstance(child, Scope):
                if child.label in merges:
                    self.opened.add(child)
                self._holders(child)


def _same_module(mine: Facts, theirs: Facts) -> bool:
    """Whether one module serves both. Without weights, a module of its own does where their forms differ."""
    a, b = mine.torch, theirs.torch
    if isinstance(a, Expression) or isinstance(b, Expression):
        return isinstance(a, Expression) and bool(a.start)
    equal = isinstance(a, Module) and isinstance(b, Module) and a._replace(call="") == b._replace(call="")
    return equal or bool(mine.owned)
