"""Forms of one block that differ in layers that are there or not: a residual block with and without a projection.

They become one class. A layer that a part lacks is a step whose value is its first input, as `when: false` has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archc.graph import Node, Scope, Value
from archc.ops.syntax import flat
from archc.program.parts import ATTRIBUTE, HOLDER, Parts, is_identifier
from archc.program.steps import Step, structure


@dataclass(frozen=True, slots=True)
class Form:
    """The structure of a part: its attributes by label, its steps, what goes in and comes out."""

    scope: Scope
    labels: Mapping[str, int]
    steps: list[Step]
    inputs: list[Value]
    outputs: list[Value]


def may_vary(parts: Parts, scope: Scope) -> bool:
    """Whether a part can be a form of a class: it is a block with plain attributes, and does nothing in training alone."""
    attributes = parts.attributes(scope)
    held = any(isinstance(child, Scope) and parts.kind(child) == HOLDER for child in attributes)
    plain = parts.style(scope) == ATTRIBUTE and parts.base(scope) == "nn.Module"
    return bool(scope.block) and scope.parent is not None and plain and not held and not parts.ties(scope)


def missing(full: Form, form: Form) -> frozenset[int] | None:
    """The steps of `whole` that `form` lacks; None where it is no form of it."""
    if _signature(full.scope) != _signature(form.scope) or len(full.inputs) != len(form.inputs):
        return None
    if any(full.labels.get(label) != key for label, key in form.labels.items()):
        return None
    stands: dict[Value, Value] = dict(zip(full.inputs, form.inputs, strict=True))
    lacking: set[int] = set()
    at = 0
    for index, step in enumerate(full.steps):
        mine = form.steps[at] if at < len(form.steps) else None
        if mine is not None and _equal(step, mine, stands):
            stands.update((a, b) for a, b in zip(step.outputs, mine.outputs, strict=True) if a is not None and b is not None)
            at += 1
        elif _can_lack(full, index):
            made = step.outputs[0]
            assert made is not None
            stands[made] = stands[step.inputs[0]]
            lacking.add(index)
        else:
            return None
    same_end = at == len(form.steps) and [stands.get(value) for value in full.outputs] == form.outputs
    return frozenset(lacking) if same_end and _own(full, form, lacking) else None


def _signature(scope: Scope) -> tuple[str, str, tuple[str, ...]]:
    return scope.block, scope.doc, tuple(scope.arguments)


def _equal(step: Step, other: Step, stands: Mapping[Value, Value]) -> bool:
    inputs = [stands.get(value) for value in step.inputs] == list(other.inputs)
    used = [value is None for value in step.outputs] == [value is None for value in other.outputs]
    if not (inputs and used) or flat(step.value) != flat(other.value) or step.training != other.training:
        return False
    mine, theirs = (structure(form.body, {value: at for at, value in enumerate(form.inputs)}) for form in (step, other))
    return mine == theirs


def _can_lack(full: Form, index: int) -> bool:
    """Whether a step may be left out: it has one value, and nothing reads its first input after it."""
    step = full.steps[index]
    plain = len(step.outputs) == 1 and step.outputs[0] is not None and step.inputs and not step.training and not step.recomputed
    around = step.of.scope if isinstance(step.of, Node) else step.of.parent
    if not plain or not is_identifier(step.label) or around is not full.scope:
        return False
    first = step.inputs[0]
    later = [value for other in full.steps[index + 1 :] for value in other.inputs]
    return first not in later and first not in full.outputs


def _own(full: Form, form: Form, lacking: set[int]) -> bool:
    """Whether the attributes that the form lacks are those of the steps that it lacks."""
    gone = {full.steps[index].label for index in lacking}
    return set(full.labels) - set(form.labels) <= gone and not gone & set(form.labels)


def merge_forms(forms: list[Form], keys: list[int]) -> dict[int, int]:
    """From the structure of each form to that of the largest that it is a form of."""
    order = sorted(range(len(forms)), key=lambda i: -len(forms[i].steps))
    leaders: list[int] = []
    found: dict[int, int] = {}
    for i in order:
        leader = next((k for k in leaders if missing(forms[k], forms[i]) is not None), None)
        if leader is None:
            leaders.append(i)
        else:
            found[keys[i]] = keys[leader]
    return found
