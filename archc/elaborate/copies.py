"""Copies of an entry: one for each row of `for`, times `repeat`; one after the other, or side by side as branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archc.elaborate import chains
from archc.elaborate.hints import meant
from archc.elaborate.layers import register
from archc.elaborate.naming import enter, leave, reopen
from archc.elaborate.state import MOST_FAILING, UNKNOWN, Context, Elaboration, Ref, Values
from archc.language.blocks import RULE, is_name
from archc.language.entries import Entry
from archc.language.values import Mistake, evaluate, names_in
from archc.signature import shown
from archc.text import tree as t
from archc.text.source import Span


def run_copies(run: Elaboration, entry: Entry, key: t.Scalar | None, context: Context, current: Values, branch: bool) -> Values:
    """What comes out of all copies of an entry. Of copies in a chain that is the last one's value; of branches, the value of each.

    `branch`: the entry is a branch of a merge, in which rows that have their own names or numbers are branches of their own.
    """
    rows = rows_of(entry, context)
    family = _Family(run=run, entry=entry, key=key, context=context, rows=rows, start=current, branch=branch)
    group = family.open(context) if family.grouped and not family.names_rows and (rows or family.read <= context.env.keys()) else None
    for row in rows:
        if family.failing > MOST_FAILING:
            break
        run.step(entry.kind_span, context)
        family.run_row(row, group)
    values = family.finish()
    if group is not None:
        family.close(group, values or family.current, not family.count)
    elif key is not None and not family.names_rows and not family.names_copies and family.read <= context.env.keys():
        family.name_inline(context, values or family.current, not family.count)
    return values


class _Family:
    """The copies of one entry, in the making.

    A branch begins at each row (without `for`, at each copy) where the copies are `parallel`, and once where they are a chain.

    current: the value after the latest copy, or what the next branch starts from
    started: whether the present branch has a copy, so that the next one takes its value and not what `from` names
    count: the copies that are there
    failing: the copies in succession, up to the latest, whose values are unknown
    """

    def __init__(
        self,
        *,
        run: Elaboration,
        entry: Entry,
        key: t.Scalar | None,
        context: Context,
        rows: list[dict[str, Any]],
        start: Values,
        branch: bool,
    ) -> None:
        self.run, self.entry, self.key, self.context, self.start, self.branch = run, entry, key, context, start, branch
        modifiers = entry.modifiers
        of_rows = {name for row in rows for name in row}
        of_copies = set(COPY_NAMES) if "repeat" in modifiers else set()
        self.read = names_in(key)
        self.names_rows, self.names_copies = bool(self.read & of_rows), bool(self.read & of_copies)
        self.grouped = key is not None and entry.kind != "inline" and not self.names_copies
        self.parallel_given = "parallel" in modifiers
        apart = (key is None and "for" in modifiers) or self.names_rows or self.names_copies
        self.parallel = chains.flag(modifiers["parallel"], "parallel", context) if self.parallel_given else branch and apart
        self.by_rows = "for" in modifiers
        source = names_in(modifiers.get("from"))
        self.own_from = bool(source & of_copies) or (bool(source & of_rows) and not self.parallel)
        self.branches: list[Values] = []
        self.current = start
        self.started = False
        self.count = 0
        self.counted_rows = 0
        self.failing = 0
        self.home, self.levels = context, list[Ref]()  # where the name of the present level stands, and the levels that lead there

    def run_row(self, row: Mapping[str, Any], group: Context | None) -> None:
        """The copies of one row of `for`."""
        context = self.context.bound(row) if row else self.context
        before = self.count
        if self.parallel and self.by_rows:
            self._begin()
        count = count_of(self.entry, context)
        if self.grouped and self.names_rows and "repeat" not in self.entry.modifiers:
            assert self.key is not None
            self._copy(context, chains.name_of(self.key, context, self.entry))
        else:
            own = self.open(context) if self.grouped and self.names_rows else None
            self._repeat(context, count, own or group)
            if own is not None:
                self.close(own, self.current, self.count == before)
            elif self.names_rows and not self.names_copies and self.key is not None:
                self.name_inline(context, self.current, self.count == before)
        if self.parallel and self.by_rows:
            self._end(before)
        self.counted_rows += self.count > before

    def _repeat(self, context: Context, count: int, group: Context | None) -> None:
        for index in range(int(count)):
            if self.failing > MOST_FAILING:
                break
            self.run.step(self.entry.kind_span, self.context)
            before = self.count
            if self.parallel and not self.by_rows:
                self._begin()
            copy = context
            if "repeat" in self.entry.modifiers:
                copy = context.bound({"index": index, "first": index == 0, "last": index == count - 1})
            name = chains.name_of(self.key, copy, self.entry) if self.names_copies and self.key is not None else None
            self._copy(copy if group is None else copy.inside(group.space, copy.lookup), name)
            if self.parallel and not self.by_rows:
                self._end(before)

    def _copy(self, context: Context, name: str | None) -> None:
        chained = self.started and not self.own_from
        copy = chains.make_copy(self.run, self.entry, name, context, self.current, chained, later=self.count > 0)
        self.current = copy.values
        self.failing = self.failing + 1 if UNKNOWN in copy.values else 0
        context.space.cut |= self.failing > MOST_FAILING
        if not copy.present:
            return
        self.count += 1
        if copy.aside:  # the chain goes on from before it, and so does the next copy
            return
        self.started = True
        if chained and not self.branch and (self.counted_rows or self.names_copies):
            self._warn_of_chain()

    def _begin(self) -> None:
        self.current, self.started = self.start, False

    def _end(self, before: int) -> None:
        """The end of a branch. One whose copies are all left out, or there in training alone and no part of the chain, is none."""
        if self.started or (self.branch and self.count > before):
            self.branches.append(self.current)

    def finish(self) -> Values:
        """The values of all branches, or of the chain. Where nothing is there, the input passes on; of a merge's branches, none is left."""
        if not self.parallel:
            if self.branch and self.by_rows and not self.parallel_given and self.counted_rows > 1:
                self._warn_of_branch()
            return self.current
        if self.branches or self.branch:
            return tuple(value for values in self.branches for value in values)
        return self.current

    def open(self, context: Context) -> Context:
        """The level of names that copies under one name have."""
        assert self.key is not None
        name, self.home = chains.name_of(self.key, context, self.entry), self.context
        if "." in name:
            context, name, self.levels = reopen(self.run, name, context, self.key.span)
            self.home = context
        return enter(self.run, name, "", context, self.current, self.entry.kind_span)

    def close(self, group: Context, values: Values, left_out: bool) -> None:
        assert self.key is not None
        scope = group.space.scope
        leave(self.run, group, values)
        register(self.run, self.home, scope.label, Ref(values, self.key.span, group.space, scope, left_out=left_out))
        for ref in self.levels:
            ref.values = values

    def name_inline(self, context: Context, values: Values, left_out: bool) -> None:
        """What the key of copies that stand on this level means: the value after them."""
        assert self.key is not None
        name = chains.name_of(self.key, context, self.entry)
        if name not in self.context.space.names:
            register(self.run, self.context, name, Ref(values, self.key.span, weak=True, left_out=left_out))

    def _warn_of_chain(self) -> None:
        source = self.entry.modifiers.get("from")
        if source is not None and not self.parallel_given:
            self.parallel_given = True
            message = f"only the first copy takes `{source.span.text}`; each later one takes the copy before it"
            hint = "write `parallel: true` for branches side by side, `parallel: false` for a chain"
            self.run.warn("A904", source.span, message, hint, self.context.place)

    def _warn_of_branch(self) -> None:
        assert self.key is not None
        message = f'the copies under the name "{self.key.value}" form one branch, a chain'
        hint = "write `parallel: true` for a branch each, `parallel: false` for a chain"
        self.run.warn("A904", self.entry.modifiers["for"].span, message, hint, self.context.place)


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
            lengths_text = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise Mistake("A404", tree.span, f"lists of different lengths: {lengths_text}", "make them equal")
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
            raise Mistake("A404", span, f'not every row of `for` has "{odd}"', "every row must bind the same names")
    _check_rebinding(rows, tree, context)
    return rows


def _check_rebinding(rows: list[dict[str, Any]], tree: t.Tree, context: Context) -> None:
    """A `for` may not change what a name means: never a silent shadow."""
    for name in rows[0] if rows else ():
        if not is_name(name):
            raise Mistake("A306", _at(tree, name), f'"{name}" is not allowed as a name in `for`', RULE)
        if name in context.env:
            raise Mistake("A305", _at(tree, name), f'"{name}" already has a meaning here', "choose another name")


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
