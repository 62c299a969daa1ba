"""One layer: an operator applied to shapes, a node appended."""

from __future__ import annotations

from typing import Any, NamedTuple

from archc.elaborate.binding import Instead, Trees, arguments_of, bound, origins, preset_of
from archc.elaborate.state import (
    LAYER_WORK,
    MOST_LAYERS,
    READ_WORK,
    TENSOR_WORK,
    UNKNOWN,
    Context,
    Elaboration,
    ElaborationStopped,
    Ref,
    Values,
)
from archc.elaborate.unknown import suggest_for_inputs
from archc.graph import Node, Written
from archc.graph.dtypes import COMPUTED, SAME, WHOLE
from archc.language.entries import Entry
from archc.ops.facts import VIEW, Facts
from archc.ops.registry import Op
from archc.ops.shape import Shape
from archc.signature import Fault
from archc.text.diagnostics import Diagnostic, Use
from archc.text.source import Span


class Place(NamedTuple):
    """The layer for which an operator runs, and where it was written."""

    layer: str
    kind: str
    span: Span


def apply(
    run: Elaboration, op: Op, entry: Entry, *, name: str, context: Context, inputs: Values, trees: Trees | None
) -> tuple[Values, Node | None]:
    """The values of an operator's outputs; UNKNOWN where it, or what it depends on, is wrong."""
    if run.tape is not None:
        run.tape.place = Place(name, op.name, entry.kind_span)
    trees = arguments_of(run, entry, op.signature, op.name, context) if trees is None else trees
    if trees is None:
        return (UNKNOWN,), None
    preset = preset_of(run, op.name, op.signature)
    if op.most_inputs == 1 and len(inputs) == 2 and (hint := suggest_for_inputs(op.name, len(inputs))) is not None:
        run.error("A502", entry.kind_span, f"{op.name} takes 1 input, but is given 2", hint, context.place)
        return (UNKNOWN,), None
    args = bound(
        run, entry, signature=op.signature, trees=trees, preset=preset, what=op.name, context=context, instead=_instead(op, inputs)
    )
    if args is None or UNKNOWN in inputs:
        run.spend(LAYER_WORK, entry.kind_span, context.place)  # as much as a layer that is made: copies of a mistake end as soon
        return (UNKNOWN,), None
    written = Written(entry.kind_span, origins(run, op.name, op.signature, trees), context.place.uses)
    try:
        node = make(run, op, name, args=args, inputs=inputs, context=context, written=written)
    except Fault as fault:
        _report(run, fault, entry, written, context)
        return (UNKNOWN,), None
    for doubt in node.facts.doubts:
        span = written.arguments[doubt.argument][0] if doubt.argument in written.arguments else entry.kind_span
        run.diagnostics.add(Diagnostic("A903", doubt.message, span, doubt.hint, context.place.uses, "warning"))
    return node.outputs, node


def _instead(op: Op, inputs: Values) -> Instead | None:
    """What an operator says of a value without a name, where the shape of its input is known."""
    bare = op.bare
    if bare is None or not inputs or UNKNOWN in inputs:
        return None
    return lambda value: bare(value, inputs[0].shape)


def make(run: Elaboration, op: Op, name: str, *, args: dict[str, Any], inputs: Values, context: Context, written: Written) -> Node:
    """A node of the graph. Raises Fault where the operator refuses the shapes or arguments."""
    check_inputs(op, inputs)
    if len(run.graph.nodes) >= MOST_LAYERS:
        run.error("A601", written.kind, f"more than {MOST_LAYERS:,} layers", "use fewer repeats", context.place)
        raise ElaborationStopped
    run.spend(LAYER_WORK + READ_WORK * len(inputs), written.kind, context.place)
    facts = facts_of(run, op, tuple([value.shape for value in inputs]), args)
    check_dtypes(op, facts, inputs)
    run.spend(TENSOR_WORK * (len(facts.outputs) + len(facts.weights or ())), written.kind, context.place)
    node = Node(name, op, args, inputs, facts, context.space.scope)
    tell_dtypes(node)
    node.written = written
    node.train_only = run.training > 0
    run.graph.nodes.append(node)
    context.space.scope.children.append(node)
    return node


def check_inputs(op: Op, inputs: Values) -> None:
    count, least, most = len(inputs), op.least_inputs, op.most_inputs
    if count >= least and (most is None or count <= most):
        return
    wanted = str(least) if most == least else f"{least} or more" if most is None else f"{least} to {most}"
    several = [value for value in inputs if value.node is not None and len(value.node.outputs) > 1]
    hint = (
        f"{several[0].node.label} has {len(several[0].node.outputs)} values: choose one, as in `from: {several[0].node.label}.0`"
        if several and several[0].node
        else None
    )
    if most is not None and most < count and hint is None:
        hint = "merge them first with `add` or `concat`"
    raise Fault(None, f"{op.name} takes {wanted} input{'s' * (wanted != '1')}, but is given {count}", hint, "A502")


def check_dtypes(op: Op, facts: Facts, inputs: Values) -> None:
    """Indices are whole numbers, and what is multiplied with weights is not."""
    for index, value in enumerate(inputs):
        wants, dtype = facts.taken(index), value.dtype
        name = value.node.label if value.node is not None else value.name
        if wants == "int64" and dtype == COMPUTED:
            hint = "`argmax`, `topk.1`, `max.1` and a `maxpool` with `indices: true` make indices; an input is declared with `dtype: int64`"
            raise Fault(None, f"{op.name} takes whole numbers, and {name} has numbers of the network's own dtype", hint, "A502")
        if wants == "int64" and dtype in ("uint8", "bool"):
            raise Fault(None, f"{op.name} takes whole numbers as indices, and {name} has {dtype}", "dtype: int64", "A502")
        if wants == SAME and dtype in WHOLE and facts.learns and facts.macs:
            raise Fault(None, f"{op.name} multiplies with weights, and {name} has {dtype}", "`embedding` looks whole numbers up", "A502")


def tell_dtypes(node: Node) -> None:
    """What the outputs of a layer hold: a view what it is seen from, else what the facts say."""
    for value in node.outputs:
        if node.facts.storage == VIEW and node.inputs:
            value.dtype = node.inputs[0].dtype
        else:
            stated = node.facts.dtypes[value.index] if node.facts.dtypes else SAME
            value.dtype = COMPUTED if stated == SAME else stated


def facts_of(run: Elaboration, op: Op, shapes: tuple[Shape, ...], args: dict[str, Any]) -> Facts:
    """The operator's facts, worked out once for equal shapes and arguments."""
    if run.tape is not None:
        return _recorded_facts(run, op, shapes, args)
    try:
        key = (op.name, shapes, tuple([shape.axes for shape in shapes]), *args.values())
        kept = run.facts.get(key)
    except TypeError:  # an argument that cannot be hashed, of a plugin
        return _compute_facts(op, shapes, args)
    if kept is None:
        kept = run.facts[key] = _compute_facts(op, shapes, args)
    facts: Facts = kept
    return facts


def _recorded_facts(run: Elaboration, op: Op, shapes: tuple[Shape, ...], args: dict[str, Any]) -> Facts:
    """The same with sizes that are open: equal are those of one formula, not those of one value."""
    from archc.symbolic.recorded import identity

    try:
        key = (op.name, *map(identity, shapes), tuple([shape.axes for shape in shapes]), *map(identity, args.values()))
        kept: Facts | None = run.facts.get(key)
    except TypeError:
        return _compute_facts(op, shapes, args)
    if kept is None:
        kept = run.facts[key] = _compute_facts(op, shapes, args)
    return kept


def _compute_facts(op: Op, shapes: tuple[Shape, ...], args: dict[str, Any]) -> Facts:
    if op.built_in:
        facts = op(*shapes, **args)
    else:
        from archc.ops.plugins import facts_of as facts_of_plugin

        facts = facts_of_plugin(op, shapes, args)
    for shape in facts.outputs:
        if any(size > 2**53 for size in shape) or shape.values > 2**53:
            raise Fault(None, f"an output of shape {list(shape)}, which has more values than can be counted")
    return facts


def _report(run: Elaboration, fault: Fault, entry: Entry, written: Written, context: Context) -> None:
    span: Span = entry.kind_span
    if fault.argument in written.arguments:
        span = written.arguments[fault.argument][0]
    report_at(run, fault, span, context)


def report_at(run: Elaboration, fault: Fault, span: Span, context: Context) -> None:
    """A fault at a place of the spec; one of a plugin at its line there, with the way that led to it."""
    if fault.span is None:
        run.error(fault.code, span, fault.message, fault.hint, context.place)
    else:
        run.diagnostics.add(Diagnostic(fault.code, fault.message, fault.span, fault.hint, (*context.place.uses, Use(span.text, span))))


def register(run: Elaboration, context: Context, name: str, ref: Ref) -> None:
    """Gives a name of this level its meaning; a name stands once."""
    names = context.space.names
    taken = names.get(name)
    if taken is None or taken.weak:
        names[name] = ref
    elif not ref.weak:
        run.error("A305", ref.span, f'the name "{name}" is already taken here', f"first at {taken.span}", context.place)
