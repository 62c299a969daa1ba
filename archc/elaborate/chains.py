"""Chains and entries: each takes the one before it; `for`, `repeat` and `when` say how often it is there."""

from __future__ import annotations

from archc.elaborate.blocks import apply_block, find_block, ships
from archc.elaborate.hints import explained, meant
from archc.elaborate.layers import apply, register
from archc.elaborate.merging import apply_merge, has_branches
from archc.elaborate.naming import check_depth, check_name, enter, find_offered, leave, next_number
from archc.elaborate.references import resolve_from
from archc.elaborate.rows import COPY_NAMES, count_of, rows_of
from archc.elaborate.sharing import apply_share
from archc.elaborate.state import MOST_FAILING, UNKNOWN, Closure, Context, Place, Ref, Run, Space, Values
from archc.elaborate.unknown import suggest_kind
from archc.graph import Promise
from archc.language.entries import Chain, Entry, read_entry
from archc.language.functions import Unknown
from archc.language.spec import METRICS
from archc.language.values import Mistake, as_tree, evaluate, is_entry, is_expression, names_in, weighed
from archc.ops import OPERATORS
from archc.signature import shown
from archc.text import tree as t
from archc.text.suggest import did_you_mean


def run_chain(run: Run, chain: Chain, context: Context, current: Values) -> Values:
    """The values at the end of a chain."""
    if chain not in context.space.chains[-1:]:
        context.space.chains.append(chain)
    if chain.broken:  # the entry that was refused is missing somewhere
        current = (UNKNOWN,)
    for key, tree in chain.entries:
        current = run_entry(run, tree, key, context, current)
    return current


def run_entry(run: Run, tree: t.Tree, key: t.Scalar | None, context: Context, current: Values) -> Values:
    """The values of an entry, with all its copies. Where it cannot be read, unknown."""
    entry = read_entry(tree, run.diagnostics)
    if entry is None:
        _unknown(key, context)
        return (UNKNOWN,)
    run.step(entry.kind_span, context)
    depth = run.depth
    try:
        if entry.modifiers and ("for" in entry.modifiers or "repeat" in entry.modifiers):
            return _copies(run, entry, key, context, current)
        name = None if key is None else _name(run, key, context, entry)
        return _copy(run, entry, name, key, context, current)
    except Mistake as mistake:
        run.mistake(explained(mistake, context), context.place)
    except Unknown:
        pass
    run.depth = depth
    _unknown(key, context)
    return (UNKNOWN,)


def _unknown(key: t.Scalar | None, context: Context) -> None:
    """The name of what failed: to use it is no mistake of its own."""
    if key is not None and not is_expression(key):
        context.space.names.setdefault(str(key.value), Ref((UNKNOWN,), key.span, weak=True))


def _name(run: Run, key: t.Scalar, context: Context, entry: Entry) -> str:
    """The name that a key gives, with its expressions worked out."""
    return check_name(str(evaluate(key, context.env)), key.span, of_layer=entry.kind not in ("inline", "null"))


def _copies(run: Run, entry: Entry, key: t.Scalar | None, context: Context, current: Values) -> Values:
    """One copy for each row of `for`, times `repeat`."""
    rows = rows_of(entry, context)
    of_rows = {name for row in rows for name in row}
    read = names_in(key)
    of_copies = set(COPY_NAMES) if "repeat" in entry.modifiers else set()
    names_rows, names_copies = bool(read & of_rows), bool(read & of_copies)
    own_from = bool(names_in(entry.modifiers.get("from")) & (of_rows | of_copies))
    grouped = key is not None and entry.kind != "inline" and not names_copies
    group: Context | None = None
    if grouped and not names_rows and (rows or read <= context.env.keys()):
        group = _open_group(run, entry, key, context, current)
    started, failing = False, 0
    for row in rows:
        if failing > MOST_FAILING:
            break
        run.step(entry.kind_span, context)
        in_row = context.bound(row) if row else context
        count = count_of(entry, in_row)
        if grouped and names_rows:
            if "repeat" not in entry.modifiers:
                assert key is not None
                current = _copy(run, entry, _name(run, key, in_row, entry), key, in_row, current, started and not own_from)
                started, failing = True, failing + 1 if UNKNOWN in current else 0
                context.space.cut |= failing > MOST_FAILING
                continue
            group = _open_group(run, entry, key, in_row, current)
        for index in range(count):
            run.step(entry.kind_span, context)
            in_copy = in_row
            if "repeat" in entry.modifiers:
                in_copy = in_row.bound({"index": index, "first": index == 0, "last": index == count - 1})
            name = _name(run, key, in_copy, entry) if names_copies and key is not None else None
            where = in_copy
            if group is not None:
                where = Context(group.space, in_copy.lookup, in_copy.env, in_copy.place)
            current = _copy(run, entry, name, key, where, current, started and not own_from)
            started, failing = True, failing + 1 if UNKNOWN in current else 0
            if failing > MOST_FAILING:
                where.space.cut = True
                break
        if group is not None and names_rows:
            _close_group(run, group, key, context, current)
        elif names_rows and not names_copies and key is not None:
            _name_inline(run, entry, key, in_row, current)
    if group is not None and not names_rows:
        _close_group(run, group, key, context, current)
    elif key is not None and not names_rows and not names_copies and read <= context.env.keys():
        _name_inline(run, entry, key, context, current)
    return current


def _name_inline(run: Run, entry: Entry, key: t.Scalar, context: Context, values: Values) -> None:
    """What the key of copies that stand on this level means: the value after them."""
    name = _name(run, key, context, entry)
    if name not in context.space.names:
        register(run, context, name, Ref(values, key.span, weak=True))


def _open_group(run: Run, entry: Entry, key: t.Scalar | None, context: Context, current: Values) -> Context:
    assert key is not None
    return enter(run, _name(run, key, context, entry), "", context, current, entry.kind_span)


def _close_group(run: Run, group: Context, key: t.Scalar | None, context: Context, current: Values) -> None:
    assert key is not None
    scope = group.space.scope
    leave(run, group, current)
    register(run, context, scope.label, Ref(current, key.span, group.space, scope))


def _copy(
    run: Run, entry: Entry, name: str | None, key: t.Scalar | None, context: Context, current: Values, chained: bool = False
) -> Values:
    """One copy of an entry. `chained`: an earlier copy is before it, so `from` has had its turn."""
    modifiers = entry.modifiers
    if not modifiers:
        return _dispatch(run, entry, name, context, current)
    source = modifiers.get("from")
    when = modifiers.get("when")
    there = True if when is None else evaluate(when, context.env)
    if not isinstance(there, bool):
        hint = meant(when, there, context) or 'true, false, or an expression, as in "${width > 64}"'
        raise Mistake("A402", when.span if when else entry.span, f"when is {shown(there)}, not true or false", hint)
    training = _flag(modifiers.get("train_only"), context)
    run.training += training
    try:
        inputs = resolve_from(run, source, context) if source is not None and not chained else current
        if not there:
            if name is not None:
                register(run, context, name, Ref(inputs[:1], key.span if key else entry.span, weak=True))
            return inputs[:1] if source is not None and not training else current
        start = len(run.graph.nodes)
        values = _dispatch(run, entry, name, context, inputs)
        if training and run.training == 1:
            _heads(run, name, values, start, context)
        if "expect" in modifiers:
            _promise(run, modifiers["expect"], values, (start, len(run.graph.nodes)), context)
    finally:
        run.training -= training
    return current if training else values


def _heads(run: Run, name: str | None, values: Values, start: int, context: Context) -> None:
    """What a part that is there in training alone gives, under its name."""
    made = set(run.graph.nodes[start:])
    for index, value in enumerate(values):
        if value.node in made:
            assert value.node is not None
            label = name or value.node.name.removeprefix(context.space.prefix).partition(".")[0]
            run.graph.heads[context.space.prefix + label + (f".{index}" if len(values) > 1 else "")] = value


def _flag(tree: t.Tree | None, context: Context) -> bool:
    value = evaluate(tree, context.env) if tree is not None else False
    if not isinstance(value, bool):
        assert tree is not None
        raise Mistake("A402", tree.span, f"train_only is {shown(value)}, not true or false", "write true, or remove it")
    return value


def _promise(run: Run, tree: t.Tree, values: Values, nodes: tuple[int, int], context: Context) -> None:
    if not isinstance(tree, t.Mapping):
        raise Mistake("A202", tree.span, "expect is a mapping", "expect: {shape: [64, 56, 56]}")
    for key, wanted in tree.items:
        if key.value not in METRICS:
            hint = did_you_mean(str(key.value), METRICS) or f"there are {', '.join(METRICS)}"
            run.error("A201", key.span, f'"{key.value}" is no figure', hint, context.place)
            continue
        metric = "parameters" if key.value == "params" else str(key.value)
        try:
            value = evaluate(wanted, context.env)
        except Unknown:
            continue
        run.graph.promises.append(Promise(metric, value, wanted.span, nodes, values[-1], context.place.uses))


def _dispatch(run: Run, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """An entry by its kind: a group, a layer argument, an operator, a block."""
    run.met.add(entry)
    kind = entry.kind
    group = _GROUPS.get(kind)
    if group is not None:
        return group(run, entry, name, context, inputs)
    if kind.startswith("$"):
        return _apply_closure(run, entry, name, context, inputs)
    block = find_block(run, kind, own=True) if not ships(context.place.block) else None
    op = OPERATORS.get(kind) if block is None else None
    block = block if block is not None or op is not None else find_block(run, kind, own=False)
    if block is None and op is None:
        op = find_offered(kind, entry.kind_span)
    if block is not None:
        return apply_block(run, block, entry, name, context, inputs)
    if op is None:
        if not run.spec.no_blocks:
            hint = suggest_kind(run, entry, context)
            run.error("A301", entry.kind_span, f'no layer or block is called "{kind}"', hint, context.place)
        if name is not None:
            register(run, context, name, Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)
    if op.transparent:
        if name is not None:
            register(run, context, name, Ref(inputs, entry.kind_span, weak=True))
        return inputs
    taken = name if name is not None else next_number(context)
    if op.merges and has_branches(op, entry.argument):
        return apply_merge(run, op, entry, taken, context, inputs)
    values, node = apply(run, op, entry, context.space.prefix + taken, context, inputs, None)
    register(run, context, taken, Ref(values, entry.kind_span, made=node))
    return values


def _layers(run: Run, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """`layers:`, or a nested list: a chain one level down."""
    assert entry.chain is not None
    taken = name if name is not None else next_number(context)
    inner = enter(run, taken, "", context, inputs, entry.kind_span)
    values = run_chain(run, entry.chain, inner, inputs)
    leave(run, inner, values)
    register(run, context, taken, Ref(values, entry.kind_span, inner.space, inner.space.scope))
    return values


def _inline(run: Run, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """`inline:`: a chain on this level."""
    assert entry.chain is not None
    values = _run_elsewhere(run, entry.chain, context, inputs)
    if name is not None and name not in context.space.names:
        register(run, context, name, Ref(values, entry.kind_span, weak=True))
    return values


def _run_elsewhere(run: Run, chain: Chain, context: Context, current: Values) -> Values:
    """A chain that may stand in another place than it was written: its entries see each other, and what was seen there."""
    if context.lookup is context.space or chain.broken:
        return run_chain(run, chain, context, current)
    seen = Space(context.space.scope, context.lookup)
    there = Context(context.space, seen, context.env, context.place)
    for key, tree in chain.entries:
        run.spend(len(context.space.names), tree.span, context.place)
        before = dict(context.space.names)
        current = run_entry(run, tree, key, there, current)
        seen.names.update({name: ref for name, ref in context.space.names.items() if before.get(name) is not ref})
    return current


def _null(run: Run, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """No layer: the value passes on."""
    if name is not None:
        register(run, context, name, Ref(inputs, entry.kind_span, weak=True))
    return inputs


_GROUPS = {"layers": _layers, "inline": _inline, "share": apply_share, "null": _null}


def _apply_closure(run: Run, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """`$act`: an entry that was given as an argument, with the names of where it was written."""
    word = t.Scalar(entry.kind_span.source, entry.kind_span.start, entry.kind_span.end, entry.kind)
    if entry.argument is not None and not (isinstance(entry.argument, t.Scalar) and entry.argument.value is None):
        raise Mistake("A203", entry.argument.span, f"{entry.kind} is a layer already and takes no arguments")
    value = evaluate(word, context.env)
    if value is None:
        return _null(run, entry, name, context, inputs)
    if is_entry(weighed(value, word)):
        value = Closure(as_tree(value, word), context)
    if not isinstance(value, Closure):
        raise Mistake("A402", entry.kind_span, f"{entry.kind} is {shown(value)}, not a layer", "give it a layer, as in `relu`")
    written = value.context
    place = Place(written.place.block, written.place.inputs, context.place.uses, context.place.depth)  # its inputs, but the way of its use
    there = Context(context.space, written.lookup, written.env, place)
    key = None
    if name is not None:
        key = t.Scalar(word.source, word.start, word.end, name)
    run.depth += 1
    try:
        check_depth(run, entry.kind_span, context)
        return run_entry(run, value.tree, key, there, inputs)
    finally:
        run.depth -= 1
