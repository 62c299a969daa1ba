"""`share`: a layer, or a whole part, applied again with the same weights."""

from __future__ import annotations

from archc.elaborate.layers import facts_of, make, register
from archc.elaborate.naming import enter, leave, next_number
from archc.elaborate.references import find
from archc.elaborate.state import UNKNOWN, Context, Ref, Run, Values
from archc.graph import Node, Scope, Value, Written
from archc.language.entries import Entry
from archc.language.values import Mistake, evaluate
from archc.signature import Fault, shown


def apply_share(run: Run, entry: Entry, name: str | None, context: Context, inputs: Values) -> Values:
    """The layer that `share` names, on other inputs."""
    tree = entry.argument
    named = evaluate(tree, context.env) if tree is not None else None
    if tree is None or not isinstance(named, str | int) or isinstance(named, bool):
        span = tree.span if tree is not None else entry.kind_span
        raise Mistake("A403", span, f"share is {shown(named)}, not the name of a layer", "share: name")
    ref = find(run, named, tree.span, context)
    taken = name if name is not None else next_number(context)
    if ref is None or UNKNOWN in inputs or UNKNOWN in ref.values or ref.made is None:
        if ref is not None and ref.made is None and UNKNOWN not in ref.values:
            run.error("A503", tree.span, "this is no layer with weights to share", "name a layer, a chain or a block", context.place)
        register(run, context, taken, Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)
    written = Written(entry.kind_span, {}, context.place.uses)
    try:
        if isinstance(ref.made, Node):
            node = _again(run, ref.made, taken, context, inputs, written)
            register(run, context, taken, Ref(node.outputs, entry.kind_span, made=node))
            return node.outputs
        return _scope_again(run, ref.made, taken, context, inputs, written)
    except Fault as fault:
        run.error(fault.code, tree.span, f"{fault.message} (in sharing {ref.made.name})", fault.hint, context.place)
        register(run, context, taken, Ref((UNKNOWN,), entry.kind_span, weak=True))
        return (UNKNOWN,)


def _again(run: Run, first: Node, name: str, context: Context, inputs: Values, written: Written) -> Node:
    facts = facts_of(run, first.op, tuple(value.shape for value in inputs), first.args)
    for mine, theirs in zip(facts.owned, first.facts.owned, strict=False):
        if mine.shape != theirs.shape:
            label = mine.name or "the weight"
            message = f"{label} would be {list(mine.shape)} here and is {list(theirs.shape)} in {first.name}"
            raise Fault(None, message, "give it an input of the same channels", "A503")
    node = make(run, first.op, context.space.prefix + name, first.args, inputs, context, written)
    node.shared = first.shared or first
    return node


def _scope_again(run: Run, first: Scope, name: str, context: Context, inputs: Values, written: Written) -> Values:
    """Every layer of a part once more, with what came into the part exchanged."""
    if len(inputs) != len(first.inputs):
        raise Fault(None, f"{first.name} takes {len(first.inputs)} inputs; this is given {len(inputs)}", code="A502")
    moved: dict[Value, Value] = dict(zip(first.inputs, inputs, strict=True))
    inner = enter(run, name, first.block, context, inputs, written.kind)
    levels: dict[str, Context] = {first.name: inner}
    for node in run.graph.nodes[first.start : first.stop]:
        where = _level(run, node.scope, levels, context, written)
        again = _again(run, node, node.label, where, tuple(moved.get(value, value) for value in node.inputs), written)
        moved.update(zip(node.outputs, again.outputs, strict=True))
        where.space.names[node.label] = Ref(again.outputs, written.kind, made=again)
    values = tuple(moved.get(value, value) for value in first.outputs)
    for level in reversed(levels.values()):
        leave(run, level, values)
    register(run, context, name, Ref(values, written.kind, inner.space, inner.space.scope))
    return values


def _level(run: Run, scope: Scope, levels: dict[str, Context], context: Context, written: Written) -> Context:
    """The copy of a level of names."""
    if scope.name not in levels:
        assert scope.parent is not None
        above = _level(run, scope.parent, levels, context, written)
        inner = enter(run, scope.label, scope.block, above, scope.inputs, written.kind)
        above.space.names[scope.label] = Ref((UNKNOWN,), written.kind, inner.space, inner.space.scope)
        levels[scope.name] = inner
    return levels[scope.name]
