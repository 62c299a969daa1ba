"""The classes of a program: parts of equal structure share one, and what differs between them becomes its parameters."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from archc.graph import Graph, Node, Scope, Value
from archc.plan.constructs import Chain, Construct, Slot, Use, of_node
from archc.plan.parameters import Parameter, parameters_of
from archc.plan.parts import ATTRIBUTE, CHAIN, CLASS, HOLDER, Parts, camel
from archc.plan.steps import Step, steps_of


@dataclass(slots=True)
class Attribute:
    """`self.path.label = construct`. Without a construct, it is a holder of modules, made by `holder`."""

    path: str
    label: str
    style: str
    construct: Construct | None
    holder: str = ""


@dataclass(slots=True, eq=False)
class Class:
    """A class of the program, with all parts that are instances of it; the first stands for them where they are equal."""

    key: Hashable
    base: str
    parts: list[Scope] = field(default_factory=list)
    name: str = ""
    attributes: list[Attribute] = field(default_factory=list)
    slots: list[list[Slot]] = field(default_factory=list)  # of each part
    texts: list[str | None] = field(default_factory=list)  # of each slot: a constant, an expression, or nothing
    parameters: list[Parameter] = field(default_factory=list)
    steps: dict[Scope, list[Step]] = field(default_factory=dict)

    @property
    def first(self) -> Scope:
        return self.parts[0]


class Program:
    """The classes of a network, each after those that it uses; the last is the network."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.parts = Parts(graph)
        self.steps: dict[Scope, list[Step]] = {}
        self._keys: dict[Hashable, int] = {}
        self._of: dict[Scope, Class] = {}
        self._by_key: dict[Hashable, Class] = {}
        self.classes: list[Class] = []
        self._gather(graph.root)
        for one in self.classes:
            self._fill(one)
        _name(self.classes, graph)

    def of(self, scope: Scope) -> Class:
        return self._of[scope]

    def _gather(self, scope: Scope) -> None:
        """Finds the classes of a part and of what is in it, innermost first."""
        for child in self.parts.bearing(scope):
            if isinstance(child, Scope):
                self._gather(child)
        if self.parts.kind(scope) != CLASS:
            return
        key = self._key(scope)
        known = self._by_key.get(key)
        if known is None:
            known = self._by_key[key] = Class(key, self.parts.base(scope))
            self.classes.append(known)
        known.parts.append(scope)
        self._of[scope] = known
        known.steps[scope] = self.steps[scope]

    def _interned(self, key: Hashable) -> int:
        """A number that stands for a structure: keys of nested parts stay small."""
        return self._keys.setdefault(key, len(self._keys))

    def _key(self, scope: Scope) -> int:
        """Equal for parts of equal structure: the same attributes, made alike up to constants, and the same steps."""
        if scope in self._of:
            return self._interned(("use", self._of[scope].key))
        kind = self.parts.kind(scope)
        items = tuple((child.label, self._child_key(child)) for child in self.parts.bearing(scope))
        if kind != CLASS:
            return self._interned((kind, items))
        steps = self.steps[scope] = steps_of(self.parts, scope)
        numbers: dict[Value, int] = {}
        for value in self.parts.wires.takes(scope):
            numbers[value] = len(numbers)
        told: list[Hashable] = []
        for step in steps:
            inputs = tuple(numbers[value] for value in step.inputs)
            made = [value for value in step.outputs if value is not None]
            numbers.update((value, len(numbers) + i) for i, value in enumerate(made))
            outputs = tuple(-1 if value is None else numbers[value] for value in step.outputs)
            told.append((step.text, inputs, outputs, step.training))
        gives = tuple(numbers[value] for value in self.parts.wires.gives(scope))
        root = scope.parent is None
        return self._interned((kind, root, scope.block, items, tuple(told), len(self.parts.wires.takes(scope)), gives))

    def _child_key(self, child: Node | Scope) -> Hashable:
        if isinstance(child, Scope):
            return self._key(child)
        construct = of_node(child)
        assert construct is not None
        return self._interned(construct.key)

    def _fill(self, one: Class) -> None:
        """The attributes of a class, from its first part, and its parameters, from all."""
        one.slots = []
        for index, scope in enumerate(one.parts):
            attributes = self._attributes(scope)
            one.slots.append([slot for made in attributes if made.construct for slot in made.construct.slots])
            if index == 0:
                one.attributes = attributes
        one.parameters, one.texts = parameters_of(one.parts, one.slots)

    def _attributes(self, scope: Scope, path: str = "self") -> list[Attribute]:
        found: list[Attribute] = []
        style = self.parts.style(scope)
        for child in self.parts.bearing(scope):
            if isinstance(child, Scope) and self.parts.kind(child) == HOLDER:
                inner = path + (f".{child.label}" if style == ATTRIBUTE else f'["{child.label}"]')
                found.append(Attribute(path, child.label, style, None, self.parts.base(child)))
                found += self._attributes(child, inner)
            else:
                found.append(Attribute(path, child.label, style, self._construct(child)))
        return found

    def _construct(self, child: Node | Scope) -> Construct:
        if isinstance(child, Node):
            made = of_node(child)
            assert made is not None
            return made
        if self.parts.kind(child) == CHAIN:
            items = [(inner.label, self._construct(inner)) for inner in self.parts.bearing(child)]
            return Chain(items, self.parts.is_numbered(child), None)
        known = self._of[child]
        index = known.parts.index(child)
        slots = [Slot(one.values[index], child.label, ((one.name, one.values[index]),), one.default) for one in known.parameters]
        return Use(known, known.key, slots)


def _name(classes: list[Class], graph: Graph) -> None:
    """Names for the classes: those of their blocks; of several forms of a block, the one that is used most has it."""
    taken = {"nn", "F", "torch", "OrderedDict"}
    root = classes[-1]
    root.name = _free(camel(graph.name), taken, "Network")
    for one in sorted(classes[:-1], key=lambda one: -len(one.parts)):
        scope = one.first
        word = camel(scope.block) if scope.block else _spoken(scope)
        kin = [other for other in classes if other.name and scope.block and other.first.block == scope.block]
        one.name = _free(word + (_extra(one, kin[0]) if kin else ""), taken, "Part")


def _extra(one: Class, kin: Class) -> str:
    """What a form of a block has that the main one has not."""
    more = [a.label for a in one.attributes if a.label not in {b.label for b in kin.attributes}]
    return camel(more[0]) if len(more) == 1 and not more[0][0].isdigit() else ""


def _spoken(scope: Scope) -> str:
    """A name from the names around a part: `features.5` as Features5."""
    words = scope.name.split(".")
    at = max((i for i, word in enumerate(words) if not word[0].isdigit()), default=0)
    return camel("_".join(words[at:]))


def _free(wanted: str, taken: set[str], otherwise: str) -> str:
    name = wanted if wanted[:1].isalpha() else otherwise + wanted
    number = 2
    while name in taken:
        number += 1 if name.endswith(str(number)) else 0
        name = f"{wanted if wanted[:1].isalpha() else otherwise + wanted}{number}"
    taken.add(name)
    return name
