"""The classes of a program: parts of equal structure share one, and what differs between them becomes its parameters."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from archc.errors import ArgumentError
from archc.graph import Graph, Node, Scope, Value
from archc.ops import syntax
from archc.ops.facts import Module
from archc.ops.opaque import describe
from archc.ops.syntax import Index, Literal, Name, Tree, flat
from archc.program.constructs import ABSENT, ChainConstruct, Construct, Leaf, Slot, TensorConstruct, Use, of_node
from archc.program.parameters import Parameter, parameters_of, python_name
from archc.program.parts import ATTRIBUTE, CHAIN, CLASS, HOLDER, Parts, camel
from archc.program.steps import Step, gather_regions, steps_of, structure
from archc.program.variants import Form, may_vary, merge_forms, missing

SELF = Name("self")
_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)


@dataclass(slots=True)
class Attribute:
    """`self.path.label = construct`. Without a construct, it is a holder of modules, made by `holder`."""

    path: Tree
    label: str
    style: str
    construct: Construct | None
    holder: str = ""


@dataclass(slots=True, eq=False)
class Class:
    """A class of the program, with all parts that are instances of it.

    The first part has everything that others have; `lacking` are the steps that a part does without. `flags` say for an
    attribute or step that not all have whether it is there: the name of a parameter.
    """

    key: int
    base: str
    parts: list[Scope] = field(default_factory=list)
    name: str = ""
    attributes: list[Attribute] = field(default_factory=list)
    slots: list[list[Slot]] = field(default_factory=list)  # of each part
    values: list[Tree | None] = field(default_factory=list)  # of each slot: a constant, an expression, or nothing
    parameters: list[Parameter] = field(default_factory=list)
    steps: dict[Scope, list[Step]] = field(default_factory=dict)
    lacking: dict[Scope, frozenset[int]] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)  # from labels to parameters
    ties: list[tuple[Tree, Tree]] = field(default_factory=list)  # tensors, each with that of another layer which it is

    @property
    def first(self) -> Scope:
        return self.parts[0]

    def aligned(self, part: Scope) -> list[Step | None]:
        """The steps of a part beside those of the first; None where it has none."""
        own = iter(self.steps[part])
        return [None if at in self.lacking[part] else next(own) for at in range(len(self.steps[self.first]))]


class Program:
    """The classes of a network, each after those that it uses; the last is the network."""

    def __init__(self, graph: Graph, recomputed: Sequence[range] = ()) -> None:
        """`recomputed` are the places of layers that run again in backward, those around others first.

        Raises ValueError where an operator says no PyTorch form."""
        for node in graph.nodes:
            if node.kind == "opaque":
                raise ArgumentError(f"{node.name} is opaque, so {graph.name} cannot be built: {describe(node.args)}")
            if node.facts.torch is None:
                raise ArgumentError(f"the operator {node.kind} says no PyTorch form, so {node.name} cannot be built")
        self.graph = graph
        self.parts = Parts(graph, recomputed)
        self.steps: dict[Scope, list[Step]] = {}
        self._places: dict[Scope, int] = {}  # of the parts of a class among them
        self._made: dict[Node, Leaf | TensorConstruct] = {}
        self._keys: dict[Hashable, int] = {}
        self._stands: dict[int, int] = {}  # from the structure of a form to that of the whole
        self._of: dict[Scope, Class] = {}
        self.classes: list[Class] = []
        while self._collect():
            pass
        found: dict[Class, None] = {}
        self._order(graph.root, found)
        self.classes = list(found)
        for definition in self.classes:
            self._fill(definition)
        _name(self.classes, graph)

    def _collect(self) -> bool:
        """Finds the classes; whether forms of one were found, so that what uses them has to be looked at again."""
        self._of, self.classes = {}, []
        by_key: dict[int, Class] = {}
        self._gather(self.graph.root, by_key)
        blocks: dict[str, list[Class]] = {}
        for definition in self.classes:
            if may_vary(self.parts, definition.first):
                blocks.setdefault(definition.first.block, []).append(definition)
        found: dict[int, int] = {}
        for kin in blocks.values():
            found |= merge_forms([self._form(definition.first) for definition in kin], [definition.key for definition in kin])
        self._stands |= found
        return bool(found)

    def _order(self, scope: Scope, found: dict[Class, None]) -> None:
        """Puts the classes that a part uses before its own."""
        own = self._of.get(scope)
        if own in found:
            return
        for child in self.parts.attributes(own.first if own is not None else scope):
            if isinstance(child, Scope):
                self._order(child, found)
        if own is not None:
            found[own] = None

    def _form(self, scope: Scope) -> Form:
        labels = {child.label: self._child_key(child) for child in self.parts.attributes(scope)}
        dataflow = self.parts.dataflow
        return Form(scope, labels, self.steps[scope], dataflow.inputs(scope), dataflow.outputs(scope))

    def of(self, scope: Scope) -> Class:
        return self._of[scope]

    def _gather(self, scope: Scope, by_key: dict[int, Class]) -> None:
        """Finds the classes of a part and of what is in it, innermost first."""
        for child in self.parts.attributes(scope):
            if isinstance(child, Scope):
                self._gather(child, by_key)
        if self.parts.kind(scope) != CLASS:
            return
        own = self._key(scope)
        key = self._stands.get(own, own)
        while key in self._stands:
            key = self._stands[key]
        known = by_key.get(key)
        if known is None:
            known = by_key[key] = Class(key, self.parts.base(scope))
            self.classes.append(known)
        known.parts.insert(0 if key == own and known.parts and known.lacking[known.first] else len(known.parts), scope)
        known.lacking[scope] = frozenset() if key == own else frozenset((-1,))
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
        items = tuple((child.label, self._child_key(child)) for child in self.parts.attributes(scope))
        if kind != CLASS:
            return self._interned((kind, items))
        steps = self.steps[scope] = gather_regions(self.parts, scope, steps_of(self.parts, scope))
        numbers: dict[Value, int] = {}
        for value in self.parts.dataflow.inputs(scope):
            numbers[value] = len(numbers)
        does = structure(steps, numbers)
        outputs = tuple(numbers[value] for value in self.parts.dataflow.outputs(scope))
        root = scope.parent is None
        ties = tuple((flat(mine), flat(theirs)) for mine, theirs in self.parts.ties(scope))
        return self._interned((kind, root, scope.block, items, does, len(self.parts.dataflow.inputs(scope)), outputs, ties))

    def _child_key(self, child: Node | Scope) -> int:
        if isinstance(child, Scope):
            return self._key(child)
        return self._interned(self._of_node(child).key)

    def _of_node(self, node: Node) -> Leaf | TensorConstruct:
        """How a layer that is an attribute is made; found once."""
        made = self._made.get(node)
        if made is None:
            made = of_node(node)
            assert made is not None
            self._made[node] = made
        return made

    def _fill(self, definition: Class) -> None:
        """The attributes of a class, from its first part, and its parameters, from all."""
        definition.attributes = self._attributes(definition.first)
        definition.ties = self.parts.ties(definition.first)
        self._places |= {part: at for at, part in enumerate(definition.parts)}
        self._find_flags(definition)
        definition.slots = [self._row(definition, part) for part in definition.parts]
        definition.parameters, definition.values = parameters_of(definition.parts, definition.slots, set(definition.flags.values()))
        for label, flag in definition.flags.items():
            if all(flag != parameter.name for parameter in definition.parameters):
                definition.parameters.append(Parameter(flag, tuple(self._has(definition, part, label) for part in definition.parts), False))

    def _find_flags(self, definition: Class) -> None:
        """What some parts lack, each with a parameter; what is lacked together has one."""
        full = self._form(definition.first)
        for part in definition.parts:
            found = missing(full, self._form(part)) if definition.lacking[part] else frozenset[int]()
            assert found is not None
            definition.lacking[part] = found
        patterns: dict[tuple[bool, ...], str] = {}
        for at, step in enumerate(full.steps):
            pattern = tuple(at in definition.lacking[part] for part in definition.parts)
            if any(pattern):
                definition.flags[step.label] = patterns.setdefault(pattern, _flag(step.label, set(patterns.values())))

    def _has(self, definition: Class, part: Scope, label: str) -> bool:
        at = [step.label for step in definition.steps[definition.first]].index(label)
        return at not in definition.lacking[part]

    def _row(self, definition: Class, part: Scope) -> list[Slot]:
        """The constants of a part, in the order of the first's; those of what it lacks are absent."""
        made_of = definition.attributes if part is definition.first else self._attributes(part)
        mine = {(made.path, made.label): made.construct for made in made_of}
        row: list[Slot] = []
        for made in definition.attributes:
            theirs = mine.get((made.path, made.label))
            if theirs is not None:
                row += theirs.slots
            elif made.construct is not None:
                row += [Slot(ABSENT, slot.label) for slot in made.construct.slots]
        return row

    def _attributes(self, scope: Scope, path: Tree = SELF) -> list[Attribute]:
        found: list[Attribute] = []
        style = self.parts.style(scope)
        for child in self.parts.attributes(scope):
            if isinstance(child, Scope) and self.parts.kind(child) == HOLDER:
                inner = syntax.Attribute(path, child.label) if style == ATTRIBUTE else Index(path, (Literal(f'"{child.label}"'),))
                found.append(Attribute(path, child.label, style, None, self.parts.base(child)))
                found += self._attributes(child, inner)
            else:
                found.append(Attribute(path, child.label, style, self._construct(child)))
        return found

    def _construct(self, child: Node | Scope) -> Construct:
        if isinstance(child, Node):
            return self._of_node(child)
        if self.parts.kind(child) == CHAIN:
            items = [(inner.label, self._construct(inner)) for inner in self.parts.attributes(child)]
            return ChainConstruct(items, self.parts.is_numbered(child), None)
        known = self._of[child]
        index = self._places[child]
        slots = [Slot(made.values[index], child.label, ((made.name, made.values[index]),), made.default) for made in known.parameters]
        return Use(known, known.key, slots)


def _name(classes: list[Class], graph: Graph) -> None:
    """Names for the classes: those of their blocks; of several forms of a block, the one that is used most has it."""
    taken = {"nn", "F", "torch", "OrderedDict", "None", "True", "False", "Rerun", "Checkpointed", "sinusoids", "center_crop"} | {
        name for node in graph.nodes for name in _brought(node)
    }
    taken |= {parameter.name for definition in classes for parameter in definition.parameters}
    root = classes[-1]
    root.name = _free(camel(graph.name), taken, "Network")
    for definition in sorted(classes[:-1], key=lambda definition: -len(definition.parts)):
        scope = definition.first
        word = camel(scope.block) if scope.block else _spoken(scope)
        kin = [other for other in classes if other.name and scope.block and other.first.block == scope.block]
        definition.name = _free(word + (_extra(definition, kin[0]) if kin else ""), taken, "Part")


def _flag(label: str, taken: set[str]) -> str:
    """A name for the parameter that says whether a layer is there."""
    name = python_name(label)
    while name in taken:
        name += "_"
    return name


def _brought(node: Node) -> list[str]:
    """The names of the classes that a layer brings with it."""
    return _CLASS.findall(node.facts.torch.source) if isinstance(node.facts.torch, Module) else []


def _extra(definition: Class, kin: Class) -> str:
    """What a form of a block has that the main one has not."""
    more = [a.label for a in definition.attributes if a.label not in {b.label for b in kin.attributes}]
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
