"""The steps of regions that run again in backward: each region becomes one step, a call through `checkpoint`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile

from archc.graph import Node, Scope, Value
from archc.program.parts import Parts
from archc.program.steps import Step

_CALLED = re.compile(r'(self(?:\.\w+(?:\("[^"]*"\))?|\["[^"]*"\]|\[\d+\])+)\(\{0\}(?:, \{\d+\})*\)\Z')


def gathered(parts: Parts, level: Scope, steps: list[Step]) -> list[Step]:
    """The steps of a part, those of each region as one."""
    spans = parts.regions.of.get(level, [])
    if not spans:
        return steps
    taken = {child.label for child in parts.bearing(level)}
    return _gathered(parts, level, steps, steps, spans, taken)


def _gathered(parts: Parts, level: Scope, steps: list[Step], all_steps: list[Step], spans: list[range], taken: set[str]) -> list[Step]:
    found: list[Step] = []
    at = 0
    while spans:
        span = spans[0]
        start, stop = (sum(parts.regions.place(step.of) < edge for step in steps) for edge in (span.start, span.stop))
        inner = [one for one in spans[1:] if one.stop <= span.stop]
        spans = spans[1 + len(inner) :]
        found += steps[at:start]
        at = stop
        body = steps[start:stop]
        if len(body) == 1 and (called := _CALLED.match(body[0].text)) is not None:
            found.append(_of_one(body[0], called[1]))
            continue
        step = _of_several(parts, level, body, all_steps, taken)
        step.body = _gathered(parts, level, step.body, all_steps, inner, taken)
        found.append(step)
    return found + steps[at:]


def _of_one(step: Step, path: str) -> Step:
    """`checkpoint(self.layer1, x)`."""
    rest = step.text[len(path) + 1 : -1]
    step.text = f"checkpoint({path}, {rest}{_noise([step])})"
    step.again = True
    return step


def _of_several(parts: Parts, level: Scope, body: list[Step], steps: list[Step], taken: set[str]) -> Step:
    """`checkpoint(self.bn1_to_conv2, x, norms=[self.bn1])`: a call of a method that has the steps."""
    made = dict.fromkeys(value for step in body for value in step.outputs if value is not None)
    takes = list(dict.fromkeys(value for step in body for value in step.inputs if value not in made))
    inside = set(map(id, body))
    used = {value for step in steps if id(step) not in inside for value in step.inputs}
    used |= {*parts.wires.gives(level), *(parts.graph.heads.values() if level.parent is None else ())}
    gives: list[Value | None] = [value for value in made if value in used]
    training = all(step.training for step in body)
    for step in body:
        step.training = step.training and not training
    name = _method(level, body, taken)
    norms = [path for step in body for path in _norms(parts, level, step)]
    said = f", norms=[{', '.join(dict.fromkeys(norms))}]" if norms else ""
    arguments = ", ".join(f"{{{i}}}" for i in range(len(takes)))
    text = f"checkpoint(self.{name}, {arguments}{said}{_noise(body)})"
    return Step(text, takes, gives, body[-1].label, training, body[-1].of, again=True, body=body, method=name)


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


def _norms(parts: Parts, level: Scope, step: Step) -> Iterable[str]:
    """The texts that reach the batch normalizations of a step, or the part that holds them."""
    if isinstance(step.of, Node):
        owner = parts.shares.lender.get(step.of, step.of)
        return [parts.access(level, owner.scope, owner)] if step.of.kind == "batchnorm" else []
    called = _CALLED.match(step.text)
    return [called[1]] if called is not None and any(node.kind == "batchnorm" for node in step.of.walk()) else []


def _noise(body: list[Step]) -> str:
    nodes = [node for step in body for node in ([step.of] if isinstance(step.of, Node) else step.of.walk())]
    return ", noise=True" if any(map(draws, nodes)) else ""


def draws(node: Node) -> bool:
    """Whether a layer draws random numbers in training; of operators that are not archc's own, nothing is known."""
    return node.facts.identity_in_eval or bool(node.args.get("dropout")) or not node.op.module.startswith("archc.ops.")
