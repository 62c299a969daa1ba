"""`train`: the recipe of a spec, from what was written to a Recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from archc.elaborate.binding import arguments_of, bound
from archc.elaborate.recipe.checks import check_names, check_together
from archc.elaborate.state import Context, Elaboration
from archc.language.entries import Entry
from archc.language.functions import Unknown
from archc.language.values import Mistake, as_tree, evaluate, is_entry, is_expression
from archc.recipe.keys import DATA, KEYS, PARTS, STOP, VALUES
from archc.recipe.recipe import Data, EarlyStop, Part, Recipe
from archc.recipe.tables import MOST_PATTERN, TABLES
from archc.signature import MISSING, Param, Signature, Type, shown
from archc.signature.choices import FROM_ZERO, POSITIVE
from archc.text import tree as t
from archc.text.suggest import did_you_mean

Rows = Mapping[str, tuple[t.Scalar, t.Tree]]
Read = Callable[[Elaboration, t.Scalar, t.Tree], Any]
MOST_LISTED = 1_000
_EXAMPLES = {
    "optimizer": "write sgd or {adamw: {lr: 0.001}}",
    "schedule": "write cosine or {step: {every: 30}}",
    "loss": "write cross_entropy or {cross_entropy: {smoothing: 0.1}}",
    "augmentation": "a list of them: [flip, {crop: {padding: 4}}]",
}
_PATTERNS = "names of tensors, or patterns over them: [stem.*, layer1.*]"


def read_section(run: Elaboration, lenient: bool) -> None:
    """The recipe of the graph. `lenient`: it is a variant of the spec, in which a pattern may name nothing."""
    complete = not run.diagnostics.failed  # layers that are missing are not held against it
    recipe = read_rows(run, run.spec.train, Recipe())
    if recipe is None:
        return
    run.graph.recipe = recipe
    check_together(run, run.spec.train, recipe)
    if complete:
        check_names(run, run.spec.train, recipe, lambda tree: not lenient and tree.source is run.spec.source)


def read_rows(run: Elaboration, rows: Rows, base: Recipe) -> Recipe | None:
    """The recipe `base` with what was written in its place; None after a mistake."""
    values = {name: _setting(run, name, key, tree) for name, (key, tree) in rows.items()}
    return None if MISSING in values.values() else replace(base, **values)


def _setting(run: Elaboration, name: str, key: t.Scalar, tree: t.Tree) -> Any:
    """The value of one key; MISSING after a mistake."""
    if name not in KEYS:
        from archc.aliases.entries import setting_hint

        hint = setting_hint(name) or did_you_mean(name, KEYS) or f"it has {', '.join(KEYS)}"
        run.error("A201", key.span, f'unknown key "{name}" in train', hint)
        return MISSING
    try:
        if name in VALUES.params:
            return _arguments(run, Entry(tree, name, key.span, tree), VALUES, {name: tree})[name]
        return _READERS[name](run, key, tree)
    except Mistake as mistake:
        run.mistake(mistake)
    except Unknown:
        pass
    return MISSING


def _arguments(run: Elaboration, entry: Entry, signature: Signature, trees: dict[str, t.Tree] | None = None) -> dict[str, Any]:
    """The arguments of an entry, or those given; Unknown is raised after a mistake."""
    context = _context(run)
    if trees is None:
        trees = arguments_of(run, entry, signature, entry.kind, context)
    else:
        signature = Signature({name: signature.params[name] for name in trees})
    found = bound(run, entry, signature=signature, trees=trees, preset={}, what=entry.kind, context=context) if trees is not None else None
    if found is None:
        raise Unknown
    return found


def _context(run: Elaboration) -> Context:
    assert run.top is not None
    return run.top


def _resolve_tree(run: Elaboration, tree: t.Tree) -> t.Tree:
    """What was written, or what an expression gives, as if it were written there."""
    if not is_expression(tree):
        return tree
    value = evaluate(tree, _context(run).env)
    return as_tree(value, tree) if value is None or isinstance(value, bool | int | float) or is_entry(value) else tree


def _part(run: Elaboration, what: str, tree: t.Tree) -> Part:
    """One of a table: a word, or one name with its arguments. Raises Mistake, Unknown."""
    tree, table = _resolve_tree(run, tree), TABLES[what]
    if isinstance(tree, t.Mapping) and len(tree.items) == 1:
        name, argument = tree.items[0]
        entry = Entry(tree, str(name.value), name.span, argument)
    elif isinstance(tree, t.Scalar) and isinstance(tree.value, str):
        entry = Entry(tree, tree.value, tree.span, None)
    elif isinstance(tree, t.Mapping) and tree.broken:
        raise Unknown
    else:
        article = "an" if what[0] in "aeiou" else "a"
        raise Mistake("A202", tree.span, f"{article} {what} is one word, or one name with its arguments", _EXAMPLES[what])
    if entry.kind not in table:
        from archc.aliases.entries import choice_hint

        hint = choice_hint(what, entry.kind) or did_you_mean(entry.kind, table) or f"there are {', '.join(table)}"
        raise Mistake("A201", entry.kind_span, f'no {what} is called "{entry.kind}"', hint)
    signature = table[entry.kind].signature
    for key, _ in entry.argument.items if isinstance(entry.argument, t.Mapping) else ():
        if key.value not in signature.params:
            from archc.aliases.entries import choice_argument_hint

            if (known_hint := choice_argument_hint(entry.kind, str(key.value), signature.params)) is not None:
                raise Mistake("A302", key.span, f'{entry.kind} has no argument "{key.value}"', known_hint)
    arguments = _arguments(run, entry, signature)
    fault = table[entry.kind].check(arguments)
    if fault is not None:
        at = entry.argument.get(fault.argument) if isinstance(entry.argument, t.Mapping) and fault.argument else None
        raise Mistake(fault.code, at.span if at is not None else entry.kind_span, fault.message, fault.hint)
    return Part(entry.kind, arguments)


def _augment(run: Elaboration, key: t.Scalar, tree: t.Tree) -> tuple[Part, ...]:
    tree = _resolve_tree(run, tree)
    if isinstance(tree, t.Scalar) and tree.value is None:
        return ()
    items = tree.items if isinstance(tree, t.Sequence) else [tree]
    _limit(items, key)
    found: list[Part] = []
    good = True
    for item in items:
        try:
            found.append(_part(run, "augmentation", item))
        except Mistake as mistake:
            run.mistake(mistake)
            good = False
        except Unknown:
            good = False
    if not good:
        raise Unknown
    return tuple(found)


def _limit(items: list[Any], key: t.Scalar) -> None:
    if len(items) > MOST_LISTED:
        raise Mistake("A603", key.span, f"{len(items):,} items, more than the {MOST_LISTED:,} that are read", "write fewer")


def _data(run: Elaboration, key: t.Scalar, tree: t.Tree) -> Data:
    return Data(**_arguments(run, Entry(tree, "data", key.span, tree), DATA))


def _stop(run: Elaboration, key: t.Scalar, tree: t.Tree) -> EarlyStop | None:
    tree = _resolve_tree(run, tree)
    if isinstance(tree, t.Scalar) and tree.value is None:
        return None
    return EarlyStop(**_arguments(run, Entry(tree, "stop", key.span, tree), STOP))


def _numbers(kind: Type, example: str) -> Read:
    """A reader of a mapping of names to numbers."""

    def read(run: Elaboration, key: t.Scalar, tree: t.Tree) -> dict[str, float]:
        rows = _rows(key, tree, example)
        signature = Signature({name: Param(name, kind) for name in rows})
        return _arguments(run, Entry(tree, str(key.value), key.span, tree), signature, {name: value for name, (_, value) in rows.items()})

    return read


def _rows(key: t.Scalar, tree: t.Tree, example: str) -> dict[str, tuple[t.Scalar, t.Tree]]:
    """The pairs of a mapping by their keys; null has none."""
    if isinstance(tree, t.Scalar) and tree.value is None:
        return {}
    if not isinstance(tree, t.Mapping):
        raise Mistake("A202", tree.span, f"{key.value} must be a mapping", example)
    if tree.broken:
        raise Unknown
    _limit(tree.items, key)
    return {str(name.value): (name, value) for name, value in tree.items}


def _patterns(run: Elaboration, key: t.Scalar, tree: t.Tree) -> tuple[str, ...]:
    """A pattern, or a list of them."""
    value = evaluate(tree, _context(run).env)
    if value is None:
        return ()
    found = value if isinstance(value, list) else [value]
    _limit(found, key)
    for at, entry in enumerate(found):
        if not isinstance(entry, str) or not 0 < len(entry) <= MOST_PATTERN:
            where = tree.items[at] if isinstance(tree, t.Sequence) else tree
            raise Mistake("A402", where.span, f"{shown(entry)} is not a pattern", _PATTERNS)
    return tuple(found)


def _unfreeze(run: Elaboration, key: t.Scalar, tree: t.Tree) -> dict[int, tuple[str, ...]]:
    """Patterns by the epoch at which they begin to learn."""
    found: dict[int, tuple[str, ...]] = {}
    for text, (epoch, patterns) in _rows(key, tree, "unfreeze: {5: [layer4.*]}").items():
        if not re.fullmatch(r"0|[1-9][0-9]{0,6}", text):
            raise Mistake("A402", epoch.span, f'"{text}" is not an epoch', "a whole number from 0 up, as in {5: [layer4.*]}")
        found[int(text)] = _patterns(run, key, patterns)
    return dict(sorted(found.items()))


def _chooses(what: str) -> Read:
    return lambda run, key, tree: _part(run, what, tree)


_READERS: dict[str, Read] = {
    **{name: _chooses(what) for name, what in PARTS.items()},
    "augment": _augment,
    "data": _data,
    "stop": _stop,
    "heads": _numbers(FROM_ZERO, "heads: {aux1: 0.3}"),
    "rates": _numbers(POSITIVE, 'rates: {"features.*": 0.1}'),
    "freeze": _patterns,
    "unfreeze": _unfreeze,
}
