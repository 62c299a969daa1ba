"""The beginning and the end of elaboration: parameters, inputs, the chain of layers, outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archc.elaborate import chains
from archc.elaborate.blocks import axes_of
from archc.elaborate.initial import initialize
from archc.elaborate.inputs import read_inputs
from archc.elaborate.kinds import find_kind, is_kind
from archc.elaborate.outputs import listed_outputs
from archc.elaborate.overwritten import warn_of_overwritten
from archc.elaborate.references import resolve
from archc.elaborate.state import UNKNOWN, Closure, Context, Elaboration, ElaborationStopped, Place, Space, Values
from archc.elaborate.suspicion import explain, warn
from archc.elaborate.unmet import check_unmet
from archc.graph import Graph, PassedOn, Promise
from archc.language.budget import read_limit
from archc.language.entries import GROUPS, MODIFIERS
from archc.language.expression import INCOMPLETE
from archc.language.functions import Unknown, budget
from archc.language.spec import Spec
from archc.language.values import Mistake, evaluate, names_in
from archc.signature import shown
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.source import Span
from archc.text.suggest import did_you_mean

if TYPE_CHECKING:
    from archc.symbolic.tape import Tape


def elaborate(
    spec: Spec,
    diagnostics: Diagnostics,
    changes: Mapping[str, t.Tree],
    inputs: Mapping[str, t.Tree],
    sizes: Mapping[str, int] | None = None,
    tape: Tape | None = None,
) -> Graph | None:
    """The graph of a spec. `changes` are values for its parameters, `inputs` shapes in place of its own ("" is the only one).

    sizes: those of open axes, by name; with a `tape` they are recorded on it, and so are the sizes of the graph

    None where something is wrong; `diagnostics` then says what, all that could be found.
    """
    run = Elaboration(spec, diagnostics, sizes=sizes, tape=tape)
    budget.fill()
    try:
        _elaborate(run, changes, inputs)
    except ElaborationStopped:
        return None
    except RecursionError:
        diagnostics.error("A602", spec.layers_span or Span(spec.source, 0, 1), "nested too deeply")
    if not diagnostics.failed:
        if tape is None:
            warn(run)
            warn_of_overwritten(run)
        return run.graph
    diagnostics.drop_followers()
    if tape is None:
        explain(run, lambda name, shape: _in_another_shape(spec, changes, {**inputs, name: shape}))
    return None


def _in_another_shape(spec: Spec, changes: Mapping[str, t.Tree], inputs: Mapping[str, t.Tree]) -> Elaboration | None:
    """The elaboration with another input, whatever comes of it; None where it does not end well."""
    run = Elaboration(spec, Diagnostics(), trial=True)  # of what is left of the spec's work: there may be many inputs to try
    try:
        _elaborate(run, changes, inputs)
    except (ElaborationStopped, RecursionError):
        return None
    return run


def _elaborate(run: Elaboration, changes: Mapping[str, t.Tree], inputs: Mapping[str, t.Tree]) -> None:
    env = run.graph.params = _params(run, changes)
    place = Place(None, {}, (), 0)
    shapes = read_inputs(run, env, inputs)
    place.inputs = {name: (value,) for name, value in shapes.items()}
    names: dict[str, Any] = dict(axes_of(place.inputs))
    context = Context(space := Space(run.graph.root, None), space, names, place)
    run.top = context
    _closures(env, context)
    for name in env.keys() & shapes.keys():
        run.error("A305", run.spec.params[name][0].span, f'"{name}" is already an input', "choose another name")
    names.update(env)
    current: Values = tuple(shapes.values())
    if run.spec.layers is not None:
        current = chains.run_chain(run, run.spec.layers, context.chained(current), current)
    _outputs(run, context, current)
    _check_batch(run)
    _promises(run, env)
    _budget(run, env)
    _check_defaults(run)
    check_unmet(run)
    if run.tape is None:  # how weights begin is no figure
        initialize(run, lenient=bool(changes or inputs))
    run.graph.inputs = shapes
    run.graph.rename = run.spec.rename
    used = {value for node in run.graph.nodes for value in node.inputs} | set(run.graph.outputs.values())
    run.graph.heads = {name: value for name, value in run.graph.heads.items() if value not in used}
    run.graph.root.stop = len(run.graph.nodes)
    if run.spec.train and run.tape is None:
        from archc.elaborate.recipe.reading import read_section

        read_section(run, lenient=bool(changes or inputs))


def _params(run: Elaboration, changes: Mapping[str, t.Tree]) -> dict[str, Any]:
    """The spec's parameters in their order; each may use those before it."""
    env: dict[str, Any] = {INCOMPLETE: Unknown} if run.spec.no_params else {}
    for name, (_, tree) in run.spec.params.items():
        value = tree if _is_layer(run, tree) else _param(run, tree, env)
        if name in changes:
            value = _convert(run, name, value, changes[name])
        env[name] = value
    for name, tree in changes.items():
        if name not in run.spec.params:
            hint = did_you_mean(name, run.spec.params) or f"it has {', '.join(run.spec.params) or 'none'}"
            run.error("A307", tree.span, f'{run.spec.name} has no parameter "{name}"', hint)
    return env


def _is_layer(run: Elaboration, tree: t.Tree) -> bool:
    """Whether a parameter is a layer, as in `act: {leaky_relu: 0.1}`, and not a mapping of values."""
    kinds = [str(key.value) for key, _ in tree.items if key.value not in MODIFIERS] if isinstance(tree, t.Mapping) else []
    return len(kinds) == 1 and is_kind(run.spec.blocks, kinds[0])


def _param(run: Elaboration, tree: t.Tree, env: dict[str, Any]) -> Any:
    later = [name for name in names_in(tree) if name in run.spec.params and name not in env]
    if not later:
        return _value(run, tree, env)
    run.error("A303", tree.span, f'"{min(later)}" is not known here', "a parameter can only read earlier ones")
    return Unknown


def _value(run: Elaboration, tree: t.Tree, env: dict[str, Any]) -> Any:
    try:
        return evaluate(tree, env)
    except Mistake as mistake:
        run.mistake(mistake)
    except Unknown:
        pass
    return Unknown


def _convert(run: Elaboration, name: str, default: Any, tree: t.Tree) -> Any:
    """A value from outside, if it is of the default's kind."""
    if _is_layer(run, tree) and isinstance(default, str | t.Mapping | None):
        return tree
    value = _value(run, tree, {})
    kinds = {
        t.Mapping: (str | None, "a layer"),
        bool: (bool, "true or false"),
        int: (int, "a whole number"),
        float: ((int, float), "a number"),
        str: (str, "a text"),
        list: (list, "a list"),
    }
    wanted, expectation = kinds.get(type(default), (object, ""))
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool and wanted is not object):
        run.error(
            "A402",
            tree.span,
            f"{name} is {shown(value)}, not {expectation}",
            f"as its default, {default.span.text if isinstance(default, t.Mapping) else shown(default)}",
        )
    return value


def _closures(params: dict[str, Any], context: Context) -> None:
    """Parameters that are layers wait for the place where they are used."""
    for name, value in params.items():
        if isinstance(value, t.Mapping):
            params[name] = Closure(value, context)


def _outputs(run: Elaboration, context: Context, current: Values) -> None:
    tree = run.spec.outputs
    if tree is None:
        if UNKNOWN not in current:
            names = ["output"] if len(current) == 1 else [f"output.{i}" for i in range(len(current))]
            run.graph.outputs = dict(zip(names, current, strict=True))
            where = _explain_passed_on(run)
            run.graph.passed_on = {name: where for name, value in run.graph.outputs.items() if value.node is None}
        return
    pairs = listed_outputs(run, tree, context)
    if not pairs:
        run.error("A202", tree.span, "outputs names nothing", "remove it: by default, the last layer is the output")
    run.training += 1  # an output may be there in training alone
    for name, item in pairs:
        found = _value(run, item, dict(context.env))
        values = resolve(run, found, item.span, context) if found is not Unknown else (UNKNOWN,)
        if len(values) > 1:
            run.error("A502", item.span, f"{name} has {len(values)} values", f"name one: {name}.0")
        run.graph.outputs[name] = values[0]
        if values[0].node is None and values[0] is not UNKNOWN and found not in ("input", *context.place.inputs):
            run.graph.passed_on[name] = PassedOn(item.span, f"write `{values[0].name}` if it is meant")
    run.training -= 1


def _check_batch(run: Elaboration) -> None:
    """No output may have axes of its own in the batch axis, where nobody outside would look for them."""
    for name, value in (*run.graph.outputs.items(), *run.graph.heads.items()):
        if value.shape.joined and value.node is not None and value.node.written is not None:
            axes = " and ".join(f"the {size}" for size in value.shape[: value.shape.joined])
            message = f"{name}, of shape {list(value.shape)}, has {axes} in the batch axis"
            run.error("A502", value.node.written.kind, message, "`leave_batch` before the end")


def _explain_passed_on(run: Elaboration) -> PassedOn:
    """Why an input comes out at the end: because of the entry that `when` left out at the very end, or else where the chain ends."""
    if run.left_out is not None and run.left_out[0] == run.steps:
        _, where, uses = run.left_out
        hint = "`when` leaves this out and passes its first value on; {when: …, inline: [{from: …}]} passes on the value before it"
        return PassedOn(where, hint, uses)
    entries = run.spec.layers.entries if run.spec.layers is not None else []
    key, tree = entries[-1] if entries else (None, None)
    span: Span | None = key.span if key is not None else tree.span if tree is not None else run.spec.layers_span
    return PassedOn(span or Span(run.spec.source, 0, 1), "name the outputs in `outputs`; write `outputs: input` if this is meant")


def _promises(run: Elaboration, env: dict[str, Any]) -> None:
    for metric, (_, tree) in run.spec.expect.items():
        value = _value(run, tree, env)
        if value is not Unknown:
            output = next(iter(run.graph.outputs.values()), None)
            run.graph.promises.append(
                Promise(
                    metric=metric,
                    wanted=value,
                    span=tree.span,
                    nodes=None,
                    value=output,
                    uses=(),
                    heir=run.spec.superseded.get(tree.source),
                )
            )


def _budget(run: Elaboration, env: dict[str, Any]) -> None:
    for figure, (_, tree) in run.spec.budget.items():
        value = _value(run, tree, env)
        if value is Unknown:
            continue
        try:
            run.graph.budget.append(read_limit(figure, value, tree))
        except Mistake as mistake:
            run.mistake(mistake)


def _check_defaults(run: Elaboration) -> None:
    """`defaults` of what does not exist, and of what nothing used (its arguments have not been looked at yet)."""
    from archc.elaborate.binding import preset_of
    from archc.elaborate.unknown import suggest_layer

    for kind, (key, _) in run.spec.defaults.items():
        if kind in GROUPS:
            run.error("A301", key.span, f'"{kind}" takes no arguments', "defaults are for layers and blocks")
            continue
        try:
            found = find_kind(run.spec.blocks, kind, key.span)
        except Mistake as mistake:
            run.mistake(mistake)
            continue
        if found is None and run.spec.no_blocks:
            continue
        if found is None:
            run.error("A301", key.span, f'no layer or block is called "{kind}"', suggest_layer(run, kind))
        else:
            preset_of(run, kind, found.signature)
