"""Chains and entries: each takes the one before it; `for`, `repeat` and `when` say how often it is there."""

from __future__ import annotations

from typing import NamedTuple

from archc.elaborate.blocks import apply_block
from archc.elaborate.copies import run_copies
from archc.elaborate.hints import explain_mistake, meant
from archc.elaborate.kinds import find_kind, ships
from archc.elaborate.layers import apply, register
from archc.elaborate.merging import apply_merge, has_branches
from archc.elaborate.naming import check_depth, check_names, enter, leave, next_number, reopen
from archc.elaborate.references import resolve_from
from archc.elaborate.sharing import apply_share
from archc.elaborate.state import UNKNOWN, Closure, Context, Elaboration, Place, Ref, Space, Values
from archc.elaborate.unknown import complete, suggest_kind
from archc.graph import Promise
from archc.language.blocks import Block
from archc.language.entries import Chain, Entry, read_entry
from archc.language.functions import Unknown
from archc.language.spec import METRICS
from archc.language.values import Mistake, as_tree, charge_walk, evaluate, is_entry, is_expression
from archc.signature import shown
from archc.text import tree as t
from archc.text.suggest import did_you_mean


def run_chain(run: Elaboration, chain: Chain, context: Context, current: Values) -> Values:
    """The values at the end of a chain."""
    if chain not in context.space.chains[-1:]:
        context.space.chains.append(chain)
    if chain.broken:  # the entry that was refused is missing somewhere
        current = (UNKNOWN,)
    for key, tree in chain.entries:
        current = run_entry(run, tree, key, context, current)
    return current


def run_entry(run: Elaboration, tree: t.Tree, key: t.Scalar | None, context: Context, current: Values, branch: bool = False) -> Values:
    """The values of an entry, with all its copies. Where it cannot be read, unknown. `branch`: it is one of a merge."""
    entry = read_entry(tree, run.diagnostics)
    if entry is None:
        complete(run, tree, context)
        _unknown(key, context)
        return (UNKNOWN,)
    run.step(entry.kind_span, context)
    depth = run.depth
    try:
        if entry.modifiers and ("for" in entry.modifiers or "repeat" in entry.modifiers):
            return run_copies(run, entry, key, context, current, branch)
        if "parallel" in entry.modifiers:
            span = entry.modifiers["parallel"].span
            raise Mistake("A202", span, "`parallel` applies to copies, and this entry has none", "write `for` or `repeat` beside it")
        name = None if key is None else name_of(key, context, entry)
        return make_copy(run, entry, name, context, current, branch=branch).values
    except Mistake as mistake:
        run.mistake(explain_mistake(mistake, context), context.place)
    except Unknown:
        pass
    run.depth = depth
    _unknown(key, context)
    return (UNKNOWN,)


def _unknown(key: t.Scalar | None, context: Context) -> None:
    """The name of what failed: to use it is no mistake of its own."""
    if key is not None and not is_expression(key):
        context.space.names.setdefault(str(key.value), Ref((UNKNOWN,), key.span, weak=True))


def name_of(key: t.Scalar, context: Context, entry: Entry) -> str:
    """The name that a key gives, with its expressions worked out."""
    return check_names(str(evaluate(key, context.env)), key.span, of_layer=entry.kind not in ("inline", "null"))


class CopyResult(NamedTuple):
    """What came of one copy of an entry: its values, and whether `when` and `train_only` made it a part of the chain."""

    values: Values
    present: bool = True
    aside: bool = False


def make_copy(
    run: Elaboration,
    entry: Entry,
    name: str | None,
    context: Context,
    current: Values,
    chained: bool = False,
    later: bool = False,
    branch: bool = False,
) -> CopyResult:
    """One copy of an entry. `chained`: it takes the copy before it, so `from` has had its turn; `later`: it is not the first."""
    if name is not None and "." in name:
        inner, last, levels = reopen(run, name, context, entry.kind_span)
        made = make_copy(run, entry, last, inner, current, chained=chained, later=later, branch=branch)
        for ref in levels:
            ref.values = made.values
            assert ref.space is not None
            ref.space.scope.stop, ref.space.scope.outputs = len(run.graph.nodes), made.values
        return made
    modifiers = entry.modifiers
    if not modifiers:
        return CopyResult(_dispatch(run, entry, name, context, current, branch))
    source = modifiers.get("from")
    present = _is_there(modifiers.get("when"), entry, context)
    training = flag(modifiers.get("train_only"), "train_only", context)
    run.training += training
    try:
        inputs = resolve_from(run, source, context) if source is not None and not chained else current
        if not present:
            if name is not None:
                register(run, context, name, Ref(inputs[:1], entry.span, weak=True, left_out=True))
            if source is None or training:
                return CopyResult(current, present=False)
            run.left_out = run.steps, source.span, context.place.uses
            return CopyResult(inputs[:1], present=False)
        start = len(run.graph.nodes)
        values = _dispatch(run, entry, name, context.copied(inputs) if later else context, inputs, branch)
        if training and run.training == 1:
            _heads(run, name, values, start, context)
        if "tie" in modifiers:
            from archc.elaborate.tying import tie

            tie(run, modifiers["tie"], start, values, context)
        if "expect" in modifiers:
            _promise(run, modifiers["expect"], values, (start, len(run.graph.nodes)), context)
    finally:
        run.training -= training
    return CopyResult(current, aside=True) if training else CopyResult(values)


def _is_there(when: t.Tree | None, entry: Entry, context: Context) -> bool:
    present = True if when is None else evaluate(when, context.env)
    if not isinstance(present, bool):
        hint = meant(when, present, context) or 'true, false, or an expression, as in "${width > 64}"'
        raise Mistake("A402", when.span if when else entry.span, f"when is {shown(present)}, not true or false", hint)
    return present


def _heads(run: Elaboration, name: str | None, values: Values, start: int, context: Context) -> None:
    """What a part that is there in training alone gives, under its name."""
    made = set(run.graph.nodes[start:])
    for index, value in enumerate(values):
        if value.node in made:
            assert value.node is not None
            label = name or value.node.name.removeprefix(context.space.prefix).partition(".")[0]
            run.graph.heads[context.space.prefix + label + (f".{index}" if len(values) > 1 else "")] = value


def flag(tree: t.Tree | None, what: str, context: Context) -> bool:
    """A modifier that is true or false, and false unless it stands there."""
    value = evaluate(tree, context.env) if tree is not None else False
    if not isinstance(value, bool):
        assert tree is not None
        raise Mistake("A402", tree.span, f"{what} is {shown(value)}, not true or false", "write true, or remove it")
    return value


def _promise(run: Elaboration, tree: t.Tree, values: Values, nodes: tuple[int, int], context: Context) -> None:
    if not isinstance(tree, t.Mapping):
        raise Mistake("A202", tree.span, "expect must be a mapping", "expect: {shape: [64, 56, 56]}")
    if tree.source in run.spec.cleared:
        return
    heir = run.spec.superseded.get(tree.source)
    for key, wanted in tree.items:
        if key.value not in METRICS:
            hint = did_you_mean(str(key.value), METRICS) or f"there are {', '.join(METRICS)}"
            run.error("A201", key.span, f'"{key.value}" is not a figure', hint, context.place)
            continue
        metric = "parameters" if key.value == "params" else str(key.value)
        try:
            value = evaluate(wanted, context.env)
        except Unknown:
            continue
        run.graph.promises.append(
            Promise(
                metric=metric,
                wanted=value,
                span=wanted.span,
                nodes=nodes,
                value=values[-1] if values else None,
                uses=context.place.uses,
                heir=heir,
            )
        )


def _dispatch(run: Elaboration, entry: Entry, name: str | None, context: Context, inputs: Values, branch: bool) -> Values:
    """An entry by its kind: a group, a layer argument, an operator, a block."""
    run.met.add(entry)
    kind = entry.kind
    group = _GROUPS.get(kind)
    if group is not None:
        return group(run, entry, name, context, inputs)
    if kind.startswith("$"):
        return _apply_closure(run, entry, name, context, inputs, branch)
    found = find_kind({} if ships(context.place.block) else run.spec.blocks, kind, entry.kind_span)
    if isinstance(found, Block):
        return apply_block(run, found, entry, name, context, inputs)
    if found is None:
        if not run.spec.no_blocks:
            hint = suggest_kind(run, entry, context)
            run.error("A301", entry.kind_span, f'no layer or block is called "{kind}"', hint, context.place)
        if name is not None:
            register(run, context, name, Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)
    if found.transparent:
        if name is not None:
            register(run, context, name, Ref(inputs, entry.kind_span, weak=True))
        return inputs
    taken = name if name is not None else next_number(context)
    if found.merges and has_branches(found, entry.argument):
        return apply_merge(run, found, entry, taken, context, inputs)
    values, node = apply(run, found, entry, name=context.space.prefix + taken, context=context, inputs=inputs, trees=None)
    register(run, context, taken, Ref(values, entry.kind_span, made=node))
    return values


def _layers(run: Elaboration, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """`layers:`, or a nested list: a chain one level down."""
    assert entry.chain is not None
    taken = name if name is not None else next_number(context)
    inner = enter(run, taken, "", context, inputs, entry.kind_span)
    values = run_chain(run, entry.chain, inner.chained(inputs), inputs)
    leave(run, inner, values)
    register(run, context, taken, Ref(values, entry.kind_span, inner.space, inner.space.scope))
    return values


def _inline(run: Elaboration, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """`inline:`: a chain on this level."""
    assert entry.chain is not None
    values = _run_elsewhere(run, entry.chain, context.chained(inputs), inputs)
    if name is not None and name not in context.space.names:
        register(run, context, name, Ref(values, entry.kind_span, weak=True))
    return values


def _run_elsewhere(run: Elaboration, chain: Chain, context: Context, current: Values) -> Values:
    """A chain that may stand in another place than it was written: its entries see each other, and what was seen there."""
    if context.lookup is context.space or chain.broken:
        return run_chain(run, chain, context, current)
    seen = Space(context.space.scope, context.lookup)
    inner = context.inside(context.space, seen)
    for key, tree in chain.entries:
        run.spend(len(context.space.names), tree.span, context.place)
        before = dict(context.space.names)
        current = run_entry(run, tree, key, inner, current)
        seen.names.update({name: ref for name, ref in context.space.names.items() if before.get(name) is not ref})
    return current


def _null(run: Elaboration, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """No layer: the value passes on."""
    if name is not None:
        register(run, context, name, Ref(inputs, entry.kind_span, weak=True))
    return inputs


_GROUPS = {"layers": _layers, "inline": _inline, "share": apply_share, "null": _null}


def _apply_closure(run: Elaboration, entry: Entry, name: str | None, context: Context, inputs: Values, branch: bool) -> Values:
    """`$act`: an entry that was given as an argument, with the names of where it was written."""
    word = t.Scalar(entry.kind_span.source, entry.kind_span.start, entry.kind_span.end, entry.kind)
    if entry.argument is not None and not (isinstance(entry.argument, t.Scalar) and entry.argument.value is None):
        raise Mistake("A203", entry.argument.span, f"{entry.kind} is already a layer and takes no arguments")
    value = evaluate(word, context.env)
    if value is None:
        return _null(run, entry, name, context, inputs)
    if is_entry(charge_walk(value, word)):
        value = Closure(as_tree(value, word), context)
    if not isinstance(value, Closure):
        raise Mistake("A402", entry.kind_span, f"{entry.kind} is {shown(value)}, not a layer", "write a layer, as in `relu`")
    written = value.context
    place = Place(written.place.block, written.place.inputs, context.place.uses, context.place.depth)  # its inputs, but the way of its use
    outer = Context(context.space, written.lookup, written.env, place, written.own, written.copy)
    key = None
    if name is not None:
        key = t.Scalar(word.source, word.start, word.end, name)
    run.depth += 1
    try:
        check_depth(run, entry.kind_span, context)
        return run_entry(run, value.tree, key, outer, inputs, branch)
    finally:
        run.depth -= 1
