"""Entries and chains: the forms in which layers are written."""

from __future__ import annotations

from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.source import Span
from archc.text.suggest import did_you_mean

MODIFIERS = {
    "from": "the values that the entry takes, instead of the previous entry's",
    "repeat": "how many copies, each with its own weights",
    "for": "one copy for each row, with the row's names bound",
    "when": "whether the entry is there",
    "expect": "what must come out: shape, channels, parameters, macs",
    "train_only": "whether it is there in training alone",
}
GROUPS = {
    "layers": "a chain of entries, one level down",
    "inline": "a chain of entries on this level",
    "share": "a layer that stands before, applied again with the same weights",
}


class Entry:
    """One entry: its kind, the kind's argument, its modifiers."""

    __slots__ = ("argument", "kind", "kind_span", "modifiers", "tree")

    def __init__(self, tree: t.Tree, kind: str, kind_span: Span, argument: t.Tree | None) -> None:
        self.tree = tree
        self.kind = kind
        self.kind_span = kind_span
        self.argument = argument
        self.modifiers: dict[str, t.Tree] = {}

    @property
    def span(self) -> Span:
        return self.tree.span


class Chain:
    """Entries in order. A mapping names them by key, a list numbers them (the keys are None)."""

    __slots__ = ("entries",)

    def __init__(self, entries: list[tuple[t.Scalar | None, t.Tree]]) -> None:
        self.entries = entries


def read_chain(tree: t.Tree | None, diagnostics: Diagnostics, where: Span) -> Chain | None:
    """A chain: a list of entries, or a mapping of names to entries. None, with a diagnostic, where it is neither."""
    if isinstance(tree, t.Sequence):
        return Chain([(None, item) for item in tree.items])
    if isinstance(tree, t.Mapping):
        return Chain([(key, value) for key, value in tree.items])
    span = tree.span if tree is not None and tree.end > tree.start else where
    diagnostics.error("A202", span, "not a chain of layers", "a list of entries, or a mapping of names to entries")
    return None


def read_entry(tree: t.Tree, diagnostics: Diagnostics) -> Entry | None:
    """An entry: a word, a mapping with one kind and its modifiers, or a nested chain. Read once; None where it is none."""
    if tree.entry_memo is None:
        tree.entry_memo = _read(tree, diagnostics) or False
    return tree.entry_memo or None


def _read(tree: t.Tree, diagnostics: Diagnostics) -> Entry | None:
    if isinstance(tree, t.Sequence):
        return Entry(tree, "layers", tree.span, tree)
    if isinstance(tree, t.Mapping):
        return _read_mapping(tree, diagnostics)
    assert isinstance(tree, t.Scalar)
    if isinstance(tree.value, str):
        return Entry(tree, tree.value, tree.span, None)
    if tree.value is None:
        return Entry(tree, "null", tree.span, None)
    if tree.value is t.BROKEN:
        return None
    diagnostics.error("A202", tree.span, "not a layer", "a layer's name, as in `relu`, or a mapping, as in `{conv: 64}`")
    return None


def _read_mapping(tree: t.Mapping, diagnostics: Diagnostics) -> Entry | None:
    kinds = [(key, value) for key, value in tree.items if key.value not in MODIFIERS]
    if not kinds and tree.broken:
        return None
    if not kinds:
        at = tree.items[0][0].span if tree.items else tree.span
        found = "modifiers alone" if tree.items else "an empty mapping"
        diagnostics.error("A203", at, f"{found}, and no layer", "add one, as in `conv: {channels: 64}`")
        return None
    if len(kinds) > 1:
        _several_kinds(kinds, diagnostics)
        return None
    key, argument = kinds[0]
    entry = Entry(tree, str(key.value), key.span, argument)
    entry.modifiers = {str(k.value): value for k, value in tree.items if k is not key}
    return entry


def _several_kinds(kinds: list[tuple[t.Scalar, t.Tree]], diagnostics: Diagnostics) -> None:
    """Two keys that are no modifiers: one is misspelled, or an argument stands a level too high."""
    for key, _ in kinds:
        hint = did_you_mean(str(key.value), MODIFIERS)
        if hint:
            diagnostics.error("A201", key.span, f'unknown modifier "{key.value}"', hint)
            return
    first, second = kinds[0][0], kinds[1][0]
    inside = f"{{{first.value}: {{…, {second.value}: …}}}}"
    hint = f"an argument of {first.value} goes inside it: {inside}; a second layer needs an entry of its own"
    diagnostics.error("A203", second.span, f'an entry is one layer; this is "{first.value}" and "{second.value}"', hint)
