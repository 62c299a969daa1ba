"""The steps of a forward: expressions over values, in the order in which they run; those of a region that is recomputed are one."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from archc.graph import Node, Scope, Value
from archc.ops.facts import CALLED, Module
from archc.ops.syntax import Attribute, Call, Index, Input, Items, Keyword, Literal, Name, Tree, bound, call, flat, replace_leaves
from archc.ops.tied import OTHERS
from archc.program.parts import CALL, HOLDER, Parts

NOTHING = Literal("None")  # the value of a step of which the order alone is known


@dataclass(slots=True)
class Step:
    """One statement: an expression over `inputs`; an output that nobody uses is None. `label` is what it may be called.

    A step that runs again in backward may have steps of its own: `body`, in a method called `method`.
    """

    value: Tree
    inputs: list[Value]
    outputs: list[Value | None]
    label: str
    training: bool  # there in training alone, in a part that is there always
    of: Node | Scope
    test: Tree | None = None  # a condition: without it, the value is the first input
    recomputed: bool = False
    body: list[Step] = field(default_factory=list)
    method: str = ""


def structure(steps: list[Step], numbers: dict[Value, int]) -> tuple[Hashable, ...]:
    """Equal for steps that do the same. `numbers` stand for the values that are there, and get those that are made."""
    found: list[Hashable] = []
    for step in steps:
        inputs = tuple(numbers[value] for value in step.inputs)
        body = structure(step.body, dict(numbers)) if step.body else ()
        made = [value for value in step.outputs if value is not None]
        numbers.update((value, len(numbers) + i) for i, value in enumerate(made))
        outputs = tuple(-1 if value is None else numbers[value] for value in step.outputs)
        found.append((flat(step.value), inputs, outputs, step.training, body))
    return tuple(found)


def steps_of(parts: Parts, level: Scope) -> list[Step]:
    """The steps of the class of a part."""
    inside = level.parent is not None and parts.for_training(level)
    found = list(_steps(parts, level, level))
    for step in found:
        step.training = step.training and not inside
    return found


def _steps(parts: Parts, level: Scope, scope: Scope) -> Iterator[Step]:
    for child in _called(parts, scope):
        if isinstance(child, Node):
            yield _of_node(parts, level, child)
        elif parts.kind(child) == CALL:
            yield _of_copy(parts, level, child)
        else:
            assert child.parent is not None
            yield _call(
                parts, child, parts.access(level, child.parent, child), parts.dataflow.inputs(child), list(parts.dataflow.outputs(child))
            )


def _called(parts: Parts, scope: Scope) -> list[Node | Scope]:
    """The layers and parts that a forward calls, also those in what has no forward, in the order in which they run."""
    found: list[Node | Scope] = []
    apart = False
    for child in parts.dataflow.children(scope):
        if isinstance(child, Scope) and (parts.kind(child) == HOLDER or child in parts.regions.inlined):
            found += _called(parts, child)
            apart = apart or child.held
        else:
            found.append(child)
    return sorted(found, key=lambda child: _first(parts, child)) if apart else found


def _first(parts: Parts, child: Node | Scope) -> int:
    """Where a layer, or the first of a part, runs."""
    position = parts.dataflow.position
    return position[child] if isinstance(child, Node) else min(position[node] for node in child.walk() if node in position)


def _of_node(parts: Parts, level: Scope, node: Node) -> Step:
    form = node.facts.torch
    owner = parts.sharing.owner.get(node, node)
    value: Tree = NOTHING
    if form is not None:
        path = parts.access(level, owner.scope, owner)
        # most forms call a module on its input: these need no walk through a template
        called = isinstance(form, Module) and form.call == CALLED
        value = Call(path, (Input(0),)) if called else bound(form.tree, (), path)
    others = [parts.tensor(level, tie.node, tie.tensor) for tie in node.ties.values() if tie.transposed]
    if others:
        value = replace_leaves(value, lambda leaf: others[0] if leaf == Name(OTHERS) else leaf)
    outputs: list[Value | None] = [value if value in parts.dataflow.used else None for value in node.outputs]
    return Step(value, list(node.inputs), outputs, node.label, node.train_only, node)


def _of_copy(parts: Parts, level: Scope, copy: Scope) -> Step:
    """A part that is applied again: a call of the first, on what comes into this one."""
    original = parts.sharing.original[copy]
    assert original.parent is not None
    theirs = parts.sharing.mapping(copy)
    inputs = [theirs.get(value, value) for value in parts.dataflow.inputs(original)]
    mine = set(parts.dataflow.outputs(copy))
    outputs: list[Value | None] = []
    for value in parts.dataflow.outputs(original):
        here = theirs.get(value, value)
        outputs.append(here if here in mine else None)
    path = parts.access(level, original.parent, original)
    return _call(parts, copy, path, inputs, outputs)


def _call(parts: Parts, scope: Scope, path: Tree, inputs: list[Value], outputs: list[Value | None]) -> Step:
    return Step(call(path, *map(Input, range(len(inputs)))), inputs, outputs, scope.label, parts.for_training(scope), scope)


def gather_regions(parts: Parts, level: Scope, steps: list[Step]) -> list[Step]:
    """The steps of a part, those of each region as one."""
    spans = parts.regions.of.get(level, [])
    if not spans:
        return steps
    taken = {child.label for child in parts.attributes(level)}
    return _gather(parts, level, steps, steps, spans, taken)


def _gather(parts: Parts, level: Scope, steps: list[Step], all_steps: list[Step], spans: list[range], taken: set[str]) -> list[Step]:
    found: list[Step] = []
    at, places = 0, sorted(parts.regions.place(step.of) for step in steps) if spans else []
    while spans:
        span = spans[0]
        start, stop = (bisect_left(places, edge) for edge in (span.start, span.stop))
        inner = [other for other in spans[1:] if other.stop <= span.stop]
        spans = spans[1 + len(inner) :]
        found += steps[at:start]
        at = stop
        body = steps[start:stop]
        if len(body) == 1 and _called_part(body[0]) is not None:
            found.append(_of_one(body[0]))
            continue
        step = _of_several(parts, level, body, all_steps, taken)
        step.body = _gather(parts, level, step.body, all_steps, inner, taken)
        found.append(step)
    return found + steps[at:]


def _called_part(step: Step) -> Tree | None:
    """The part or module that a step calls on its inputs and nothing else."""
    value = step.value
    if (
        not isinstance(value, Call)
        or value.arguments[:1] != (Input(0),)
        or not all(isinstance(argument, Input) for argument in value.arguments)
    ):
        return None
    return value.value if _is_path(value.value) else None


def _is_path(tree: Tree) -> bool:
    """Whether an expression is what reaches a part of the network: `self.head["1"]`."""
    while isinstance(tree, Attribute | Index | Call):
        inner = () if isinstance(tree, Attribute) else tree.items if isinstance(tree, Index) else tree.arguments
        named = isinstance(tree, Attribute) or (len(inner) == 1 and isinstance(inner[0], Literal))
        if not named or (isinstance(tree, Call) and not isinstance(tree.value, Attribute)):
            return False
        tree = tree.value
    return tree == Name("self")


def _of_one(step: Step) -> Step:
    """`checkpoint(self.layer1, x)`."""
    assert isinstance(step.value, Call)
    step.value = call("checkpoint", step.value.value, *step.value.arguments, *_noise([step]))
    step.recomputed = True
    return step


def _of_several(parts: Parts, level: Scope, body: list[Step], steps: list[Step], taken: set[str]) -> Step:
    """`checkpoint(self.bn1_to_conv2, x, norms=[self.bn1])`: a call of a method that has the steps."""
    made = dict.fromkeys(value for step in body for value in step.outputs if value is not None)
    inputs = list(dict.fromkeys(value for step in body for value in step.inputs if value not in made))
    inside = set(map(id, body))
    used = {value for step in steps if id(step) not in inside for value in step.inputs}
    used |= {*parts.dataflow.outputs(level), *(parts.graph.heads.values() if level.parent is None else ())}
    outputs: list[Value | None] = [value for value in made if value in used]
    training = all(step.training for step in body)
    for step in body:
        step.training = step.training and not training
    name = _method(level, body, taken)
    norms = [path for step in body for path in _norms(parts, level, step)]
    options = [*([Keyword("norms", Items("[", tuple(dict.fromkeys(norms))))] if norms else []), *_noise(body)]
    value = call("checkpoint", Attribute(Name("self"), name), *map(Input, range(len(inputs))), *options)
    return Step(value, inputs, outputs, body[-1].label, training, body[-1].of, recomputed=True, body=body, method=name)


def _method(level: Scope, body: list[Step], taken: set[str]) -> str:
    """A name from the first and the last layer: `bn1_to_conv2`."""
    first, last = (step.of.name[len(level.name) + 1 :] if level.name else step.of.name for step in (body[0], body[-1]))
    pairs = zip(first.split(".")[:-1], last.split("."), strict=False)
    around = "".join(f"{a}." for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    names = [first, last.removeprefix(around)]
    word = re.sub(r"\W", "_", "_to_".join(names[: len(body)])).lstrip("_")
    word = word if word[:1].isalpha() and len(body) > 1 else f"layers_{word}"
    name, number = word, 2
    while name in taken:
        name, number = f"{word}_{number}", number + 1
    taken.add(name)
    return name


def _norms(parts: Parts, level: Scope, step: Step) -> Iterable[Tree]:
    """The expressions that reach the batch normalizations of a step, or the part that holds them."""
    if isinstance(step.of, Node):
        owner = parts.sharing.owner.get(step.of, step.of)
        return [parts.access(level, owner.scope, owner)] if step.of.kind == "batchnorm" else []
    called = _called_part(step)
    return [called] if called is not None and any(node.kind == "batchnorm" for node in step.of.walk()) else []


def _noise(body: list[Step]) -> list[Tree]:
    nodes = [node for step in body for node in ([step.of] if isinstance(step.of, Node) else step.of.walk())]
    return [Keyword("noise", Literal("True"))] if any(map(draws, nodes)) else []


def draws(node: Node) -> bool:
    """Whether a layer draws random numbers in training; of operators that are not archc's own, nothing is known."""
    return node.facts.identity_in_eval or bool(node.args.get("dropout")) or not node.op.module.startswith("archc.ops.")
