"""The scopes of a network: what flows into and out of each, which are calls of another, and which are written inline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from archc.graph import Graph, Node, Scope, Value
from archc.graph.structure import common_scope
from archc.ops.facts import Expression, Facts, Module


class Dataflow:
    """The inputs of a scope, values that it uses and does not make, and its outputs, those that it makes and others use; in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.position = graph.positions
        self.used = graph.last_uses().keys()
        self._around: dict[Scope, tuple[Scope, ...]] = {}
        self._used: dict[Scope, dict[Value, None]] = {}
        self._given: dict[Scope, dict[Value, None]] = {}
        self._populated: dict[Scope, bool] = {}
        for node in graph.nodes:
            for value in node.inputs:
                self._connect(value, node)
        for value in graph.returned:
            if value.node is not None:
                for scope in self.around(value.node.scope):
                    self._given.setdefault(scope, {})[value] = None
        for node in graph.nodes:
            for scope in self.around(node.scope):
                self._populated[scope] = True

    def around(self, scope: Scope) -> tuple[Scope, ...]:
        """A part and those around it, from the innermost, without the root."""
        found = self._around.get(scope)
        if found is None:
            found = () if scope.parent is None else (scope, *self.around(scope.parent))
            self._around[scope] = found
        return found

    def children(self, scope: Scope) -> list[Node | Scope]:
        """The layers and parts of a part, without those that are not in the graph or hold no layer."""
        return [
            child for child in scope.children if (child in self.position if isinstance(child, Node) else self._populated.get(child, False))
        ]

    def inputs(self, scope: Scope) -> list[Value]:
        if scope.parent is None:
            return list(self.graph.inputs.values())
        used = self._used.get(scope, {})
        first = [value for value in dict.fromkeys(scope.inputs) if value in used]
        return [*first, *(value for value in used if value not in first)]

    def outputs(self, scope: Scope) -> list[Value]:
        if scope.parent is None:
            return list(self.graph.outputs.values())
        given = self._given.get(scope, {})
        first = [value for value in dict.fromkeys(scope.outputs) if value in given]
        rest = [value for value in given if value not in first]
        return [*first, *sorted(rest, key=lambda value: (self.position[value.node], value.index) if value.node else (-1, 0))]

    def let_out(self, scope: Scope, value: Value) -> None:
        """Lets a value out of the parts around its layer, up to `scope`."""
        assert value.node is not None
        for around in self.around(value.node.scope):
            self._given.setdefault(around, {})[value] = None
            if around is scope:
                return

    def _connect(self, value: Value, node: Node) -> None:
        users = self.around(node.scope)
        makers = self.around(value.node.scope) if value.node is not None else ()
        for scope in users:
            if scope in makers:
                break
            self._used.setdefault(scope, {})[value] = None
        for scope in makers:
            if scope in users:
                break
            self._given.setdefault(scope, {})[value] = None


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
            elif node not in inside:
                for tie in node.ties.values():
                    if tie.transposed:  # read where the layer is called
                        self._inline(node.scope, tie.node.scope)
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
                to_ours = {theirs: mine for mine, theirs in self.mapping(child).items()}
                for value in self.dataflow.outputs(child):
                    self.dataflow.let_out(child.shared, to_ours[value])
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
                if child.label in merges or child.held:
                    self.inlined.add(child)
                self._holders(child)


def _same_module(mine: Facts, theirs: Facts) -> bool:
    """Whether one module serves both. Without weights, a module of its own does where their forms differ."""
    a, b = mine.torch, theirs.torch
    if isinstance(a, Expression) or isinstance(b, Expression):
        return isinstance(a, Expression) and bool(a.start)
    equal = isinstance(a, Module) and isinstance(b, Module) and a._replace(call="") == b._replace(call="")
    return equal or bool(mine.owned)


class Regions:
    """`inlined`: parts whose layers are called from the part around them, since a region begins or ends in their middle, or since
    they have no forward that could be written. They are made as ever. `of`: the regions of a part's forward, the outer first."""

    def __init__(self, dataflow: Dataflow, has_forward: Callable[[Scope], bool], spans: Sequence[range]) -> None:
        self.dataflow = dataflow
        self.spans: dict[Scope, range] = {}
        self.inlined: set[Scope] = set()
        self.of: dict[Scope, list[range]] = {}
        if not spans:
            return
        for node in dataflow.graph.nodes:
            for scope in dataflow.around(node.scope):
                self._measure(scope)
        self.inlined.update(scope for span in spans for scope in self._cut(span))
        levels = [self._level(span, has_forward) for span in spans]
        for level, span in zip(levels, spans, strict=True):
            self.of.setdefault(level, []).append(span)
        self._join_siblings()

    def _join_siblings(self) -> None:
        """An inlined block whose own forward nobody calls gets that of another use of its block, so that both are one class."""
        models: dict[str, list[Scope]] = {}
        for level in self.of:
            if level.block and level not in self.inlined:
                models.setdefault(level.block, []).append(level)
        for scope in list(self.inlined):
            for model in models.get(scope.block, []) if scope.block else []:
                if self._alike(scope, model):
                    break

    def _alike(self, scope: Scope, model: Scope) -> bool:
        """Gives a part the regions of another, by the names within; whether it could."""
        nodes = self.dataflow.graph.nodes
        own = {node.name[len(scope.name) :]: self.dataflow.position[node] for node in scope.walk() if node in self.dataflow.position}
        ends = [[own.get(nodes[at].name[len(model.name) :]) for at in (span.start, span.stop - 1)] for span in self.of[model]]
        below = {inner.name[len(scope.name) :]: inner for inner in self._below(scope)}
        parts = [below.get(inner.name[len(model.name) :]) for inner in self._below(model) if inner in self.inlined]
        inlined = {part for part in parts if part is not None}
        found = [range(first, last + 1) for first, last in ends if first is not None and last is not None]
        if len(found) < len(ends) or len(inlined) < len(parts) or inlined & self.of.keys():
            return False
        self.inlined |= inlined
        self.of[scope] = found
        return True

    def _below(self, scope: Scope) -> Iterator[Scope]:
        for child in scope.children:
            if isinstance(child, Scope) and child in self.spans:
                yield child
                yield from self._below(child)

    def _measure(self, scope: Scope) -> None:
        if scope not in self.spans:
            places = [self.dataflow.position[node] for node in scope.walk() if node in self.dataflow.position]
            self.spans[scope] = range(min(places), max(places) + 1)

    def _cut(self, span: range) -> Iterator[Scope]:
        nodes = self.dataflow.graph.nodes
        for node in (nodes[span.start], nodes[span.stop - 1]):
            for scope in self.dataflow.around(node.scope):
                own = self.spans[scope]
                if own.start < span.start < own.stop < span.stop or span.start < own.start < span.stop < own.stop:
                    yield scope

    def _level(self, span: range, has_forward: Callable[[Scope], bool]) -> Scope:
        """The part whose forward calls the region; chains up to it are inlined."""
        nodes = self.dataflow.graph.nodes
        scope = common_scope((nodes[span.start].scope, nodes[span.stop - 1].scope))
        while scope.parent is not None and self.spans[scope] == span:
            scope = scope.parent
        while scope.parent is not None and (scope in self.inlined or not has_forward(scope)):
            self.inlined.add(scope)
            scope = scope.parent
        return scope

    def place(self, of: Node | Scope) -> int:
        """Where a layer, or the first of a part, stands."""
        return self.dataflow.position[of] if isinstance(of, Node) else self.spans[of].start
