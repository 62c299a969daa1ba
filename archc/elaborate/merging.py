"""Merges: `add`, `mul`, `concat` … take branches that all start from the entry's input, or values that exist."""

from __future__ import annotations

from archc.elaborate import chains
from archc.elaborate.hints import beside
from archc.elaborate.layers import apply, register
from archc.elaborate.naming import check_name, enter, leave
from archc.elaborate.state import UNKNOWN, Context, Ref, Run, Values
from archc.language.entries import Entry
from archc.language.values import Mistake, evaluate
from archc.ops.registry import Op
from archc.text import tree as t
from archc.text.suggest import did_you_mean


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
        merged.extend([UNKNOWN] if entry.argument.broken else [])  # the branch that was refused
        for key, tree in entry.argument.items:
            if key.value in op.signature.params:
                trees[str(key.value)] = tree
                continue
            _check_branch(op, key, tree)
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


def _check_branch(op: Op, key: t.Scalar, tree: t.Tree) -> None:
    """What is no branch by its form is a misspelled argument, or a modifier a level too low."""
    name = str(key.value)
    plain = isinstance(tree, t.Scalar) and isinstance(tree.value, bool | int | float)
    hint = beside(name, op.name) or (did_you_mean(name, op.signature.params) if plain else None)
    if hint is not None:
        raise Mistake("A302", key.span, f'{op.name} has no argument "{name}"', hint)
