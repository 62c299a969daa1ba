"""A recipe as the YAML that it would be read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from archc.recipe.recipe import Data, Part, Recipe, Stop
from archc.text.writing import text_of


def recipe_text(recipe: Recipe) -> str:
    """Every key on a line of its own. It reads back as an equal recipe."""
    return "".join(f"{name}: {text_of(value)}\n" for name, value in written(recipe).items())


def written(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, in the form of the language."""
    values = {one.name: _plain(getattr(recipe, one.name)) for one in fields(recipe)}
    return {**values, "batch": recipe.batch or "fit"}


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        options = {name: _plain(one) for name, one in value.options.items() if one is not None}
        return {value.name: options} if options else value.name
    if isinstance(value, Data | Stop):
        pairs = [(one.name, getattr(value, one.name)) for one in fields(value)]
        return {name: _plain(one) for name, one in pairs if one is not None}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
