"""`share`: a layer, or a whole part, applied again with the same weights."""

from __future__ import annotations

from collections.abc import Iterator

from archc.elaborate.layers import check_inputs, facts_of, make, register, report_at
from archc.elaborate.naming import enter, leave, next_number
from archc.elaborate.references import find, is_for_training
from archc.elaborate.state import NAME_WORK, UNKNOWN, Context, Elaboration, Ref, Space, Values
from archc.graph import Node, Scope, Value, Written
from archc.language.entries import Entry
from archc.language.values import Mistake, evaluate
from archc.signature import Fault, shown
from archc.text.quantity import counted
from archc.text.source import Span


def apply_share(run: Elaboration, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """The layer that `share` names, on other inputs."""
    tree = entry.argument
    named = evaluate(tree, context.env) if tree is not None else None
    if tree is None or not isinstance(named, str | int) or isinstance(named, bool):
        span = tree.span if tree is not None else entry.kind_span
        raise Mistake("A403", span, f"share is {shown(named)}, not the name of a layer", "share: name")
    ref = find(run, named, tree.span, context)
    if ref is not None and isinstance(ref.made, Scope) and any(scope.held for scope in _levels(ref.made)):
        message = f'"{named}" holds layers that may run in several places'
        run.error("A503", tree.span, message, "share them one by one, or write them as one chain", context.place)
        ref = None
    taken = name if name is not None else next_number(context)
    if ref is None or UNKNOWN in inputs or UNKNOWN in ref.values or ref.made is None:
        if ref is not None and ref.made is None and UNKNOWN not in ref.values:
            run.error("A503", tree.span, "this is not a layer with weights to share", "name a layer, a chain or a block", context.place)
        register(run, context, taken, Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)
    if not run.training and is_for_training(ref):
        hint = "the deployed network has no such weights"
        run.error("A308", tree.span, f'"{named}" exists only in training', hint, context.place)
        register(run, context, taken, Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)
    written = Written(entry.kind_span, {}, context.place.uses)
    try:
        if isinstance(ref.made, Node):
            node = _repeat_layer(run, ref.made, taken, context, inputs, written)
            register(run, context, taken, Ref(node.outputs, entry.kind_span, made=node))
            return node.outputs
        return _scope_again(run, ref.made, ref=ref, name=taken, context=context, inputs=inputs, written=written)
    except Fault as fault:
        if isinstance(ref.made, Node) and ref.made.op.merges:
            fault.hint = "to share a merge with its branches, share a chain around it"
        fault.message += f" (in sharing {ref.made.name})"
        report_at(run, fault, tree.span, context)
        register(run, context, taken, Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)


def _levels(scope: Scope) -> Iterator[Scope]:
    """A part and those in it."""
    yield scope
    for child in scope.children:
        if isinstance(child, Scope):
            yield from _levels(child)


def _repeat_layer(run: Elaboration, first: Node, name: str, context: Context, inputs: Values, written: Written) -> Node:
    check_inputs(first.op, inputs)
    facts = facts_of(run, first.op, tuple(value.shape for value in inputs), first.args)
    for mine, theirs in zip(facts.tensors, first.facts.tensors, strict=False):
        if mine.shape != theirs.shape:
            label = mine.name or "the weight"
            message = f"{label} would be {list(mine.shape)} here and is {list(theirs.shape)} in {first.name}"
            raise Fault(None, message, "give it an input of the same channels", "A503")
    node = make(run, first.op, context.space.prefix + name, args=first.args, inputs=inputs, context=context, written=written)
    node.shared = first.shared or first
    node.tie(first.ties)
    node.train_only = node.train_only or first.train_only
    return node


def _scope_again(run: Elaboration, first: Scope, *, ref: Ref, name: str, context: Context, inputs: Values, written: Written) -> Values:
    """Every layer of a part once more, with what came into the part exchanged."""
    if len(inputs) != len(first.inputs):
        raise Fault(None, f"{first.name} takes {counted(len(first.inputs), 'input')}, but is given {len(inputs)}", code="A502")
    copy = _Copy(dict(zip(first.inputs, inputs, strict=True)))
    inner = enter(run, name, first.block, context, inputs, written.kind)
    inner.space.scope.shared = first.shared or first
    copy.levels[first] = inner
    offset = len(run.graph.nodes) - first.start
    for node in run.graph.nodes[first.start : first.stop]:
        where = _level(run, node.scope, copy, written)
        reused = _repeat_layer(run, node, node.label, where, copy.of(node.inputs), written)
        copy.moved.update(zip(node.outputs, reused.outputs, strict=True))
        copy.made[node] = reused
    for scope, level in reversed(copy.levels.items()):
        mine = copy.made[scope] = level.space.scope
        leave(run, level, copy.of(scope.outputs))
        mine.inputs, mine.start, mine.stop = copy.of(scope.inputs), scope.start + offset, scope.stop + offset
    _repeat_names(run, ref.space, inner.space, copy, written.kind)
    values = copy.of(first.outputs)
    register(run, context, name, Ref(values, written.kind, inner.space, inner.space.scope))
    return values


class _Copy:
    """What stands for what in a part that is applied again: values, layers and levels, the levels' contexts."""

    def __init__(self, moved: dict[Value, Value]) -> None:
        self.moved = moved
        self.made: dict[Node | Scope, Node | Scope] = {}
        self.levels: dict[Scope, Context] = {}

    def of(self, values: Values) -> Values:
        return tuple([self.moved.get(value, value) for value in values])


def _level(run: Elaboration, scope: Scope, copy: _Copy, written: Written) -> Context:
    """The copy of a level of names."""
    if scope not in copy.levels:
        assert scope.parent is not None
        above = _level(run, scope.parent, copy, written)
        copy.levels[scope] = enter(run, scope.label, scope.block, above, (), written.kind)
    return copy.levels[scope]


def _repeat_names(run: Elaboration, first: Space | None, reused: Space, copy: _Copy, span: Span) -> None:
    """The names in a part, for its copy."""
    for name, ref in first.names.items() if first is not None else ():
        run.spend(NAME_WORK, span, None)
        below = Space(reused.scope, reused) if ref.space is not None else None
        if below is not None:
            _repeat_names(run, ref.space, below, copy, span)
        made = copy.made.get(ref.made, ref.made) if ref.made is not None else None
        reused.names[name] = Ref(copy.of(ref.values), ref.span, below, made, ref.weak)
