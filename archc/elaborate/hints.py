"""What a wrong value may have meant, told by what stands around it."""

from __future__ import annotations

import re
from typing import Any

from archc.elaborate.state import Context
from archc.language.expression import Expression
from archc.language.functions import FUNCTIONS, Axes, ExpressionError, instead
from archc.language.values import Mistake
from archc.text import tree as t


def meant(tree: t.Tree | None, value: Any, context: Context) -> str | None:
    """A value of the wrong type: an expression without its `$`, or with too much around it."""
    if isinstance(value, Axes):
        return instead(value)
    if not isinstance(value, str) or not isinstance(tree, t.Scalar) or not isinstance(tree.value, str):
        return None
    text = tree.value.strip()
    if re.fullmatch(r"\{\{.*\}\}", text):
        return f'an expression is written "${{{text[2:-2].strip()}}}"'
    if text in context.env:
        return f"write ${text} for its value"
    if "$" in text:
        return "text around an expression makes a text of it: write one ${…} around all" if text != value else None
    if not text.isdigit() and is_visible(text, context):
        return f"what stands before is taken with `from: {text}`"
    return f'an expression is written "${{{text}}}"' if _computes(text, context) else None


def _computes(text: str, context: Context) -> bool:
    """Whether a text would be an expression over names that are known here."""
    if not re.search(r"\w\s*[-+*/%<>=(]", text) or re.match(r"[\d_]+(,\d+)+$", text):
        return False
    try:
        expression = Expression(text)
    except ExpressionError:
        return False
    return expression.names <= {*context.env, *FUNCTIONS}


def is_visible(name: str, context: Context) -> bool:
    """Whether a layer of this name stands before."""
    space = context.lookup
    while name not in space.names:
        if space.outer is None:
            return name in context.place.inputs
        space = space.outer
    return True


def explained(mistake: Mistake, context: Context) -> Mistake:
    """A mistake with what only its place can tell: a layer is no value."""
    if mistake.code == "A303" and is_visible(mistake.span.text, context):
        mistake.hint = "expressions read parameters and `input`, not layers"
    return mistake


def near_names(name: str, context: Context) -> str | None:
    """Why a name of a layer is not known."""
    if "," in name:
        return f"several names are a list: [{name}]"
    for chain in context.lookup.chains:
        for key, _ in chain.entries:
            if key is not None and key.value == name:
                return f"it stands on line {key.span.line}; only what stands before can be named"
    return None
