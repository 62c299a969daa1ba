"""`from`: names to values."""

from __future__ import annotations

from fnmatch import fnmatchcase

from archc.elaborate.hints import is_visible, near_names
from archc.elaborate.state import UNKNOWN, Context, Elaboration, Ref, Space, Values
from archc.graph import Value
from archc.language.entries import CHAIN_INPUT
from archc.language.functions import Unknown
from archc.language.values import Mistake, evaluate
from archc.signature import shown
from archc.text import tree as t
from archc.text.diagnostics import Diagnostic
from archc.text.source import Source, Span
from archc.text.suggest import did_you_mean

MOST_NAMES = 100  # of a level that are considered when one is unknown, the nearest before it
_NOWHERE = Span(Source("", ""), 0, 0)


def resolve_from(run: Elaboration, tree: t.Tree, context: Context) -> Values:
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


def resolve(run: Elaboration, name: object, span: Span, context: Context) -> Values:
    """The values of one name, or of all names that a pattern fits, as seen from a context."""
    refs = family(run, name, span, context) if is_pattern(name) else {str(name): find(run, name, span, context)}
    return tuple([value for named, ref in refs.items() for value in _values(run, named, ref, span, context)]) or (UNKNOWN,)


def _values(run: Elaboration, name: str, ref: Ref | None, span: Span, context: Context) -> Values:
    if ref is None:
        return (UNKNOWN,)
    if not ref.values:
        run.error("A304", span, f'"{name}" is not complete at this point', "name a layer inside it", context.place)
        return (UNKNOWN,)
    if not run.training and is_for_training(ref):
        hint = "the deployed network has no such value; `outputs` may name it"
        run.error("A308", span, f'"{name}" exists only in training', hint, context.place)
        return (UNKNOWN,)
    return ref.values


def is_pattern(name: object) -> bool:
    """Whether a name stands for all that it fits: `branch*`, `branch.*`, `stage[1-3].conv`."""
    return isinstance(name, str) and any(sign in name for sign in "*?[")


def family(run: Elaboration, pattern: object, span: Span, context: Context) -> dict[str, Ref]:
    """What a pattern fits, by name, in the order of making. A sign stands for characters of one part of a name, never for a dot.

    Its first part is looked for here, then outward, to the first level where it fits something. What `when` leaves out is not
    among it, unless all is; then the family is what they pass on, once. Empty, with a diagnostic, where nothing fits.
    """
    top = str(pattern).startswith(".")
    first, *rest = str(pattern).removeprefix(".").split(".")
    found = _fitting(first, context, top)
    for part in rest:
        below = {f"{name}.{under}": _below(ref, under) for name, ref in found.items() for under in _under(ref, part)}
        found = {name: ref for name, ref in below.items() if ref is not None}
    present = {name: ref for name, ref in found.items() if not ref.left_out}
    if found and not present:
        return dict(list(found.items())[:1])
    if not found and not run.diagnostics.failed:  # after another mistake, it may be what made them miss
        known = _visible(context)[-6:]
        run.error("A304", span, f'nothing before this matches "{pattern}"', f"there are {', '.join(known)}", context.place)
    return present


def _fitting(first: str, context: Context, top: bool) -> dict[str, Ref]:
    """The names that the first part of a pattern means."""
    if not is_pattern(first):
        ref = _first(first, context, top)
        return {} if ref is None else {first: ref}
    space: Space | None = context.lookup
    while space is not None:
        found = {name: ref for name, ref in space.names.items() if fnmatchcase(name, first)}
        if found and not (top and space.outer is not None):
            return found
        space = space.outer
    return {name: Ref(values, _NOWHERE) for name, values in context.place.inputs.items() if fnmatchcase(name, first)}


def _under(ref: Ref, part: str) -> list[str]:
    """The names one level down that a part of a pattern means."""
    return [name for name in _inside(ref) if fnmatchcase(name, part)] if is_pattern(part) else [part]


def is_for_training(ref: Ref) -> bool:
    """Whether what a name means is there in training alone."""
    return any(value.node is not None and value.node.train_only for value in ref.values)


def find(run: Elaboration, name: object, span: Span, context: Context) -> Ref | None:
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
    if first == "input" and not top and not rest:
        _warn_of_input(run, span, context)
    seen = first
    for part in rest:
        if ref is None:
            break
        below = _below(ref, part)
        if below is None:
            beside = f'"{part}" stands beside it: `{part}`' if is_visible(part, context) else "it is a single value with nothing inside"
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
        hint = "give the layer a name, so that inserting another does not change what is read"
        run.diagnostics.add(Diagnostic("A901", f'"{name}" names a layer by its number', span, hint, context.place.uses, "warning"))
    return ref


def _first(name: str, context: Context, top: bool = False) -> Ref | None:
    inputs = context.place.inputs
    if name == CHAIN_INPUT and not top:
        return Ref(context.own, _NOWHERE)
    if name in ("input", CHAIN_INPUT):
        span = context.place.block.span if context.place.block else _NOWHERE
        ref = Ref(tuple(value for values in inputs.values() for value in values), span)
        ref.space = _find_space(inputs, span, context) if len(inputs) > 1 else None
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


def _warn_of_input(run: Elaboration, span: Span, context: Context) -> None:
    """`input` in a later copy, which was given something else."""
    place, copy = context.place, context.copy
    if copy is None or copy == tuple(value for values in place.inputs.values() for value in values) or UNKNOWN in copy:
        return
    what = f"the block {place.block.name}" if place.block is not None else "the spec"
    own = f"`{CHAIN_INPUT}`" if context.own == copy else "`x: identity` at its start and `from: x`"
    hint = f"write {own} for the input of this copy, or `.input` for the input of {what}"
    run.warn("A905", span, f"`input` is the input of {what} in every copy", hint, place)


def _find_space(inputs: dict[str, Values], span: Span, context: Context) -> Space:
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


def _unknown(run: Elaboration, message: str, wrong: str, known: list[str], span: Span, context: Context) -> None:
    if context.lookup.broken:
        return
    hint = near_names(wrong, context) or did_you_mean(wrong, known)
    if hint is None and known:
        listed = "there are " + ", ".join(known[-6:]) if len(known) > 1 else f"there is {known[0]}"
        hint = f"a block sees only its own layers: {listed}" if context.place.block is not None and wrong not in known else listed
    run.error("A304", span, message, hint, context.place)
