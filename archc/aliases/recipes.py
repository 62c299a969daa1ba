"""Hints for what a recipe chooses, its settings, and initializers, where they are called otherwise elsewhere."""

from __future__ import annotations

from collections.abc import Collection

from archc.aliases.table import fold, table


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
    own = next((one.say for one in known if one.of == kind and folded in one.words), None)
    return own or next((one.say for one in known if one.needs in params and folded in one.words), None)


def setting_hint(word: str) -> str | None:
    return table().settings.get(fold(word))
