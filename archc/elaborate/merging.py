"""Merges: `add`, `mul`, `concat` … take branches that all start from the entry's input, or values that exist."""

from __future__ import annotations

from archc.elaborate import chains
from archc.elaborate.hints import is_visible
from archc.elaborate.layers import apply, register
from archc.elaborate.naming import enter, leave
from archc.elaborate.state import UNKNOWN, Context, Elaboration, Ref, Values
from archc.elaborate.unknown import find_argument_hint
from archc.language.entries import MODIFIERS, Entry
from archc.language.values import Mistake
from archc.ops.registry import Op
from archc.text import tree as t


def has_branches(op: Op, argument: t.Tree | None) -> bool:
    """Whether a merge is given branches: a list, or names that are none of its arguments."""
    if isinstance(argument, t.Mapping):
        return any(key.value not in op.signature.params for key, _ in argument.items)
    return isinstance(argument, t.Sequence)


def apply_merge(run: Elaboration, op: Op, entry: Entry, name: str, context: Context, inputs: Values) -> Values:
    """Branches first, then the merge. Named branches take names of this level; listed ones are numbered under the merge."""
    merged: list[object] = []
    below = None  # the level of listed branches
    trees: dict[str, t.Tree] = {}
    if isinstance(entry.argument, t.Mapping):
        merged.extend([UNKNOWN] if entry.argument.broken else [])  # the branch that was refused
        for key, tree in entry.argument.items:
            if key.value in op.signature.params:
                trees[str(key.value)] = tree
                continue
            _check_branch(run, op, entry, key, tree, context)
            merged.extend(chains.run_entry(run, tree, key, context, inputs, branch=True))
    else:
        assert isinstance(entry.argument, t.Sequence)
        _check_values(op, entry.argument, context)
        inner = enter(run, name, "", context, inputs, entry.kind_span)
        for tree in entry.argument.items:
            merged.extend(chains.run_entry(run, tree, None, inner, inputs, branch=True))
        leave(run, inner, inputs)
        below = inner.space
    values, node = apply(run, op, entry, name=context.space.prefix + name, context=context, inputs=tuple(merged), trees=trees)  # type: ignore[arg-type]
    register(run, context, name, Ref(values, entry.kind_span, below, made=node))
    return values


def _check_values(op: Op, branches: t.Sequence, context: Context) -> None:
    """Branches are layers; names of values alone are for `from`."""
    names = [branch.value for branch in branches.items if isinstance(branch, t.Scalar) and isinstance(branch.value, str)]
    if len(names) < 2 or len(names) < len(branches.items) or not all(is_visible(name, context) for name in names):
        return
    listed = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    message = f"{' and '.join(names[:2])}{' …' if len(names) > 2 else ''} are values, but branches must be layers"
    raise Mistake("A301", branches.span, message, f"write {{from: [{listed}], {op.name}: }}")


def _check_branch(run: Elaboration, op: Op, entry: Entry, key: t.Scalar, tree: t.Tree, context: Context) -> None:
    """What is no branch by its form is a misspelled argument, or a modifier a level too low."""
    if not (isinstance(tree, t.Scalar) and isinstance(tree.value, bool | int | float)) and key.value not in MODIFIERS:
        return
    assert isinstance(entry.argument, t.Mapping)
    given = [str(other.value) for other, _ in entry.argument.items]
    hint = find_argument_hint(run, entry, kind=op.name, key=key, value=tree, given=given, signature=op.signature, context=context)
    if hint is not None:
        raise Mistake("A302", key.span, f'{op.name} has no argument "{key.value}"', hint)
