"""Merges: `add`, `mul`, `concat` … take branches that all start from the entry's input, or values that exist."""

from __future__ import annotations

from archc.elaborate import chains
from archc.elaborate.layers import apply, register
from archc.elaborate.naming import check_name, enter, leave
from archc.elaborate.state import Context, Ref, Run, Values
from archc.language.entries import Entry
from archc.language.values import evaluate
from archc.ops.registry import Op
from archc.text import tree as t


def has_branches(op: Op, argument: t.Tree | None) -> bool:
    """Whether a merge is given branches: a list, or names that are none of its arguments."""
    if isinstance(argument, t.Mapping):
        return any(key.value not in op.signature.params for key, _ in argument.items)
    return isinstance(argument, t.Sequence)


def apply_merge(run: Run, op: Op, entry: Entry, name: str, context: Context, inputs: Values) -> Values:
    """Branches first, then the merge. Named branches take names of this level; listed ones are numbered under the merge."""
    merged: list[object] = []
    trees: dict[str, t.Tree] = {}
    if isinstance(entry.argument, t.Mapping):
        for key, tree in entry.argument.items:
            if key.value in op.signature.params:
                trees[str(key.value)] = tree
                continue
            branch = check_name(str(evaluate(key, context.env)), key.span)
            key = t.Scalar(key.source, key.start, key.end, branch)
            merged.extend(chains.run_entry(run, tree, key, context, inputs))
    else:
        assert isinstance(entry.argument, t.Sequence)
        inner = enter(run, name, "", context, inputs, entry.kind_span)
        for tree in entry.argument.items:
            merged.extend(chains.run_entry(run, tree, None, inner, inputs))
        leave(run, inner, inputs)
    values, node = apply(run, op, entry, context.space.prefix + name, context, tuple(merged), trees)  # type: ignore[arg-type]
    register(run, context, name, Ref(values, entry.kind_span, made=node))
    return values
