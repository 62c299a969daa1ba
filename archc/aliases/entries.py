"""Hints for the keys of entries and specs that are called otherwise elsewhere."""

from __future__ import annotations

from archc.aliases.table import Alias, find_layer, fold, table
from archc.aliases.values import as_written
from archc.text import tree as t

MOST = 6  # arguments that are drawn


def modifier_hint(word: str, kinds: list[tuple[t.Scalar, t.Tree]]) -> str | None:
    """What to write for a key that stands beside a layer and is no modifier. `kinds` are all such keys of the entry."""
    meant = table().modifiers.get(fold(word))
    if meant == "kind":
        return f"the layer's name is the key: {_as_entry(word, kinds)}"
    if meant == "name":
        return "an entry is named by its key in a mapping: {name: {conv: 64}}"
    return f"the modifier is called `{meant}`" if meant is not None else None


def key_hint(word: str, known: tuple[str, ...]) -> str | None:
    """The key of a spec that another word means; None where the mapping has no such key."""
    meant = key_meant(word)
    return f"here it is called `{meant}`" if meant in known else None


def key_meant(word: str) -> str:
    return table().keys.get(fold(word), "")


def _as_entry(word: str, kinds: list[tuple[t.Scalar, t.Tree]]) -> str:
    """`{type: conv, channels: 64}` as `{conv: {channels: 64}}`."""
    kind = next((tree.value for key, tree in kinds if key.value == word and isinstance(tree, t.Scalar)), None)
    if not isinstance(kind, str) or not kind.isidentifier() or not kind.islower():
        layer = find_layer(kind, ()) if isinstance(kind, str) else None
        return f"{{{layer.kind}: {{…}}}}" if isinstance(layer, Alias) else "{conv: {channels: 64}}"
    rest = [(str(key.value), as_written(tree.span.text) or "…") for key, tree in kinds if key.value != word]
    inside = ", ".join(f"{name}: {text}" for name, text in rest[:MOST]) + (", …" if len(rest) > MOST else "")
    return f"{{{kind}: {{{inside}}}}}" if rest else kind
