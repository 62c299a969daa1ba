"""Runs side by side: what only training does, and where the size of the batch is built in."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import NamedTuple

from archc.tracing.steps import Call, Ref, Unit
from archc.tracing.trace import Trace


def merge_modes(training: Trace, evaluation: Trace) -> tuple[Trace, list[str]]:
    """One trace of both: that of training, with what evaluation leaves out marked, and its outputs; notes on what differs.

    Where evaluation does what training does not, it is that of evaluation.
    """
    ours, theirs = list(training.root.calls()), list(evaluation.root.calls())
    pairs = _pairs(theirs, ours)
    alone = [call for call in theirs if call not in pairs and not _passes(call)]
    if alone:
        return evaluation, [f"evaluation does what training does not ({_list(alone)}): the network is that of evaluation"]
    matched = set(pairs.values())
    outputs: dict[str, Ref] = {}
    for name, (step, index) in evaluation.outputs.items():
        while isinstance(step, Call) and step not in pairs:
            step, index = step.inputs[0]  # what only hands on in evaluation
        ref = (pairs[step] if isinstance(step, Call) else step, index)
        trained = training.outputs.get(name, ref)
        outputs[name] = trained if _hands_on(trained, ref) else ref
    needed = _behind(outputs)
    notes: list[str] = []
    for call in ours:
        behind_training = any(isinstance(step, Call) and step.train_only for step, _ in call.inputs)
        if call in matched or (_passes(call) and (call in needed or not behind_training)):
            continue
        if call in needed:
            notes.append(f"training alone does {_list([call])}, on the way to an output")
        else:
            call.train_only = True
    heads = {ref: name for name, ref in training.outputs.items() if isinstance(ref[0], Call) and ref[0].train_only}
    training.heads = {name: ref for ref, name in heads.items()}
    training.outputs = outputs
    return training, notes


def _passes(call: Call) -> bool:
    """Whether it is there in training alone by its nature, as dropout is."""
    return call.kind in ("dropout", "spatial_dropout", "drop_path")


def _hands_on(ref: Ref, origin: Ref) -> bool:
    """Whether there is nothing between two values but what acts in training alone."""
    while ref != origin and isinstance(ref[0], Call) and _passes(ref[0]):
        ref = ref[0].inputs[0]
    return ref == origin


def _pairs(theirs: list[Call], ours: list[Call]) -> dict[Call, Call]:
    first, second = ([(call.unit.path, call.kind, call.label) for call in calls] for calls in (theirs, ours))
    if first == second:
        return dict(zip(theirs, ours, strict=True))
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return {theirs[a + i]: ours[b + i] for a, b, size in matcher.get_matching_blocks() for i in range(size)}


def _behind(outputs: dict[str, Ref]) -> set[Call]:
    """The steps on which outputs depend."""
    found: set[Call] = set()
    left = [step for step, _ in outputs.values() if isinstance(step, Call)]
    while left:
        step = left.pop()
        if step not in found:
            found.add(step)
            left += [one for one, _ in step.inputs if isinstance(one, Call)]
    return found


def _list(calls: list[Call]) -> str:
    named = [f"{call.unit.path or 'the model'}: {call.args.get('name', call.kind)}" for call in calls[:3]]
    return "; ".join(named) + (f" and {len(calls) - 3} more" if len(calls) > 3 else "")


class Seen(NamedTuple):
    """A step at two batch sizes.

    shapes: of its outputs without the batch; None where that cannot be said
    """

    shapes: list[tuple[int, ...] | None]
    runs: tuple[tuple[int, Call], ...]

    def macs(self) -> int | None:
        """For one image, by torch's counter; None where it does not know, or where they do not grow with the batch."""
        found = set()
        for batch, call in self.runs:
            count = call.count()
            if count is None or count % batch:
                return None
            found.add(count // batch)
        return found.pop() if len(found) == 1 else None


def mark_batch(trace: Trace, other: Trace) -> dict[Call, Seen] | str:
    """The steps as they were seen at two batch sizes; those into which the size of the batch is built become opaque.

    The other trace is of the same mode at another batch size. A text says where the two do different things.
    """
    ours, theirs = list(trace.root.calls()), list(other.root.calls())
    if [(call.unit.path, call.label) for call in ours] != [(call.unit.path, call.label) for call in theirs]:
        return next((f"in {a.unit.path or 'the model'}" for a, b in zip(ours, theirs, strict=False) if a.label != b.label), "at the end")
    position = {call: at for at, call in enumerate(ours)}
    same = {call: at for at, call in enumerate(theirs)}
    found: dict[Call, Seen] = {}
    for a, b in zip(ours, theirs, strict=True):
        wired = _sources(a, position) == _sources(b, same)
        if a.shapes is None or b.shapes is None:
            continue
        if not wired:
            return f"in {a.unit.path or 'the model'}"
        if a.kind != "opaque" and (a.kind != b.kind or a.args != b.args):
            a.args, a.why = {"name": a.kind}, f"the batch of {trace.batch} is built into {_list([a])}"
            a.kind = "opaque"
            a.weights = {name: name for name in a.weights.values()}
        shapes = [_per_image(one, two, trace.batch, other.batch, joined=a.joined > 1) for one, two in zip(a.shapes, b.shapes, strict=True)]
        found[a] = Seen(shapes, ((trace.batch, a), (other.batch, b)))
    return found


def _sources(call: Call, position: dict[Call, int]) -> list[tuple[int | str, int]]:
    return [(position[one] if isinstance(one, Call) else one, at) for one, at in call.inputs]


def _per_image(one: tuple[int, ...], two: tuple[int, ...], batch: int, other: int, joined: bool) -> tuple[int, ...] | None:
    """A shape without the batch, whichever axis holds it; None where no axis, or more than one, grows with it.

    What is `joined` to the batch comes first.
    """
    if len(one) != len(two):
        return None
    growing = [at for at, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    if len(growing) != 1:
        return None
    at = growing[0]
    if one[at] * other != two[at] * batch or one[at] % batch:
        return None
    rest = one[at] // batch
    if joined:
        return (rest, *one[:at], *one[at + 1 :])
    sizes = (*one[:at], *((rest,) if rest > 1 else ()), *one[at + 1 :])
    return sizes or (1,)


def shared_tokens(trace: Trace) -> frozenset[str]:
    """The parameters that a class token or position embedding would have for itself, and that other steps read, too."""
    readers = Counter(name for call in trace.root.calls() for name in {*call.weights.values()})
    tokens = {name for call in trace.root.calls() if call.kind in ("class_token", "position_embedding") for name in call.weights.values()}
    return frozenset(name for name in tokens if readers[name] > 1)


def drop_unused(trace: Trace) -> None:
    """Leaves out steps without weights that nothing reads."""
    needed = _behind(trace.outputs | trace.heads)
    kept = {call for call in trace.root.calls() if call.weights}
    left = list(kept)
    while left:
        for step, _ in left.pop().inputs:
            if isinstance(step, Call) and step not in kept:
                kept.add(step)
                left.append(step)
    _keep(trace.root, needed | kept)
    _drop_states(trace)


def _drop_states(trace: Trace) -> None:
    """A recurrent layer whose last states nothing reads gives none."""
    calls = list(trace.root.calls())
    read = {ref for call in calls for ref in call.inputs} | {*trace.outputs.values(), *trace.heads.values()}
    for call in calls:
        if call.args.get("states") and not any((call, index) in read for index in (1, 2)):
            call.args = {name: value for name, value in call.args.items() if name != "states"}
            call.shapes, call.dtypes = (call.shapes or ())[:1], call.dtypes[:1]


def _keep(unit: Unit, kept: set[Call]) -> None:
    unit.children = [child for child in unit.children if isinstance(child, Unit) or child in kept]
    for child in unit.children:
        if isinstance(child, Unit):
            _keep(child, kept)
