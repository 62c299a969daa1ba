"""A graph from a trace: names, levels, facts. Every shape that was seen is held against the operator's own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from archc.graph import Graph, Node, Scope, Value
from archc.graph.captured import Captured, CaptureError
from archc.graph.dtypes import SAME, WHOLE
from archc.graph.graph import Tie
from archc.ops.facts import DTYPES, Facts
from archc.ops.registry import OPERATORS, Op
from archc.ops.shape import SPACE, input_shape
from archc.ops.tied import GIVING, TIED
from archc.signature import Fault, bind
from archc.tracing.compare import Seen
from archc.tracing.steps import Call, Ref, Unit, Unsaid
from archc.tracing.trace import Trace

MOST_LABEL = 100


@dataclass
class Level:
    """The labels of a level, and the levels in it that hold names alone."""

    taken: set[str] = field(default_factory=set)
    holders: dict[str, Scope] = field(default_factory=dict)


@dataclass
class Assembly:
    """A graph in the making.

    seen: the steps as they were seen at two batch sizes
    tensors: of the model, by name
    owners: the layer that owns a tensor; weights: names in the model for those of the graph that have another
    """

    trace: Trace
    graph: Graph
    seen: dict[Call, Seen]
    tensors: dict[str, torch.Tensor]
    values: dict[Ref, Value] = field(default_factory=dict)
    owners: dict[str, Node] = field(default_factory=dict)
    first_units: dict[str, Unit] = field(default_factory=dict)
    scopes: dict[Unit, Scope] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    levels: dict[Scope, Level] = field(default_factory=dict)

    def fill(self) -> None:
        for name, shape in self.trace.shapes.items():
            dtype = self.trace.dtypes[name]
            dtype = dtype if dtype in WHOLE else SAME
            value = self.graph.inputs[name] = Value(None, 0, input_shape(shape[1:] or (1,)), name, dtype)
            self.values[name, 0] = value
        self.level(self.trace.root, self.graph.root)
        self.graph.outputs = {_output_name(name): self.values[ref] for name, ref in self.trace.outputs.items()}
        self.graph.heads = {_output_name(name): self.values[ref] for name, ref in self.trace.heads.items()}
        self.graph.root.stop = len(self.graph.nodes)
        self.graph.root.inputs = tuple(self.graph.inputs.values())
        self.graph.root.outputs = tuple(self.graph.outputs.values())
        _set_borders(self.graph)

    def level(self, unit: Unit, scope: Scope) -> None:
        """The steps of a unit, in a level of names."""
        children = [one for child in unit.children for one in _opened(_simplest(child)) if not _is_empty(one)]
        items = [(_relative(child, unit), child) for child in map(_named_as_tensor, children)]
        self.items(items, scope)

    def items(self, items: list[tuple[list[str], Unit | Call]], scope: Scope) -> None:
        """Steps and units by the parts of their names. Those whose names begin alike stand in a level of their own.

        Where others run between them, that level holds names alone.
        """
        runs, level = _runs(items), self.levels.setdefault(scope, Level())
        reserved = {run[0][0][0] for run in runs if run[0][0]}
        for run in runs:
            parts, child = run[0]
            if len(parts) > 1 and len({parts[0] for parts, _ in run}) == 1 and (parts[0] in level.holders or parts[0] not in level.taken):
                inner = self.holder(level, scope, parts[0])
                self.items([(rest[1:], one) for rest, one in run], inner)
                inner.stop = len(self.graph.nodes)
                continue
            for parts, child in run:
                label = _free("_".join(parts) if parts else _plain_label(child), level.taken, reserved if not parts else set())
                level.taken.add(label)
                self.place(child, label, scope)

    def holder(self, level: Level, scope: Scope, part: str) -> Scope:
        """The level of names within a level, opened again where it was left."""
        found = level.holders.get(part)
        if found is not None:
            found.held = True
            return found
        level.taken.add(part)
        found = level.holders[part] = self.open(scope, label_of(part), "")
        return found

    def place(self, child: Unit | Call, label: str, scope: Scope) -> None:
        if isinstance(child, Call):
            self.add(child, label, scope)
            return
        inner = self.open(scope, label, child.cls)
        first = self.first_units.setdefault(child.path, child)
        if first is not child and first in self.scopes:
            inner.shared = self.scopes[first]
        self.scopes[child] = inner
        self.level(child, inner)
        inner.stop = len(self.graph.nodes)

    def open(self, parent: Scope, label: str, cls: str) -> Scope:
        scope = Scope(f"{parent.name}.{label}" if parent.name else label, parent, cls)
        scope.start = len(self.graph.nodes)
        parent.children.append(scope)
        return scope

    def add(self, call: Call, label: str, scope: Scope) -> None:
        name = f"{scope.name}.{label}" if scope.name else label
        inputs = tuple(self.values[ref] for ref in call.inputs)
        node = self.node(call, name, inputs, scope)
        node.train_only = call.train_only
        self.graph.nodes.append(node)
        scope.children.append(node)
        for index, value in enumerate(node.outputs):
            self.values[call, index] = value

    def node(self, call: Call, name: str, inputs: tuple[Value, ...], scope: Scope) -> Node:
        """A layer by its operator; opaque where the operator does not say what was seen."""
        if call.kind == "opaque":
            return self.opaque(call, name, inputs, scope)
        op = OPERATORS[call.kind]
        try:
            args, facts = self.facts(op, call, inputs)
            shared, ties = self.shared(call)
        except Unsaid as reason:
            call.args, call.why, call.kind = {"name": call.kind}, str(reason), "opaque"
            call.weights = {full: full for full in call.weights.values()}
            return self.opaque(call, name, inputs, scope)
        node = Node(name, op, args, inputs, facts, scope)
        node.shared = shared
        node.tie(ties)
        self.own(node, call)
        return node

    def facts(self, op: Op, call: Call, inputs: tuple[Value, ...]) -> tuple[dict[str, Any], Facts]:
        """An operator's arguments and facts. Raises Unsaid where they are not those of the step."""
        if op.name in ("linear", "layernorm") and inputs[0].shape.names[-1] == SPACE:
            call.args.setdefault("axis", "last")  # a spec says so where it is meant
        args, faults = bind(op.signature, call.args, {})
        if faults:
            raise Unsaid(faults[0].message)
        try:
            facts = op(*(value.shape for value in inputs), **args)
        except Fault as fault:
            raise Unsaid(fault.message) from None
        seen = self.seen.get(call)
        if seen is not None and [tuple(shape) for shape in facts.outputs] != seen.shapes[: len(call.shapes or seen.shapes)]:
            listed = ", ".join("x".join(map(str, shape or ())) for shape in seen.shapes)
            raise Unsaid(f"{op.name} would give {', '.join(map(str, facts.outputs))}, and {listed} was seen")
        self.check_dtypes(call, facts)
        self.check_weights(op, call, facts)
        return args, facts

    def check_dtypes(self, call: Call, facts: Facts) -> None:
        """Raises Unsaid where an operator's outputs are of another dtype than was seen."""
        for index, seen in enumerate(call.dtypes):
            stated = facts.dtypes[index] if facts.dtypes else "same"
            if seen != (self.trace.dtype if stated == "same" else getattr(torch, stated)):
                raise Unsaid("the dtype is another")

    def check_weights(self, op: Op, call: Call, facts: Facts) -> None:
        """Raises Unsaid where an operator's weights are not those that the step uses."""
        stated = {weight.name: tuple(weight.shape) for weight in facts.owned}
        used = {suffix: tuple(self.tensors[full].shape) for suffix, full in call.weights.items()}
        if {suffix: shape for suffix, shape in stated.items() if suffix in used} != used:
            raise Unsaid(f"its weights are {used}, and those of {op.name} {stated}")
        learned = {weight.name for weight in facts.owned if weight.role != "buffer"}
        fixed = sorted(suffix for suffix in learned & used.keys() if not isinstance(self.tensors[call.weights[suffix]], nn.Parameter))
        if fixed:
            raise Unsaid(f"its {' and '.join(fixed)} is a buffer, which is not learned")
        if missing := sorted(stated.keys() - used.keys() - {"num_batches_tracked"}):
            raise Unsaid(f"weights of {op.name} are missing: {', '.join(missing)}")

    def shared(self, call: Call) -> tuple[Node | None, dict[str, Tie]]:
        """The layer that has the same weights, or the ties of some. Raises Unsaid where others have them that cannot be tied."""
        owner = next((self.owners[full] for full in call.weights.values() if full in self.owners), None)
        if owner is None:
            return None, {}
        told = {key: bind(OPERATORS[call.kind].signature, call.args, {})[0].get(key) for key in ("steps", "computed")}
        alike = owner.kind == call.kind and all(owner.args.get(key) == value for key, value in told.items())
        same = alike and {self.owners.get(full) for full in call.weights.values()} == {owner}
        theirs = {
            suffix: self.weights.get(name, name)
            for suffix, name in ((w.name, f"{owner.name}.{w.name}".rstrip(".")) for w in owner.facts.owned)
        }
        if same and all(theirs.get(suffix) == full for suffix, full in call.weights.items()):
            return owner, {}
        ties = {suffix: self.tie(full) for suffix, full in call.weights.items() if full in self.owners}
        if call.kind not in TIED or None in ties.values():
            raise Unsaid(f"a weight of {owner.name} is also its own")
        return None, {suffix: tie for suffix, tie in ties.items() if tie is not None}

    def tie(self, full: str) -> Tie | None:
        """The layer that owns a tensor, with its name there; None for one that no other layer can take it from."""
        owner = self.owners[full]
        names = [weight.name for weight in owner.facts.owned]
        own = next((name for name in names if self.weights.get(ours := f"{owner.name}.{name}".rstrip("."), ours) == full), None)
        return Tie(owner, own) if own is not None and owner.kind in GIVING else None

    def own(self, node: Node, call: Call) -> None:
        for suffix, full in call.weights.items():
            self.owners.setdefault(full, node)
            ours = f"{node.name}.{suffix}" if suffix else node.name
            if node.shared is None and ours != full:
                self.weights[ours] = full

    def opaque(self, call: Call, name: str, inputs: tuple[Value, ...], scope: Scope) -> Node:
        seen = self.seen.get(call)
        if seen is None or call.shapes is None:
            raise CaptureError(f"{call.args.get('name')} at {call.place} comes out as parts that archc does not understand: {call.why}")
        fresh = [full for full in call.weights.values() if full not in self.owners]
        labels = _short_names(fresh)
        learned = [full for full in fresh if isinstance(self.tensors[full], nn.Parameter)]
        sizes = {full: list(self.tensors[full].shape) or [1] for full in fresh}
        args: dict[str, Any] = {
            "outputs": tuple(list(shape or whole or (1,)) for shape, whole in zip(seen.shapes, call.shapes, strict=True)),
            "name": call.args.get("name", ""),
            "weights": {labels[full]: sizes[full] for full in learned},
            "buffers": {labels[full]: sizes[full] for full in fresh if full not in learned},
            "macs": seen.macs(),
            "dtypes": _dtypes(call, self.trace.dtype),
            "view": call.view,
            "joined": int(call.joined > 1),
            "place": call.place,
            "why": call.why,
        }
        bound, faults = bind(OPERATORS["opaque"].signature, args, {})
        assert not faults, faults[0].message
        node = Node(name, OPERATORS["opaque"], bound, inputs, OPERATORS["opaque"](*(value.shape for value in inputs), **bound), scope)
        for full in fresh:
            self.owners[full] = node
            if f"{name}.{labels[full]}" != full:
                self.weights[f"{name}.{labels[full]}"] = full
        return node


def assemble(trace: Trace, seen: dict[Call, Seen], model: nn.Module, name: str, notes: list[str]) -> Graph:
    """The graph of a trace, with what is known of its origin."""
    graph = Graph(name, "", {})
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    made = Assembly(trace, graph, seen, tensors)
    made.fill()
    unused = {full: one.numel() for full, one in model.named_parameters() if full not in made.owners}
    graph.captured = Captured(
        source=type(model).__name__,
        dtype=str(trace.dtype).removeprefix("torch."),
        weights=made.weights,
        unused=unused,
        frozen={full: one.numel() for full, one in model.named_parameters() if not one.requires_grad},
        notes=tuple(notes),
    )
    return graph


def label_of(text: str) -> str:
    """A name as a spec and a module can have it."""
    return re.sub(r"[^\w-]", "_", text, flags=re.ASCII)[:MOST_LABEL].lstrip("-") or "layer"


def _output_name(text: str) -> str:
    return re.sub(r"\W", "_", text, flags=re.ASCII)[:MOST_LABEL] or "output"


def _plain_label(child: Unit | Call) -> str:
    return child.label if isinstance(child, Call) else child.path.rpartition(".")[2]


def _free(label: str, taken: set[str], reserved: set[str]) -> str:
    """A label that no other has on this level."""
    label = label_of(label)
    if label.isdigit() and label in taken | reserved:
        label = f"layer{label}"
    if label == "input":
        label = "input_"
    found, count = label, 1
    while found in taken or found in reserved:
        count += 1
        found = f"{label}_{count}"
    return found


def _relative(child: Unit | Call, unit: Unit) -> list[str]:
    """The parts of a name within a unit; none for what has no name of its own there."""
    path = child.path if isinstance(child, Unit) else child.own_path
    prefix = f"{unit.path}." if unit.path else ""
    return [label_of(part) for part in path[len(prefix) :].split(".")] if path and path.startswith(prefix) and path != unit.path else []


def _runs(items: list[tuple[list[str], Unit | Call]]) -> list[list[tuple[list[str], Unit | Call]]]:
    """Neighbours whose names begin with the same part. Steps without a name and weights join those around them."""
    runs: list[list[tuple[list[str], Unit | Call]]] = []
    for parts, child in items:
        last = runs[-1] if runs else None
        if last and parts and len(parts) > 1 and len(last[0][0]) > 1 and last[0][0][0] == parts[0]:
            last.append((parts, child))
        else:
            runs.append([(parts, child)])
    return runs


def _simplest(child: Unit | Call) -> Unit | Call:
    """A unit that did one thing is that thing, under the unit's name."""
    if isinstance(child, Unit) and len(child.children) == 1 and isinstance(child.children[0], Call):
        only = child.children[0]
        if not only.own_path:
            only.own_path = child.path
        return only if only.own_path == child.path else child
    return child


def _opened(child: Unit | Call) -> list[Unit | Call]:
    """A unit whose one layer with weights has them under the unit's own name is that layer, and the steps around it stand beside it.

    So is a normalization with an activation in it: `bn1.weight` is the weight of `bn1`.
    """
    calls = list(child.calls()) if isinstance(child, Unit) else []
    owners = [call for call in calls if call.weights]
    if isinstance(child, Call) or len(owners) != 1 or owners[0].kind == "opaque":
        return [child]
    owner, inner = owners[0], [one for one in map(_simplest, child.children) if not _is_empty(one)]
    if any(isinstance(one, Unit) for one in inner) or any(full != f"{child.path}.{suffix}" for suffix, full in owner.weights.items()):
        return [child]
    last = child.path.rpartition(".")[2]
    for call in calls:
        call.label = call.label if call is owner else f"{last}_{call.own_path.rpartition('.')[2] or call.label}"
        call.own_path = child.path if call is owner else ""
    return inner


def _named_as_tensor(child: Unit | Call) -> Unit | Call:
    """A step of no module that has a tensor of the model has its name: `qkv` where the weight is `qkv.weight`."""
    if isinstance(child, Call) and not child.own_path and child.kind != "opaque":
        names = {full.removesuffix(f".{suffix}") if suffix else full for suffix, full in child.weights.items()}
        fitting = all(not suffix or full.endswith(f".{suffix}") for suffix, full in child.weights.items())
        child.own_path = names.pop() if fitting and len(names) == 1 else ""
    return child


def _is_empty(child: Unit | Call) -> bool:
    return isinstance(child, Unit) and not any(True for _ in child.calls())


def _short_names(names: list[str]) -> dict[str, str]:
    """The ends of names by which they differ."""
    for depth in range(1, 20):
        short = {name: ".".join(name.split(".")[-depth:]) for name in names}
        if len(set(short.values())) == len(names):
            return short
    return {name: name for name in names}


def _dtypes(call: Call, own: torch.dtype) -> tuple[str, ...]:
    names = ["same" if one == own else str(one).removeprefix("torch.") for one in call.dtypes]
    return tuple(name if name in DTYPES else "float32" for name in names) if set(names) != {"same"} else ()


def _set_borders(graph: Graph) -> None:
    """What goes into and comes out of each level."""
    last = graph.last_uses()

    def visit(scope: Scope) -> None:
        for child in scope.children:
            if isinstance(child, Scope):
                visit(child)
        if scope is graph.root:
            return
        inner = graph.nodes[scope.start : scope.stop]
        own = set(inner)
        scope.inputs = tuple(dict.fromkeys(value for node in inner for value in node.inputs if value.node not in own))
        outside = [value for node in inner for value in node.outputs if last.get(value, -1) >= scope.stop]
        scope.outputs = tuple(outside) or inner[-1].outputs[:1]

    visit(graph.root)
