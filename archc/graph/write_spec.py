"""A graph written out as a spec: no blocks, no expressions, each value with the place that decided it.

The text is itself a spec, and reads back as the same graph.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import count, zip_longest
from typing import Any

from archc.graph import Graph, Node, Scope, Value
from archc.graph.dtypes import SAME
from archc.graph.structure import ancestors
from archc.language.citation import PAPER
from archc.language.spec import Spec
from archc.recipe.recipe import written
from archc.text.diagnostics import Use, printable
from archc.text.source import Source, Span
from archc.text.writing import key_of, quote, text_of

_REFERENCE = re.compile(r"[\"']?\$\{?\s*([A-Za-z_]\w*)\s*\}?[\"']?\Z")
Line = tuple[int, str, str]  # indent, text, comment


def resolve_text(graph: Graph, spec: Spec, changes: dict[str, str]) -> str:
    """The spec as elaborated."""
    layers = [*_scope(_SpecWriter(graph, spec, changes), graph.root, 1)]
    lines = [*_head(graph, spec, changes), *([(0, "layers:", ""), *layers] if layers else [(0, "layers: [identity]", "")])]
    lines += _outputs(graph)
    room = max((2 * indent + len(text) for indent, text, comment in lines if comment), default=0)
    room = min(room, 60)
    return "\n".join(_drawn(line, room) for line in lines)


def flat_text(graph: Graph) -> str:
    """A network that no spec is known of, layer by layer."""
    return resolve_text(graph, Spec(source=Source("", ""), name=graph.name), {}) + "\n"


def _drawn(line: Line, room: int) -> str:
    indent, text, comment = line
    full = "  " * indent + text
    return f"{full.ljust(room)}  # {printable(comment)}" if comment else full


def declared(value: Value) -> Any:
    """An input as a spec declares it: its shape, and its dtype where that is not the network's own."""
    shape = list(map(int, value.shape))
    return shape if value.dtype == SAME else {"shape": shape, "dtype": value.dtype}


def _head(graph: Graph, spec: Spec, changes: dict[str, str]) -> Iterator[Line]:
    yield 0, "archc: 1", ""
    yield 0, f"name: {text_of(graph.name)}", ""
    if graph.doc:
        yield 0, f"doc: {text_of(graph.doc)}", ""
    if cited := {name: value for name in PAPER if (value := getattr(spec.paper, name))}:
        yield 0, "paper: {" + ", ".join(f"{name}: {text_of(value)}" for name, value in cited.items()) + "}", ""
    shapes = {name: text_of(declared(value)) for name, value in graph.inputs.items()}
    where = str(spec.input.span) if spec.input is not None and "input" not in changes else "--input" if changes else ""
    if list(shapes) == ["input"]:
        yield 0, f"input: {shapes['input']}", where
    else:
        yield 0, "input:", where
        for name, shape in shapes.items():
            yield 1, f"{name}: {shape}", ""
    shown = {name: value for name, value in graph.params.items() if name in spec.params and isinstance(value, int | float | str | list)}
    if shown:
        yield 0, "params:", ""
    for name, value in shown.items():
        yield 1, f"{name}: {text_of(value)}", f"--set {name}={changes[name]}" if name in changes else str(spec.params[name][1].span)
    yield from _init(graph, spec)
    if graph.rename:
        yield 0, "rename:", ""
    for rule in graph.rename:
        yield 1, f"- {quote(rule)}", ""
    if graph.budget:
        yield 0, "budget:", ""
    for limit in graph.budget:
        yield 1, f"{limit.figure}: {text_of(limit.text)}", str(limit.span)
    yield from _train(graph, spec)


def _init(graph: Graph, spec: Spec) -> Iterator[Line]:
    """The rules that decide something; the others would name nothing here."""
    rules = [rule for rule in graph.init if rule.targets]
    if rules:
        yield 0, "init:", ""
    for rule in rules:
        yield 1, f"{key_of(rule.key)}: {text_of(rule.how)}", str(spec.init[rule.key][1].span) if rule.key in spec.init else ""


def _train(graph: Graph, spec: Spec) -> Iterator[Line]:
    """What the spec says of training, each setting with all of its arguments."""
    if spec.train:
        yield 0, "train:", ""
    for name, value in written(graph.recipe).items() if spec.train else ():
        if name in spec.train:
            key, tree = spec.train[name]
            yield 1, f"{name}: {text_of(value)}", str(tree.span if tree.end > tree.start else key.span)


def _outputs(graph: Graph) -> Iterator[Line]:
    yield 0, "outputs:", ""
    for name, value in graph.outputs.items():
        yield 1, f"{key_of(name)}: {reference(value)}", ""


class LevelOrder:
    """What a level holds, with names. What stands in levels of names alone has a name with dots, in the place where it runs."""

    def __init__(self, graph: Graph) -> None:
        self.positions = graph.positions

    def of(self, scope: Scope) -> list[tuple[str, Scope | Node]]:
        return self.listed(scope.children)

    def listed(self, children: list[Scope | Node], prefix: str = "") -> list[tuple[str, Scope | Node]]:
        found: list[tuple[str, Scope | Node]] = []
        held = False
        for child in children:
            if isinstance(child, Scope) and child.held:
                found += self.listed(child.children, f"{prefix}{child.label}.")
                held = True
            elif isinstance(child, Node) or any(True for _ in child.walk()):
                found.append((prefix + child.label, child))
        return sorted(found, key=lambda pair: self._first(pair[1])) if held else found

    def _first(self, child: Scope | Node) -> int:
        """Where a layer, or the first of a part, runs."""
        return self.positions[child if isinstance(child, Node) else next(child.walk())]


class _SpecWriter:
    """What the writing of entries carries along: the value that the next entry takes without a `from`."""

    def __init__(self, graph: Graph, spec: Spec, changes: dict[str, str]) -> None:
        self.spec = spec
        self.changes = changes
        self.current: tuple[Value, ...] = tuple(graph.inputs.values())
        self.training = False  # inside an entry that is there in training alone
        self.heads = graph.heads
        self.live = ancestors(graph.returned)
        self.order = LevelOrder(graph)

    def aside(self, node: Node) -> bool:
        """Whether the chain goes on from before a layer, which has to be said: also within training, of a layer that leads nowhere."""
        return node.train_only and (not self.training or node not in self.live)


def _scope(writer: _SpecWriter, scope: Scope, indent: int) -> Iterator[Line]:
    return _children(writer, scope.children, indent)


def _children(writer: _SpecWriter, children: list[Scope | Node], indent: int) -> Iterator[Line]:
    branches: Scope | None = None  # those of a merge that are numbered under it: its name comes twice
    listed = writer.order.listed(children)
    for (label, child), after in zip_longest(listed, listed[1:]):
        if isinstance(child, Node):
            yield indent, f"{key_of(label)}:", ""
            yield from _body(writer, child, indent + 1, branches)
            branches = None
        elif after is not None and isinstance(after[1], Node) and after[0] == label:
            branches = child
        elif any(True for _ in child.walk()):
            yield indent, f"{key_of(label)}:", f"block {child.block}" if child.block else ""
            yield from _group(writer, child, indent + 1)


def _group(writer: _SpecWriter, scope: Scope, indent: int) -> Iterator[Line]:
    """A level of names. One that is a head, and nothing besides, is marked as a whole, so that the head keeps its name."""
    names = [scope.name] if len(scope.outputs) == 1 else [f"{scope.name}.{index}" for index in range(len(scope.outputs))]
    named = any(writer.heads.get(name) is value for name, value in zip(names, scope.outputs, strict=True))
    inside = set(scope.walk()) if named and not writer.training else set()
    head = bool(inside) and inside <= ancestors(scope.outputs, inside)
    if head:
        yield indent, "train_only: true", ""
    before, writer.training = writer.current, writer.training or head
    yield indent, "layers:", ""
    yield from _scope(writer, scope, indent + 1)
    if head:
        writer.current, writer.training = before, False


def _body(writer: _SpecWriter, node: Node, indent: int, branches: Scope | None = None) -> Iterator[Line]:
    """The modifiers and the kind of an entry."""
    aside = writer.aside(node)
    if aside:
        yield indent, "train_only: true", ""
    taken = node.inputs if branches is None else branches.inputs
    if taken != writer.current:
        names = [reference(value) for value in taken]
        yield indent, f"from: {names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'}", ""
    before = writer.current
    if node.ties and node.shared is None:
        yield indent, f"tie: {tie_text(node)}", ""
    if branches is None:
        yield from _kind(writer, node, indent)
    else:
        yield indent, f"{node.kind}:", _where(node)
        yield from _branches(writer, node, branches, indent + 1)
    writer.current = before if aside else node.outputs


def _branches(writer: _SpecWriter, node: Node, branches: Scope, indent: int) -> Iterator[Line]:
    """The listed branches of a merge, in the order of its inputs.

    Where a branch is more than one layer or chain of its own, all stand in one chain that ends with the values to be merged.
    """
    outer, writer.training = writer.training, writer.training or node.train_only
    own, items = branches.inputs, match_branches(node, branches, writer.aside)
    if items is None:
        yield indent, "- inline:", ""
        writer.current = own
        yield from _scope(writer, branches, indent + 2)
        names = ", ".join(reference(value) for value in node.inputs)
        yield indent + 2, "_:", ""
        yield indent + 3, f"from: [{names}]", ""
        yield indent + 3, "identity: {}", ""
    for children in items or ():
        writer.current = own
        if not children:
            yield indent, "- identity", ""
            continue
        merge = _merge(children)
        entry = _branch(writer, children[0], indent + 1) if merge is None else _body(writer, merge[1], indent + 1, merge[0])
        _, text, comment = (item := list(entry))[0]
        yield indent, f"- {text}", comment
        yield from item[1:]
    writer.training = outer


def match_branches(node: Node, branches: Scope, aside: Callable[[Node], bool]) -> list[list[Scope | Node]] | None:
    """What each input of a merge comes from, nothing for one that is the merge's own input; None where that is not all."""
    left, at, own = list(branches.children), 0, branches.inputs
    found: list[list[Scope | Node]] = []
    while at < len(node.inputs):
        size = 1 if _merge(left) is None else 2
        values = _value(left[size - 1], own, aside) if left else ()
        if values and node.inputs[at : at + len(values)] == values:
            found.append(left[:size])
            left = left[size:]
            at += len(values)
        elif node.inputs[at : at + len(own)] == own:
            found.append([])
            at += len(own)
        else:
            return None
    return None if left else found


def _merge(children: list[Scope | Node]) -> tuple[Scope, Node] | None:
    """A branch that is a merge itself, and stands first: the level of its own branches, and it."""
    if (
        len(children) > 1
        and isinstance(scope := children[0], Scope)
        and isinstance(node := children[1], Node)
        and scope.label == node.label
    ):
        return scope, node
    return None


def _value(child: Scope | Node, own: tuple[Value, ...], aside: Callable[[Node], bool]) -> tuple[Value, ...]:
    """What a branch gives: a layer for training alone passes on what it was given."""
    if isinstance(child, Scope):
        return child.outputs
    return own if aside(child) else child.outputs


def _branch(writer: _SpecWriter, child: Scope | Node, indent: int) -> Iterator[Line]:
    if isinstance(child, Node):
        yield from _body(writer, child, indent)
    elif any(True for _ in child.walk()):
        yield indent, "layers:", ""
        yield from _scope(writer, child, indent + 1)
        if writer.current != child.outputs:  # a branch that ends with a value from before its last layer
            names = [reference(value) for value in child.outputs]
            label = next(name for name in map("end{}".format, count()) if all(sibling.label != name for sibling in child.children))
            yield indent + 1, f"{label}: {{from: [{', '.join(names)}], identity: }}", ""
    else:
        yield indent, "[identity]", ""


def _kind(writer: _SpecWriter, node: Node, indent: int) -> Iterator[Line]:
    where = _where(node)
    if node.shared is not None:
        yield indent, f"share: {_path('.' + node.shared.name)}", where
        return
    params = node.op.signature.params
    given = {
        name: value for name, value in node.args.items() if value != params[name].default or type(value) is not type(params[name].default)
    }
    if not given:
        yield indent, f"{node.kind}: {{}}", where
        return
    yield indent, f"{node.kind}:", where
    for name, value in given.items():
        yield indent + 1, f"{name}: {text_of(value)}", _origin(writer, node, name)


def tie_text(node: Node) -> str:
    """The layers whose weights a layer has."""
    rows = [f"{name}: {_path('.' + tie.node.name)}" for name, tie in node.ties.items()]
    if len(rows) == 1 and "weight" in node.ties and not node.ties["weight"].transposed:
        return _path("." + node.ties["weight"].node.name)
    turned = any(tie.transposed for tie in node.ties.values())
    return "{" + ", ".join([*rows, *(["transposed: true"] if turned else [])]) + "}"


def _where(node: Node) -> str:
    if node.written is None:
        return ""
    return str(node.written.kind) + "".join(f", in {use.label} at {use.span}" for use in node.written.uses)


def _origin(writer: _SpecWriter, node: Node, name: str) -> str:
    """What decided an argument: `$stride` is followed to where the stride was written."""
    written = node.written
    if written is None or name not in written.arguments:
        return ""
    span, how = written.arguments[name]
    steps = [f"{how} {span}".strip()]
    uses: tuple[Use, ...] = written.uses if not how else ()
    while (parameter := _parameter_name(span)) is not None:
        found, uses = _argument(parameter, uses)
        if found is None:
            steps.append(_parameter(writer, parameter))
            break
        span = found
        steps.append(str(span))
    else:
        if "$" in span.text:
            steps[-1] += f" {span.text}"
    return " from ".join(step for step in steps if step)


def _parameter_name(span: Span) -> str | None:
    """The parameter that a written value is, if it is `$name` and nothing else."""
    match = _REFERENCE.match(span.text)
    return match[1] if match else None


def _argument(name: str, uses: tuple[Use, ...]) -> tuple[Span | None, tuple[Use, ...]]:
    """Where the innermost block's argument was written, and the uses outside that block."""
    if uses and name in uses[0].arguments:
        return uses[0].arguments[name], uses[1:]
    return None, uses


def _parameter(writer: _SpecWriter, name: str) -> str:
    if name in writer.changes:
        return f"--set {name}={writer.changes[name]}"
    return str(writer.spec.params[name][1].span) if name in writer.spec.params else f"the default of {name}"


def reference(value: Value) -> str:
    """A value's name, from the top."""
    if value.node is None:
        return value.name
    index = f".{value.index}" if len(value.node.outputs) > 1 else ""
    return _path(f".{value.node.name}{index}")


def _path(name: str) -> str:
    """`.0` would be a number."""
    return json.dumps(name) if name[1:2].isdigit() else name
