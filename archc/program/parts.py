"""What each part of the network becomes: a class, a chain in its parent, a holder of modules, or a call of another part."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

from archc.graph import Graph, Node, Scope, Value
from archc.graph.structure import common_scope
from archc.ops.facts import Expression, Module
from archc.ops.syntax import Attribute, Call, Index, Input, Literal, Name, Own, Tree, call
from archc.program.constructs import has_own
from archc.program.scopes import Dataflow, Regions, Sharing

CLASS, CHAIN, HOLDER, CALL = "class", "chain", "holder", "call"
ATTRIBUTE, KEY, INDEX, GETTER = "attribute", "key", "index", "getter"
_OF_DICTS = frozenset(("clear", "items", "keys", "pop", "update", "values"))
_OF_CHAINS = frozenset(("append", "extend", "insert", "pop"))
_PLAIN_CALL = Call(Own(), (Input(0),))


class Parts:
    """The kind of each part, and how its children are reached."""

    def __init__(self, graph: Graph, recomputed: Sequence[range] = ()) -> None:
        self.graph = graph
        self.dataflow = Dataflow(graph)
        self.sharing = Sharing(self.dataflow)
        self._kinds: dict[Scope, str] = {}
        self._attributes: dict[Scope, list[Node | Scope]] = {}
        self._styles: dict[Scope, str] = {}
        self._ties: dict[Scope, list[tuple[Tree, Tree]]] | None = None
        self.regions = Regions(self.dataflow, lambda scope: self.kind(scope) == CLASS, recomputed)

    def kind(self, scope: Scope) -> str:
        found = self._kinds.get(scope)
        if found is None:
            found = self._kinds[scope] = self._kind(scope)
        return found

    def _kind(self, scope: Scope) -> str:
        if scope in self.sharing.original:
            return CALL
        if scope in self.sharing.inlined:
            return HOLDER
        return CHAIN if scope.parent is not None and not scope.block and self.is_chain(scope) else CLASS

    def is_chain(self, scope: Scope) -> bool:
        """Whether it is modules one after the other, each taking what the one before it gives and nothing else."""
        inputs, outputs = self.dataflow.inputs(scope), self.dataflow.outputs(scope)
        if len(inputs) != 1 or len(outputs) != 1:
            return False
        children = self.dataflow.children(scope)
        if any(child.label in _OF_CHAINS for child in children) or len({self.for_training(child) for child in children}) > 1:
            return False
        current = inputs[0]
        for child in children:
            made = self._in_chain(child, current)
            if made is None:
                return False
            current = made
        return current is outputs[0]

    def _in_chain(self, child: Node | Scope, current: Value) -> Value | None:
        """What a child of a chain gives; None where it cannot stand in one."""
        if isinstance(child, Node):
            form = child.facts.torch
            fits = isinstance(form, Module) and form.tree == _PLAIN_CALL and child not in self.sharing.owner
            fits = fits and child.inputs == (current,) and len(child.outputs) == 1
            return child.output if fits else None
        if self.kind(child) in (HOLDER, CALL) or self.dataflow.inputs(child) != [current]:
            return None
        outputs = self.dataflow.outputs(child)
        return outputs[0] if len(outputs) == 1 else None

    def for_training(self, child: Node | Scope) -> bool:
        """Whether it is there in training alone."""
        nodes = [child] if isinstance(child, Node) else [node for node in child.walk() if node in self.dataflow.position]
        return all(node.train_only for node in nodes)

    def ties(self, level: Scope) -> list[tuple[Tree, Tree]]:
        """The tensors that the class of a part makes those of other layers, each with that: `self.head.weight`, `self.embed.weight`."""
        if self._ties is None:
            self._ties = {}
            for node in self.graph.nodes:
                for name, tie in node.ties.items() if node.shared is None else ():
                    if not tie.transposed:
                        around = next(scope for scope in common_scope((node.scope, tie.node.scope)).around() if self.kind(scope) == CLASS)
                        pair = self.tensor(around, node, name), self.tensor(around, tie.node, tie.tensor)
                        self._ties.setdefault(around, []).append(pair)
        return self._ties.get(level, [])

    def tensor(self, level: Scope, node: Node, name: str) -> Tree:
        """The expression that reaches a tensor of a layer from the class of `level`."""
        path = self.access(level, node.scope, node)
        return Attribute(path, name) if name else path

    def is_numbered(self, scope: Scope) -> bool:
        """Whether its children are 0, 1, 2 …, so that it needs no names."""
        return [child.label for child in self.attributes(scope)] == [str(i) for i in range(len(self.attributes(scope)))]

    def attributes(self, scope: Scope) -> list[Node | Scope]:
        """The children that are an attribute: those that have a module, a tensor, or something below that has."""
        found = self._attributes.get(scope)
        if found is None:
            found = self._attributes[scope] = [child for child in self.dataflow.children(scope) if self._is_attribute(child)]
        return found

    def _is_attribute(self, child: Node | Scope) -> bool:
        if isinstance(child, Node):
            return child not in self.sharing.owner and has_own(child)
        kind = self.kind(child)
        return kind != CALL and (kind != HOLDER or bool(self.attributes(child)))

    def style(self, scope: Scope) -> str:
        """How its children are written: `self.conv`, `self["0"]`, `self.features[0]`, or by a method where no other way is open."""
        found = self._styles.get(scope)
        if found is None:
            found = self._styles[scope] = self._style(scope)
        return found

    def _style(self, scope: Scope) -> str:
        labels = [child.label for child in self.attributes(scope)]
        named = all(is_identifier(label) for label in labels)
        if self.kind(scope) == CHAIN or self.base(scope) == "nn.Sequential":
            return INDEX if self.is_numbered(scope) else ATTRIBUTE if named else GETTER
        if named and (self.kind(scope) == CLASS):
            return ATTRIBUTE
        return KEY if not _OF_DICTS.intersection(labels) else ATTRIBUTE if named else GETTER

    def base(self, scope: Scope) -> str:
        """The class that its own class extends."""
        if self.kind(scope) == CLASS and self.is_chain(scope) and self.is_numbered(scope):
            return "nn.Sequential"
        labels = [child.label for child in self.attributes(scope)]
        quoted = not all(map(is_identifier, labels)) or self.kind(scope) == HOLDER
        return "nn.ModuleDict" if quoted and not _OF_DICTS.intersection(labels) else "nn.Module"

    def access(self, level: Scope, scope: Scope, child: Node | Scope) -> Tree:
        """The expression that reaches a child of `scope` from the forward of the class of `level`: `self.head["1"]`."""
        around = []
        at: Scope | None = scope
        while at is not None and at is not level:
            around.append(at)
            at = at.parent
        path: Tree = Name("self")
        for inner in (*reversed(around), child):
            path = self._step(path, inner)
        return path

    def _step(self, path: Tree, child: Node | Scope) -> Tree:
        parent = child.scope if isinstance(child, Node) else child.parent
        assert parent is not None
        form = child.facts.torch if isinstance(child, Node) else None
        style, tensor = self.style(parent), isinstance(child, Node) and not isinstance(form, Module)
        if style == ATTRIBUTE:
            return Attribute(path, child.label)
        if style == INDEX and not tensor:
            return Index(path, (Literal(child.label),))
        label = Literal(f'"{child.label}"')
        if style == KEY and not tensor:
            return Index(path, (label,))
        kept = isinstance(form, Expression) and form.holds != "parameter"
        return call(Attribute(path, "get_buffer" if kept else "get_parameter" if tensor else "get_submodule"), label)


def is_identifier(label: str) -> bool:
    return label.isidentifier() and not keyword.iskeyword(label)


def camel(text: str) -> str:
    """`conv_bn_act` as ConvBnAct."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", text))
