"""What a wrong value may have meant, told by what stands around it."""

from __future__ import annotations

import re
from typing import Any

from archc.elaborate.state import Context
from archc.language.expression import Expression
from archc.language.functions import FUNCTIONS, Axes, ExpressionError, instead
from archc.language.values import Mistake
from archc.signature import Param, Signature, shown
from archc.text import tree as t

LONGEST = 80


def meant(tree: t.Tree | None, value: Any, context: Context) -> str | None:
    """A value of the wrong type: an expression without its `$`, or with too much around it."""
    if isinstance(value, Axes):
        return instead(value)
    if not isinstance(value, str) or not isinstance(tree, t.Scalar) or not isinstance(tree.value, str):
        return None
    text = tree.value.strip()
    if re.fullmatch(r"\{\{.*\}\}", text):
        return f'write an expression as "${{{text[2:-2].strip()}}}"'
    if text in context.env:
        return f"write ${text} for its value"
    if "$" in text:
        return "with text around it, an expression gives a text: put one ${…} around everything" if text != value else None
    if not text.isdigit() and is_visible(text, context):
        return f"to take an earlier value, write `from: {text}`"
    return f'write an expression as "${{{text}}}"' if _computes(text, context) else None


def star_hint(param: Param | None, value: Any) -> str | None:
    """The sides of a window with a star between them, which would be an expression of another value."""
    if param is None or param.type.name not in ("sizes", "padding", "factors") or not isinstance(value, str):
        return None
    sides = re.findall(r"\d+", value) if re.fullmatch(r"\s*\d+(\s*\*\s*\d+)+\s*", value) else []
    return f"write [{', '.join(sides)}] for the sides" if sides else None


def several(kind: str, signature: Signature, value: Any) -> str | None:
    """What to write in place of a value without a name that holds more than one: arguments, a number of copies, another layer."""
    if isinstance(value, list) and value and all(isinstance(pair, dict) and len(pair) == 1 for pair in value):
        pairs = [(str(name), shown(of)) for pair in value for name, of in pair.items()]
    elif isinstance(value, str) and len(value) <= LONGEST:
        pairs = (
            re.findall(r"(\w+)\s*=\s*([\w.]+)", value) if re.fullmatch(r"\w+\s*=\s*[\w.]+([\s,;]+\w+\s*=\s*[\w.]+)*", value.strip()) else []
        )
    else:
        return None
    if pairs and all(name in signature.params for name, _ in pairs):
        return f"write {{{kind}: {{{', '.join(f'{name}: {of}' for name, of in pairs)}}}}}"
    if not isinstance(value, str) or signature.main is None or signature.main.type.name != "int":
        return None
    if times := re.fullmatch(r"(\d+)\s*[x×*]\s*(\d+)", value):
        return f"for copies, write `repeat` beside the layer: {{repeat: {times[2]}, {kind}: {times[1]}}}"
    if comment := re.fullmatch(r"(\d+)\s*(?://|--|%)\s*(.*)", value):
        return f"a comment begins with `#`: {kind}: {comment[1]}  # {comment[2]}"
    if then := re.fullmatch(r"(\d+)\s*(?:,|;|->|\||\+)\s*([A-Za-z_]\w*)", value):
        return f"a second layer is an entry of its own: [{{{kind}: {then[1]}}}, {then[2]}]"
    return None


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


def explain_mistake(mistake: Mistake, context: Context) -> Mistake:
    """A mistake with what only its place can tell: a layer is no value."""
    if mistake.code == "A303" and is_visible(mistake.span.text, context):
        mistake.hint = "expressions read parameters and `input`, not layers"
    return mistake


def near_names(name: str, context: Context) -> str | None:
    """Why a name of a layer is not known."""
    if "," in name:
        return f"write several names as a list: [{name}]"
    for chain in context.lookup.chains:
        for key, _ in chain.entries:
            if key is not None and key.value == name:
                return f"it is on line {key.span.line}; only earlier entries can be named"
    return None
