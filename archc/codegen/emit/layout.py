"""Expressions over lines: on one line where they fit, else broken in their brackets or at their operators."""

from __future__ import annotations

from archc.ops.syntax import (
    ARITHMETIC,
    CLOSING,
    Call,
    Conditional,
    Index,
    Items,
    Keyword,
    Operation,
    Prefix,
    Repeated,
    Tree,
    flat,
    level_of,
    terms,
)

WIDTH = 88


def lay_out(tree: Tree, indent: int, before: int = 0, after: int = 0) -> str:
    """A construction or definition, each argument on its own line where they do not fit on one.

    before, after: columns that are taken on the first and the last line
    """
    text = flat(tree)
    if before + len(text) + after <= WIDTH:
        return text
    if isinstance(tree, Keyword):
        return f"{tree.name}{tree.sign}{lay_out(tree.value, indent, before + len(tree.name + tree.sign), after)}"
    inner, outer = " " * (indent + 4), " " * indent
    if isinstance(tree, Repeated):
        return f"*[\n{inner}{lay_out(tree.value, indent + 4, indent + 4)}\n{inner}for _ in range({tree.count})\n{outer}]"
    if isinstance(tree, Conditional):
        rest = f"\n{inner}if {tree.test}\n{inner}else None"
        body = text if indent + 4 + len(text) <= WIDTH else lay_out(tree.value, indent + 4, indent + 4) + rest
        return f"(\n{inner}{body}\n{outer})"
    broken = _last_brackets(tree) if isinstance(tree, Call | Items) else None
    if broken is None:
        return text
    head, items, close = broken
    lines = [f"{inner}{lay_out(item, indent + 4, indent + 4, 1)},\n" for item in items]
    return f"{head}\n{''.join(lines)}{outer}{close}"


def statement(lead: str, tree: Tree, indent: int) -> str:
    """A construction after `lead`, indented."""
    return " " * indent + lead + lay_out(tree, indent, indent + len(lead))


def wrap(lead: str, tree: Tree, indent: int) -> list[str]:
    """A computation after `lead`: broken in its last brackets, whose items stay on one line if they fit there, or at its operators."""
    outer, inner = " " * indent, " " * (indent + 4)
    text = flat(tree)
    if indent + len(lead) + len(text) <= WIDTH:
        return [outer + lead + text]
    if isinstance(tree, Keyword):
        return wrap(f"{lead}{tree.name}{tree.sign}", tree.value, indent)
    if isinstance(tree, Operation) and level_of(tree) >= ARITHMETIC and (len(tree.operands) > 2 or text[-1] not in ")]"):
        body = [inner + text] if indent + 4 + len(text) <= WIDTH else [inner + part for part in terms(tree)]
        return [f"{outer}{lead}(", *body, f"{outer})"]
    broken = _last_brackets(tree)
    if broken is None:
        return [outer + lead + text]
    head, items, close = broken
    inside = ", ".join(map(flat, items))
    fits = indent + 4 + len(inside) <= WIDTH
    lines = [inner + inside] if fits else [line for item in items for line in _item(item, indent + 4)]
    return [outer + lead + head, *lines, outer + close]


def _item(tree: Tree, indent: int) -> list[str]:
    """One argument on lines of its own."""
    text = flat(tree)
    *head, last = wrap("", tree, indent) if indent + len(text) + 1 > WIDTH else [" " * indent + text]
    return [*head, last + ","]


def _last_brackets(tree: Tree) -> tuple[str, tuple[Tree, ...], str] | None:
    """The text up to the brackets that close an expression, what is in them, and their end; None where there are none to break."""
    if isinstance(tree, Call | Index):
        items = tree.arguments if isinstance(tree, Call) else tree.items
        opening = "(" if isinstance(tree, Call) else "["
        inside = len(", ".join(map(flat, items)))
        return (flat(tree)[: -inside - 1], items, CLOSING[opening]) if items else None
    if isinstance(tree, Items):
        return (tree.opening, tree.items, CLOSING[tree.opening]) if tree.items and tree.opening else None
    last = tree.operands[-1] if isinstance(tree, Operation) else tree.operand if isinstance(tree, Prefix) else None
    if last is None:
        return None
    text, own = flat(tree), flat(last)
    if not text.endswith(own):  # the operand has brackets of its own
        return text[: -len(own) - 1], (last,), ")"
    broken = _last_brackets(last)
    return None if broken is None else (text[: -len(own)] + broken[0], *broken[1:])
