"""Shapes of inputs that seem to hold a batch axis, or their channels last: a warning, and a hint where a layer fails for it.

A warning needs sizes that no network of that many axes would have, and a network that reads them as a map. Where a layer
fails, less will do, since it is tried: the hint is given if the spec fits with the other shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from archc.elaborate.inputs import spell_shape
from archc.elaborate.sizes import sizes_of
from archc.elaborate.state import UNKNOWN, Elaboration
from archc.graph import Node, Value
from archc.ops.reach import Reach, rules_of
from archc.ops.shape import Shape
from archc.signature import shown
from archc.text import tree as t
from archc.text.diagnostics import Diagnostic, Diagnostics
from archc.text.source import Span

BATCH, LAST, BOTH = "shapes have no batch axis", "channels come first", "channels come first, without a batch axis"
MOST_STEPS = 20_000  # of an elaboration that is tried again in another shape
LEAST_SIDE = 8  # of what may be an image
WIDE = 32
OF_TOKENS = {"attention", "class_token", "position_embedding"}  # they take [T, D] alone
OF_INDICES = {"embedding"}  # and these [T]
OF_CHANNELS = {
    "frozen_batchnorm", "batchnorm", "groupnorm", "instancenorm", "lrn", "prelu",
    "spatial_dropout", "global_avgpool", "global_maxpool", "flatten",
}  # fmt: skip
MOVING = {"matmul", "attention", "permute", "transpose", "reshape"}  # what comes out has other axes, whatever their number


class Suspicion(NamedTuple):
    """What a shape should be, and why."""

    right: list[int]
    rule: str


Trial = Callable[[str, t.Tree], Elaboration | None]  # the elaboration with another shape of an input


def warn(run: Elaboration) -> None:
    """Warnings about the inputs of a network that was elaborated."""
    for name, value in run.graph.inputs.items():
        own = run.inputs[name].own
        found = unlike = _unlike_base(run, value.shape)
        found = found or _strong(value.shape)
        turned = len(own) > 1 and value.shape[-1] == own[0] != value.shape[0] and value.shape[0] != own[-1]
        if turned and found is None:
            found = Suspicion([own[0], *value.shape[:-1]], LAST)
        if found is not None and (unlike or turned or _slides(run.graph.nodes, value, found)):
            _add(run.diagnostics, name, value.shape, found, run.inputs[name].span)


def explain(run: Elaboration, trial: Trial) -> None:
    """Hints at layers that fail, and a warning at the input, where the spec would fit with another shape of it."""
    failed = _misfits(run)
    if not failed or run.steps > MOST_STEPS:
        return
    for name, value in run.graph.inputs.items():
        if value is UNKNOWN:
            continue
        span = run.inputs[name].span
        unlike = _unlike_base(run, value.shape)
        for found in [*([unlike] if unlike else []), *_weak(value.shape, {entry.kind for entry in run.met})]:
            retried = trial(name, _tree(span, found.right))
            if retried is None or {misfit.span for misfit in _misfits(retried)} & {diagnostic.span for diagnostic in failed}:
                continue
            if _fits(retried.graph.nodes, retried.graph.inputs[name], found):
                for diagnostic in failed:
                    diagnostic.hint = f"{found.rule}: with {spell_shape(found.right, span.source, name)} this fits"
                _add(run.diagnostics, name, value.shape, found, span)
                return


def _unlike_base(run: Elaboration, shape: Shape) -> Suspicion | None:
    """Another number of axes than the spec has that this one extends, where the sizes tell that it is no other kind of network."""
    base, sizes = run.spec.base_input, list(shape)
    if base is None or base is run.spec.input or isinstance(base, t.Mapping) or any(given.own for given in run.inputs.values()):
        return None
    own = sizes_of(base, run.graph.params)
    if 1 < len(own) == len(sizes) - 1 and sizes[1] == own[0]:
        return Suspicion(sizes[1:], BATCH)
    if 1 < len(sizes) == len(own) - 1 and (len(set(sizes)) == 1 or sizes == own[1:]):
        return Suspicion([own[0], *sizes], f"{run.spec.base_name} takes {shown(own)}")
    return None


def _misfits(run: Elaboration) -> list[Diagnostic]:
    """The mistakes that may be due to a shape."""
    return [diagnostic for diagnostic in run.diagnostics if diagnostic.code in ("A501", "A502") and diagnostic.severity == "error"]


def _add(diagnostics: Diagnostics, name: str, shape: Shape, found: Suspicion, span: Span) -> None:
    hint = f"{found.rule}: {spell_shape(found.right, span.source, name)}"
    diagnostics.add(Diagnostic("A902", f"{shown(list(shape))} is read as {_read(shape)}", span, hint, (), "warning"))


def _read(shape: Shape) -> str:
    """What a shape means."""
    plural = "s" * (shape[0] != 1)
    if len(shape) == 2:
        return f"{shape[0]} channel{plural} of length {shape[1]}, or {shape[0]} token{plural} of {shape[1]} features"
    return f"{shape[0]} channel{plural} of {'x'.join(map(str, shape.space))}"


def _tree(span: Span, sizes: list[int]) -> t.Tree:
    items: list[t.Tree] = [t.Scalar(span.source, span.start, span.end, size) for size in sizes]
    return t.Sequence(span.source, span.start, span.end, items)


def _strong(shape: Shape) -> Suspicion | None:
    """Sizes that hardly any network would have on purpose."""
    sizes = list(shape)
    if len(sizes) == 4:
        first, second, third, last = sizes
        if second in (1, 3) and min(third, last) >= LEAST_SIDE:
            return Suspicion(sizes[1:], BATCH)
        if last in (1, 3) and second == third >= LEAST_SIDE:
            return Suspicion([last, second, third], BOTH)
    if len(sizes) == 3:
        first, second, last = sizes
        image = first == second >= LEAST_SIDE * (2 if last == 4 else 1)
        if (last in (1, 3, 4) and image) or (last == 3 and min(first, second) >= WIDE):
            return Suspicion([last, first, second], LAST)
    if len(sizes) == 2 and sizes[1] in (1, 2, 3) and sizes[0] >= WIDE:
        return Suspicion(sizes[::-1], LAST)
    if len(sizes) == 2 and sizes[0] == 1 < sizes[1]:
        return Suspicion(sizes[1:], BATCH)
    return None


def _weak(shape: Shape, kinds: set[str]) -> list[Suspicion]:
    """What may be meant where a layer fails, in a spec of these kinds of layers."""
    sizes = list(shape)
    found = [reason for reason in [_strong(shape)] if reason is not None]
    if len(sizes) == 4 and sizes[3] in (1, 3) and min(sizes[1:3]) >= LEAST_SIDE:
        found.append(Suspicion([sizes[3], *sizes[1:3]], BOTH))
    signals = len(sizes) == 3 and sizes[1] == 1
    tokens = len(sizes) == 3 and sizes[0] != 3 and sizes[1] != sizes[2] and kinds & OF_TOKENS  # no picture
    if signals or tokens or (len(sizes) == 2 and kinds & OF_INDICES):
        found.append(Suspicion(sizes[1:], BATCH))
    if len(sizes) == 2 and sizes[1] <= 4 and sizes[0] >= 2 * LEAST_SIDE:
        found.append(Suspicion(sizes[::-1], LAST))
    return found


def _slides(nodes: list[Node], value: Value, found: Suspicion) -> bool:
    """Whether the network reads the sizes in doubt as axes: windows over them, in no form that only this shape could have."""
    shape = value.shape
    first = _first(nodes, value)
    if len(shape) == 2 and found.rule == BATCH:
        return bool(first) and first[0].kind == "linear"
    windows = [node for node in first if rules_of(node.facts.reach) is not None]
    if len(shape) == 4:
        lists = [arg for node in windows for arg in node.args.values() if isinstance(arg, tuple) and len(arg) == 3]
        return not lists and (bool(windows) or (found.rule == BATCH and any(node.kind in OF_CHANNELS for node in first)))
    rules = [(rules_of(node.facts.reach) or ("",))[-1] for node in windows]
    return any(not isinstance(rule, Reach) or rule.high != rule.low for rule in rules)


def _first(nodes: list[Node], value: Value) -> list[Node]:
    """The layers that read an input, directly or over others that keep the number of its axes."""
    reached, found = {value}, []
    for node in nodes:
        if any(source in reached for source in node.inputs) and any(len(source.shape) == len(value.shape) for source in node.inputs):
            found.append(node)
            reached.update(out for out in node.outputs if len(out.shape) == len(value.shape) and node.kind not in MOVING)
    return found


def _fits(nodes: list[Node], value: Value, found: Suspicion) -> bool:
    """Whether a network that fits in another shape reads it as what it would be: a map, a signal, tokens, indices."""
    first = _first(nodes, value)
    windows = any(rules_of(node.facts.reach) is not None for node in first)
    if found.rule != BATCH or len(value.shape) == 3:
        return windows
    if len(value.shape) == 2:
        return (windows and value.shape[0] == 1) or any(node.kind in OF_TOKENS for node in first)
    return any(node.kind in OF_INDICES for node in first)
