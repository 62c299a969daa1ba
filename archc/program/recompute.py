"""The steps of regions that run again in backward: each region becomes one step, a call through `checkpoint`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile

from archc.graph import Node, Scope, Value
from archc.ops.syntax import Attribute, Call, Index, Input, Items, Keyword, Literal, Name, Tree, call
from archc.program.parts import Parts
from archc.program.steps import Step


def gather_regions(parts: Parts, level: Scope, steps: list[Step]) -> list[Step]:
    """The steps of a part, those of each region as one."""
    spans = parts.regions.of.get(level, [])
    if not spans:
        return steps
    taken = {child.label for child in parts.attributes(level)}
    return _gather(parts, level, steps, steps, spans, taken)


def _gather(parts: Parts, level: Scope, steps: list[Step], all_steps: list[Step], spans: list[range], taken: set[str]) -> list[Step]:
    found: list[Step] = []
    at = 0
    while spans:
        span = spans[0]
        start, stop = (sum(parts.regions.place(step.of) < edge for step in steps) for edge in (span.start, span.stop))
        inner = [other for other in spans[1:] if other.stop <= span.stop]
        spans = spans[1 + len(inner) :]
        found += steps[at:start]
        at = stop
        body = steps[start:stop]
        if len(body) == 1 and _called(body[0]) is not None:
            found.append(_of_one(body[0]))
            continue
        step = _of_several(parts, level, body, all_steps, taken)
        step.body = _gather(parts, level, step.body, all_steps, inner, taken)
        found.append(step)
    return found + steps[at:]


def _called(step: Step) -> Tree | None:
    """The part or module that a step calls on its inputs and nothing else."""
    value = step.value
    if not isinstance(value, Call) or value.arguments[:1] != (Input(0),) or not all(isinstance(one, Input) for one in value.arguments):
        return None
    return value.value if _is_path(value.value) else None


def _is_path(tree: Tree) -> bool:
    """Whether an expression is what reaches a part of the network: `self.head["1"]`."""
    if isinstance(tree, Name) or not isinstance(tree, Attribute | Index | Call):
        return tree == Name("self")
    if isinstance(tree, Call):
        return isinstance(tree.value, Attribute) and isinstance(tree.arguments[0], Literal) and _is_path(tree.value)
    return _is_path(tree.value)


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
    called = _called(step)
    return [called] if called is not None and any(node.kind == "batchnorm" for node in step.of.walk()) else []


def _noise(body: list[Step]) -> list[Tree]:
    nodes = [node for step in body for node in ([step.of] if isinstance(step.of, Node) else step.of.walk())]
    return [Keyword("noise", Literal("True"))] if any(map(draws, nodes)) else []


def draws(node: Node) -> bool:
    """Whether a layer draws random numbers in training; of operators that are not archc's own, nothing is known."""
    return node.facts.identity_in_eval or bool(node.args.get("dropout")) or not node.op.module.startswith("archc.ops.")
