"""Hints for keys of entries and specs, and for the choices and settings of a recipe, that have other names elsewhere."""

from __future__ import annotations

from collections.abc import Collection

from archc.aliases.table import fold, table
from archc.aliases.values import as_written
from archc.text import tree as t

MOST = 6  # arguments that are drawn


def modifier_hint(word: str, kinds: list[tuple[t.Scalar, t.Tree]]) -> str | None:
    """What to write for a key that stands beside a layer and is no modifier. `kinds` are all such keys of the entry."""
    meant = table().modifiers.get(fold(word))
    if meant == "name":
        return f"an entry is named by its key in a mapping: {_name_entry(word, kinds)}"
    if meant is not None and meant != "kind":
        return f"the modifier is called `{meant}`"
    return "an activation is an entry of its own, after this one" if _is_activation(word, kinds) else None


def is_kind_key(word: str) -> bool:
    """Whether a key says elsewhere which layer an entry is."""
    return table().modifiers.get(fold(word)) == "kind"


def _is_activation(word: str, kinds: list[tuple[t.Scalar, t.Tree]]) -> bool:
    """Whether a key beside a layer and its arguments names an activation, rather than an entry of a chain."""
    (first, of_first), value = kinds[0], next(tree for key, tree in kinds if key.value == word)
    arguments = not isinstance(of_first, t.Mapping) or all(key.value in table().names for key, _ in of_first.items)
    return (
        table().next.get(fold(word)) == ""
        and fold(word) != "relu"
        and isinstance(value, t.Scalar)
        and str(first.value) in table().mains
        and arguments
    )


def arguments_hint(kinds: list[tuple[t.Scalar, t.Tree]]) -> str | None:
    """Where all keys of an entry are arguments, and none is a layer."""
    names = [str(key.value) for key, _ in kinds]
    if not all(name in table().names for name in names):
        return None
    kind = "linear" if "features" in names else "conv" if "channels" in names or "groups" in names else "maxpool"
    return f"these are arguments; write the layer's name before them: {{{kind}: {{{', '.join(f'{name}: …' for name in names[:MOST])}}}}}"


def key_hint(word: str, known: tuple[str, ...]) -> str | None:
    """The key of a spec that another word means; None where the mapping has no such key."""
    meant = key_meant(word)
    if "layers" in known and "train" in known and (say := table().top.get(fold(word))) is not None:
        return say
    return f"here it is called `{meant}`" if meant in known else None


def key_meant(word: str) -> str:
    return table().keys.get(fold(word), "")


def inside_hint(kinds: list[tuple[t.Scalar, t.Tree]]) -> str:
    """Where an argument stands beside its layer: the entry with it inside."""
    (first, value), *others = kinds
    main = table().mains.get(str(first.value))
    text = as_written(value.span.text) if main is not None and isinstance(value, t.Scalar) and value.value is not None else None
    empty = isinstance(value, t.Scalar) and value.value is None
    own = [] if empty else [f"{main}: {text}" if text is not None else "…"]
    parts = [*own, *(f"{key.value}: {_short(tree)}" for key, tree in others[:MOST])]
    return f"{{{first.value}: {{{', '.join(parts)}}}}}"


def _short(tree: t.Tree) -> str:
    return as_written(tree.span.text) or "…"


def _name_entry(word: str, kinds: list[tuple[t.Scalar, t.Tree]]) -> str:
    """`{name: c1, conv: 64}` as `c1: {conv: 64}`."""
    name = next(as_written(tree.span.text) for key, tree in kinds if key.value == word)
    rest = [f"{key.value}: {_short(tree)}" for key, tree in kinds if key.value != word]
    return f"{name if name and name.isidentifier() else 'c1'}: {{{', '.join(rest[:1]) or 'conv: 64'}}}"


def initializer_hint(word: str) -> str | None:
    name = table().initializers.get(fold(word))
    return f"here it is called `{name}`" if name is not None else table().told_initializers.get(fold(word))


def choice_hint(what: str, word: str) -> str | None:
    """One of the tables of a recipe: an optimizer, a schedule, a loss, an augmentation."""
    name = table().choices[what].get(fold(word))
    return f"here it is called `{name}`" if name is not None else None


def choice_argument_hint(kind: str, word: str, params: Collection[str]) -> str | None:
    """An argument that a choice of a recipe does not have."""
    folded, known = fold(word), table().choice_arguments
    own = next((alias.say for alias in known if alias.of == kind and folded in alias.words), None)
    return own or next((alias.say for alias in known if alias.needs in params and folded in alias.words), None)


def setting_hint(word: str) -> str | None:
    return table().settings.get(fold(word))
