"""Blocks: arguments bound, the body elaborated in names of its own."""

from __future__ import annotations

from typing import Any

from archc.elaborate import chains
from archc.elaborate.binding import argument, arguments_of, bound, preset_of
from archc.elaborate.layers import register
from archc.elaborate.naming import enter, leave, next_number
from archc.elaborate.outputs import block_outputs
from archc.elaborate.state import LAYER_WORK, UNKNOWN, Context, Elaboration, Place, Ref, Values
from archc.language.blocks import Block
from archc.language.entries import Entry
from archc.language.functions import Axes, Unknown
from archc.language.values import names_in
from archc.signature import BROKEN, MISSING, Param
from archc.text import tree as t
from archc.text.diagnostics import Use
from archc.text.source import Span


def apply_block(run: Elaboration, block: Block, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """The values at the end of a block's chain."""
    what = f"the block {block.name}"
    if block.broken:
        register(run, context, name if name is not None else next_number(context), Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)
    run.spend(LAYER_WORK + len(run.graph.params) + len(block.signature.params), entry.kind_span, context.place)
    taken = name if name is not None else next_number(context)
    place = _place(run, block, entry, context, inputs)
    env = _environment(run, block, entry, what, context, place)
    if env is None or place is None:
        register(run, context, taken, Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)
    inner = enter(run, taken, block.name, context, inputs, entry.kind_span)
    inner.space.outer = None  # the block's edge
    scope = inner.space.scope
    scope.doc, scope.names = block.doc, tuple(place.inputs)
    scope.arguments = {param: env[param] for param in block.signature.params}
    body = Context(inner.space, inner.space, env, place).chained(inputs)
    values = chains.run_chain(run, block.layers, body, inputs)
    if block.outputs is not None:
        values = block_outputs(run, block.outputs, body)
    leave(run, inner, values)
    register(run, context, taken, Ref(values, entry.kind_span, body.space, body.space.scope))
    return values


def _place(run: Elaboration, block: Block, entry: Entry, context: Context, inputs: Values) -> Place | None:
    uses = (Use(f'block "{block.name}"', entry.kind_span, _written(block, entry)), *context.place.uses)
    if not block.inputs:
        if len(inputs) != 1:
            message = f"the block {block.name} takes 1 input, but is given {len(inputs)}"
            run.error("A502", entry.kind_span, message, "`inputs: [x, y]` in the block gives it several inputs", context.place)
            return None
        return Place(block, {"input": inputs}, uses, context.place.depth + 1)
    if len(inputs) != len(block.inputs):
        message = f"the block {block.name} takes {len(block.inputs)} inputs, {', '.join(block.inputs)}, but is given {len(inputs)}"
        run.error("A502", entry.kind_span, message, "name them: from: [a, b]", context.place)
        return None
    return Place(block, {name: (value,) for name, value in zip(block.inputs, inputs, strict=True)}, uses, context.place.depth + 1)


def _written(block: Block, entry: Entry) -> dict[str, Span]:
    """Where each argument was written."""
    tree, main = entry.argument, block.signature.main
    if isinstance(tree, t.Mapping):
        return {str(key.value): value.span for key, value in tree.items}
    return {main.name: tree.span} if tree is not None and main is not None and tree.end > tree.start else {}


def _environment(run: Elaboration, block: Block, entry: Entry, what: str, context: Context, place: Place | None) -> dict[str, Any] | None:
    """The names that a block's body sees: its parameters, its inputs, and the spec's params if it was written there."""
    trees = arguments_of(run, entry, block.signature, what, context)
    if trees is None:
        return None
    env: dict[str, Any] = dict(run.graph.params) if block.in_spec else {}
    env.update(axes_of(place.inputs) if place is not None else {})
    preset = dict(preset_of(run, block.name, block.signature))
    body = Context(context.space, context.space, env, place or context.place)
    for name, tree in block.defaults.items():  # a default may use the inputs
        if name not in trees and name not in preset:
            value = _default(run, block, tree, block.signature.params[name], body)
            if value is MISSING:
                return None
            preset[name] = value
    args = bound(run, entry, signature=block.signature, trees=trees, preset=preset, what=what, context=context)
    if args is None:
        return None
    env.update(args)
    env.update({name: Unknown for name, param in block.signature.params.items() if param.type is BROKEN})
    return env


def _default(run: Elaboration, block: Block, tree: t.Tree, param: Param, body: Context) -> Any:
    """The value of a default, which reads the block's inputs but none of its other parameters."""
    if wrong := [name for name in names_in(tree) if name in block.signature.params and name not in body.env]:
        message = f'the default of {param.name} reads the parameter "{min(wrong)}"'
        run.error("A303", tree.span, message, "a default may only read the inputs", body.place)
        return MISSING
    return argument(run, tree, param, body)


def axes_of(inputs: dict[str, Values]) -> dict[str, Axes]:
    """What expressions see of inputs: `input` if there is one, else each by its name."""
    return {name: Axes(None if UNKNOWN in values else values[0].shape) for name, values in inputs.items()}
