"""`for` and `repeat`: how often an entry is there, and with which names."""

from __future__ import annotations

from typing import Any

from archc.elaborate.hints import meant
from archc.elaborate.state import Context
from archc.language.blocks import RULE, is_name
from archc.language.entries import Entry
from archc.language.values import Mistake, evaluate
from archc.signature import shown
from archc.text import tree as t
from archc.text.source import Span

COPY_NAMES = ("index", "first", "last")


def rows_of(entry: Entry, context: Context) -> list[dict[str, Any]]:
    """The rows of `for`: names to values, one for each copy."""
    tree = entry.modifiers.get("for")
    if tree is None:
        return [{}]
    value = evaluate(tree, context.env)
    if isinstance(value, dict):
        lists = {name: list(column) if isinstance(column, list | tuple) else None for name, column in value.items()}
        if None in lists.values() or not lists:
            name = next((name for name, column in lists.items() if column is None), None)
            what = f"{name} is {shown(value[name])}, not a list" if name is not None else "`for` binds no name"
            raise Mistake("A402", _at(tree, name), what, "`for` with names needs a list for each: {n: [2, 2], c: [64, 128]}")
        lengths = {name: len(column) for name, column in lists.items() if column is not None}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise Mistake("A404", tree.span, f"lists of different lengths: {told}", "make them equal")
        rows = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    elif isinstance(value, list) and all(isinstance(row, dict) for row in value):
        rows = value
    else:
        hint = meant(tree, value, context) or "for: [{c: 16}, {c: 24}], or for: {c: [16, 24]}"
        raise Mistake("A402", tree.span, f"`for` is {shown(value)}, not rows", hint)
    for index, row in enumerate(rows):
        if set(row) != set(rows[0]):
            odd = sorted(set(row) ^ set(rows[0]))[0]
            span = tree.items[index].span if isinstance(tree, t.Sequence) else tree.span
            raise Mistake("A404", span, f'not every row of `for` has "{odd}"', "rows bind the same names")
    _check_rebinding(rows, tree, context)
    return rows


def _check_rebinding(rows: list[dict[str, Any]], tree: t.Tree, context: Context) -> None:
    """A `for` may not change what a name means: never a silent shadow."""
    for name in rows[0] if rows else ():
        if not is_name(name):
            raise Mistake("A306", _at(tree, name), f'"{name}" cannot be a name of `for`', RULE)
        if name in context.env:
            raise Mistake("A305", _at(tree, name), f'"{name}" means something here already', "choose another name")


def _at(tree: t.Tree, name: str | None) -> Span:
    """Where `for` writes a name."""
    rows = tree.items if isinstance(tree, t.Sequence) else [tree]
    keys = [key for row in rows if isinstance(row, t.Mapping) for key, _ in row.items if key.value == name]
    return keys[0].span if keys else tree.span


def count_of(entry: Entry, context: Context) -> int:
    tree = entry.modifiers.get("repeat")
    if tree is None:
        return 1
    count = evaluate(tree, context.env)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise Mistake("A402", tree.span, f"repeat is {shown(count)}, not a whole number from 0 up", meant(tree, count, context))
    return count
