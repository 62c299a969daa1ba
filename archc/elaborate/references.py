"""`from`: names to values."""

from __future__ import annotations

from archc.elaborate.hints import is_visible, near_names
from archc.elaborate.state import UNKNOWN, Context, Ref, Run, Space, Values
from archc.graph import Value
from archc.language.functions import Unknown
from archc.language.values import Mistake, evaluate
from archc.signature import shown
from archc.text import tree as t
from archc.text.diagnostics import Diagnostic
from archc.text.source import Source, Span
from archc.text.suggest import did_you_mean

MOST_NAMES = 100  # of a level that are considered when one is unknown, the nearest before it
_NOWHERE = Span(Source("", ""), 0, 0)


def resolve_from(run: Run, tree: t.Tree, context: Context) -> Values:
    """The values that a `from` names, one name or a list."""
    items: list[t.Tree] = list(tree.items) if isinstance(tree, t.Sequence) else [tree]
    resolved: list[Value] = []
    for item in items:
        try:
            found = evaluate(item, context.env)
        except Mistake as mistake:
            run.mistake(mistake, context.place)
            resolved.append(UNKNOWN)
        except Unknown:
            resolved.append(UNKNOWN)
        else:
            for name in found if isinstance(found, list) else [found]:
                resolved.extend(resolve(run, name, item.span, context))
    if not resolved:
        run.error("A304", tree.span, "`from` names nothing", "from: name, or from: [a, b]", context.place)
        return (UNKNOWN,)
    return tuple(resolved)


def resolve(run: Run, name: object, span: Span, context: Context) -> Values:
    """The values of one name, as seen from a context."""
    ref = find(run, name, span, context)
    if ref is None:
        return (UNKNOWN,)
    if not ref.values:
        run.error("A304", span, f'"{name}" is not finished here', "name a layer inside it", context.place)
        return (UNKNOWN,)
    if not run.training and is_for_training(ref):
        hint = "the deployed network has no such value; `outputs` may name it"
        run.error("A308", span, f'"{name}" is there in training alone', hint, context.place)
        return (UNKNOWN,)
    return ref.values


def is_for_training(ref: Ref) -> bool:
    """Whether what a name means is there in training alone."""
    return any(value.node is not None and value.node.train_only for value in ref.values)


def find(run: Run, name: object, span: Span, context: Context) -> Ref | None:
    """What a dotted name means: its first part here, then outward to the block's edge; the rest downward.

    With a dot before it, the name is read from the block's (or spec's) edge: `.layer1.0`.
    """
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name:
        run.error("A202", span, f"{shown(name)} is not a name", "from: name, or from: [a, b]", context.place)
        return None
    top = name.startswith(".")
    first, *rest = name.removeprefix(".").split(".")
    ref = _first(first, context, top)
    seen = first
    for part in rest:
        if ref is None:
            break
        below = _below(ref, part)
        if below is None:
            beside = f'"{part}" stands beside it: `{part}`' if is_visible(part, context) else "it is one value, with nothing inside"
            known = _inside(ref)
            if known:
                _unknown(run, f'"{seen}" has no "{part}"', part, known, span, context)
            else:
                run.error("A304", span, f'"{seen}" has no "{part}"', beside, context.place)
            return None
        ref, seen = below, f"{seen}.{part}"
    if ref is None:
        _unknown(run, f'nothing before this is called "{first}"', first, _visible(context), span, context)
    elif first.isdigit() and not top:
        hint = "give the layer a name, so that inserting one does not rewire"
        run.diagnostics.add(Diagnostic("A901", f'"{name}" names a layer by its number', span, hint, context.place.uses, "warning"))
    return ref


def _first(name: str, context: Context, top: bool = False) -> Ref | None:
    inputs = context.place.inputs
    if name == "input":
        span = context.place.block.span if context.place.block else _NOWHERE
        ref = Ref(tuple(value for values in inputs.values() for value in values), span)
        ref.space = _named(inputs, span, context) if len(inputs) > 1 else None
        return ref
    space: Space | None = context.lookup
    while space is not None:
        if name in space.names and not (top and space.outer is not None):
            return space.names[name]
        if name in space.open and not (top and space.outer is not None):
            return Ref((), _NOWHERE, space.open[name])
        space = space.outer
    if name in inputs:
        return Ref(inputs[name], _NOWHERE)
    return None


def _named(inputs: dict[str, Values], span: Span, context: Context) -> Space:
    space = Space(context.space.scope, None)
    space.names = {name: Ref(values, span) for name, values in inputs.items()}
    return space


def _below(ref: Ref, part: str) -> Ref | None:
    if ref.space is not None and part in ref.space.names:
        return ref.space.names[part]
    if ref.space is not None and part in ref.space.open:
        return Ref((), ref.span, ref.space.open[part])
    if ref.values and ref.values[0] is UNKNOWN:
        return ref
    if ref.space is None and part.isdigit() and len(ref.values) > 1 and int(part) < len(ref.values):
        return Ref((ref.values[int(part)],), ref.span)
    return None


def _inside(ref: Ref) -> list[str]:
    if ref.space is not None:
        return list(ref.space.names)
    return [str(i) for i in range(len(ref.values))] if len(ref.values) > 1 else []


def _visible(context: Context) -> list[str]:
    names = ["input", *context.place.inputs]
    space: Space | None = context.lookup
    while space is not None:
        names.extend(list(space.names)[-MOST_NAMES:])
        space = space.outer
    return list(dict.fromkeys(names))


def _unknown(run: Run, message: str, wrong: str, known: list[str], span: Span, context: Context) -> None:
    if context.lookup.broken:
        return
    hint = near_names(wrong, context) or did_you_mean(wrong, known)
    if hint is None and known:
        listed = "there are " + ", ".join(known[-6:]) if len(known) > 1 else f"there is {known[0]}"
        hint = f"a block sees its own layers alone: {listed}" if context.place.block is not None and wrong not in known else listed
    run.error("A304", span, message, hint, context.place)
