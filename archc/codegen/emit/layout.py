"""Expressions laid out over lines: on one line where they fit, else one argument a line."""

from __future__ import annotations

from dataclasses import dataclass, field

WIDTH = 88


@dataclass(slots=True)
class Call:
    """`open item, item close`."""

    open: str
    items: list[Doc] = field(default_factory=list)
    close: str = ")"


@dataclass(slots=True)
class Named:
    """`name=value`."""

    name: str
    value: Doc


@dataclass(slots=True)
class Repeated:
    """`*[value for _ in range(count)]`."""

    value: Doc
    count: int


@dataclass(slots=True)
class Conditional:
    """`value if test else None`."""

    value: Doc
    test: str


Doc = str | Call | Named | Repeated | Conditional


def flat(doc: Doc) -> str:
    """On one line."""
    if isinstance(doc, str):
        return doc
    if isinstance(doc, Named):
        return f"{doc.name}={flat(doc.value)}"
    if isinstance(doc, Repeated):
        return f"*[{flat(doc.value)} for _ in range({doc.count})]"
    if isinstance(doc, Conditional):
        return f"{flat(doc.value)} if {doc.test} else None"
    return doc.open + ", ".join(map(flat, doc.items)) + doc.close


def laid(doc: Doc, indent: int, before: int = 0, after: int = 0) -> str:
    """Over as many lines as needed. `before` and `after`: columns that are taken on the first and the last line."""
    text = flat(doc)
    if isinstance(doc, str) or before + len(text) + after <= WIDTH:
        return text
    if isinstance(doc, Named):
        return f"{doc.name}={laid(doc.value, indent, before + len(doc.name) + 1, after)}"
    inner, outer = " " * (indent + 4), " " * indent
    if isinstance(doc, Repeated):
        return f"*[\n{inner}{laid(doc.value, indent + 4, indent + 4)}\n{inner}for _ in range({doc.count})\n{outer}]"
    if isinstance(doc, Conditional):
        one = indent + 4 + len(text) <= WIDTH
        rest = f"\n{inner}if {doc.test}\n{inner}else None"
        return f"(\n{inner}{text if one else laid(doc.value, indent + 4, indent + 4) + rest}\n{outer})"
    lines = [f"{inner}{laid(item, indent + 4, indent + 4, 1)},\n" for item in doc.items]
    return f"{doc.open}\n{''.join(lines)}{outer}{doc.close}" if lines else text


def statement(lead: str, doc: Doc, indent: int) -> str:
    """`lead` and an expression, indented."""
    return " " * indent + lead + laid(doc, indent, indent + len(lead))


def wrapped(lead: str, text: str, indent: int) -> list[str]:
    """A statement `lead` + `text` on as many lines as it needs: broken in its last brackets, or at its operators."""
    outer, inner = " " * indent, " " * (indent + 4)
    if indent + len(lead) + len(text) <= WIDTH:
        return [outer + lead + text]
    parts = _operands(text)
    if len(parts) > 2 or (len(parts) == 2 and text[-1] not in ")]"):
        body = [inner + text] if indent + 4 + len(text) <= WIDTH else [inner + part for part in parts]
        return [f"{outer}{lead}(", *body, f"{outer})"]
    at = _opening(text)
    if at is None:
        return [outer + lead + text]
    inside = text[at + 1 : -1]
    one = indent + 4 + len(inside) <= WIDTH
    lines = [inner + inside] if one else [line for item in _split(inside, ", ") for line in _item(item, indent + 4)]
    return [outer + lead + text[: at + 1], *lines, outer + text[-1]]


def _item(text: str, indent: int) -> list[str]:
    """One argument on lines of its own."""
    *head, last = wrapped("", text, indent) if indent + len(text) + 1 > WIDTH else [" " * indent + text]
    return [*head, last + ","]


def _operands(text: str) -> list[str]:
    """The terms of a sum or product, each with the sign before it."""
    for sign in (" + ", " / ", " * "):
        parts = _split(text, sign)
        if len(parts) > 1:
            return [parts[0], *(sign.lstrip() + part for part in parts[1:])]
    return [text]


def _split(text: str, sign: str) -> list[str]:
    """The text at the signs that stand in no brackets and no string."""
    parts, depth, start, quoted = [], 0, 0, False
    for at, letter in enumerate(text):
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "([{") - (letter in ")]}")
        if depth == 0 and not quoted and text.startswith(sign, at):
            parts.append(text[start:at])
            start = at + len(sign)
    return [*parts, text[start:]]


def _opening(text: str) -> int | None:
    """Where the brackets open that close the text."""
    depth, quoted = 0, False
    for at in range(len(text) - 1, -1, -1):
        quoted ^= text[at] == '"'
        depth += 0 if quoted else (text[at] in ")]}") - (text[at] in "([{")
        if depth == 0:
            return at if at < len(text) - 1 else None
    return None
