"""`outputs`: the values that come out of a spec, and of a block, by name."""

from __future__ import annotations

from archc.elaborate.naming import check_name
from archc.elaborate.references import family, is_pattern, resolve
from archc.elaborate.state import UNKNOWN, Context, Elaboration, Ref, Values
from archc.graph import Value
from archc.language.functions import Unknown
from archc.language.values import Mistake, evaluate, is_expression
from archc.text import tree as t


def listed_outputs(run: Elaboration, tree: t.Tree, context: Context) -> list[tuple[str, t.Tree]]:
    """The name of each output with what was written for it: a mapping names them, in a list each has its own name."""
    if isinstance(tree, t.Mapping):
        return [(str(key.value), value) for key, value in tree.items]
    items = tree.items if isinstance(tree, t.Sequence) else [tree]
    return [pair for item in items for pair in _match_outputs(run, item, context)]


def _match_outputs(run: Elaboration, item: t.Tree, context: Context) -> list[tuple[str, t.Tree]]:
    """The output that a name in `outputs` is, or those that a pattern fits, each under its own name."""
    name = str(item.value) if isinstance(item, t.Scalar) else ""
    if not is_pattern(name) or is_expression(item):
        return [(name, item)]
    return [(member, t.Scalar(item.source, item.start, item.end, member)) for member in family(run, name, item.span, context)]


def block_outputs(run: Elaboration, tree: t.Tree, context: Context) -> Values:
    """The values that a block declares, in order; each is a name one level below the block, as its layers are."""
    pairs = listed_outputs(run, tree, context)
    if not pairs:
        return (UNKNOWN,)  # a pattern that fits nothing, of which it was said
    found: dict[str, Value] = {}
    names = context.space.names
    for name, item in pairs:
        try:
            values = resolve(run, evaluate(item, context.env), item.span, context)
            if isinstance(tree, t.Mapping):
                check_name(name, item.span, of_layer=False)
        except Mistake as mistake:
            run.mistake(mistake, context.place)
            values = (UNKNOWN,)
        except Unknown:
            values = (UNKNOWN,)
        if len(values) > 1:
            run.error("A502", item.span, f"{name} has {len(values)} values", f"name one: {name}.0", context.place)
            values = (UNKNOWN,)
        taken = names.get(name)
        if isinstance(tree, t.Mapping) and taken is not None and taken.values != values and UNKNOWN not in (*taken.values, *values):
            hint = f"a layer of the block is called so, at {taken.span}"
            run.error("A305", item.span, f'the output "{name}" has the name of another value', hint, context.place)
        elif isinstance(tree, t.Mapping) and taken is None:
            names[name] = Ref(values, item.span)
        found[name] = values[0]
    return tuple(found.values())
