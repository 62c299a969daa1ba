"""Values as they are written: literals, `$name`, `${…}` inside text, lists and mappings of these."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from archc.language.expression import Env, Expression
from archc.language.functions import LETTERS, LONGEST_LIST, LONGEST_TEXT, WALK, ExpressionError, Unknown, budget, instead, weight
from archc.signature import shown
from archc.text import tree as t
from archc.text.source import Span

COMPILING = 100  # work for a character of an expression
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?!\w)")


class Mistake(Exception):
    """A user's mistake at a place."""

    def __init__(self, code: str, span: Span, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.span, self.message, self.hint = code, span, message, hint


class Written:
    """A value as it was written. `constant` where it needs no environment; `names` are those that it reads.

    `cost` is the work of one evaluation, without what lists in its expressions add; a scalar's is nothing.
    """

    __slots__ = ("constant", "cost", "names", "work")

    def __init__(self, work: Callable[[Env], Any], names: frozenset[str], constant: bool, cost: int = 0) -> None:
        self.work = work
        self.names = names
        self.constant = constant
        self.cost = cost


def evaluate(tree: t.Tree, env: Env) -> Any:
    """The value of a tree; raises Mistake, or Unknown where it depends on one."""
    form = written(tree)
    if form.cost == 0:
        return form.work(env)
    charge(form.cost, tree)
    value = form.work(env)
    if isinstance(value, list | dict):
        charge(WALK * len(value), tree)  # for whoever takes it: none does so without going through it
    return value


def charge(work: int, tree: t.Tree) -> None:
    """Charges work that a value causes. Raises Mistake where a spec has no more."""
    try:
        budget.spend(work)
    except ExpressionError as error:
        raise Mistake(error.code, tree.span, error.message, error.hint) from None


def charge_walk(value: Any, tree: t.Tree) -> Any:
    """A value that is about to be walked through, charged. Raises Mistake where it is too large, written out."""
    try:
        budget.spend(WALK * weight(value))
    except ExpressionError as error:
        raise Mistake(error.code, tree.span, error.message, error.hint) from None
    return value


def written(tree: t.Tree) -> Written:
    """The compiled form of a tree, worked out once."""
    if tree.value_memo is None:
        tree.value_memo = _compile(tree)
    value: Written = tree.value_memo
    return value


def names_in(tree: t.Tree | None) -> frozenset[str]:
    """The names that a value reads; none where it cannot be compiled (its evaluation says why)."""
    try:
        return written(tree).names if tree is not None else frozenset()
    except Mistake:
        return frozenset()


def is_expression(tree: t.Tree | None) -> bool:
    """Whether a tree is a text that begins with `$`."""
    return isinstance(tree, t.Scalar) and isinstance(tree.value, str) and tree.value.startswith("$")


def _compile(tree: t.Tree) -> Written:
    if isinstance(tree, t.Sequence):
        parts = [written(item) for item in tree.items]
        return _join(tree, parts, lambda env: [part.work(env) for part in parts])
    if isinstance(tree, t.Mapping) and tree.broken:
        return Written(_unknown, frozenset(), False)
    if isinstance(tree, t.Mapping):
        rows = [(key.value, written(value)) for key, value in tree.items]
        return _join(tree, [part for _, part in rows], lambda env: {key: part.work(env) for key, part in rows})
    assert isinstance(tree, t.Scalar)
    value = tree.value
    if value is t.BROKEN:
        return Written(_unknown, frozenset(), False)
    if not isinstance(value, str) or "$" not in value:
        return Written(lambda env: value, frozenset(), True)
    return _compile_text(tree, value)


def _unknown(env: Env) -> Any:
    raise Unknown


def _join(tree: t.Tree, parts: list[Written], work: Callable[[Env], Any]) -> Written:
    """A list or mapping of these. What is read by name in it may be long, and repeat itself; what is written out is counted here."""
    names = frozenset().union(*(part.names for part in parts)) if parts else frozenset()
    constant = all(part.constant for part in parts)
    cost = sum((part.cost or 2 * WALK for part in parts), 2 * WALK)
    if cost > 4 * WALK * LONGEST_LIST and constant:
        raise Mistake("A405", tree.span, f"more than {LONGEST_LIST:,} values", "write fewer, or generate them with an expression")
    return Written(work if constant else lambda env: charge_walk(work(env), tree), names, constant, cost)


def _compile_text(tree: t.Scalar, text: str) -> Written:
    """Text with expressions in it: `$name`, `${expression}`, `$$` for a dollar sign."""
    pieces = _pieces(tree, text)
    names = frozenset(name for piece in pieces if not isinstance(piece, str) for name in piece[0].names)
    if len(pieces) == 1 and not isinstance(pieces[0], str):
        expression, start = pieces[0]
        return Written(lambda env: _run(tree, expression, start, env), names, False, expression.work)

    def interpolate(env: Env) -> str:
        parts, length = [], 0
        for piece in pieces:
            parts.append(piece if isinstance(piece, str) else _text(_run(tree, *piece, env), tree))
            length += len(parts[-1])
            charge(len(parts[-1]) // LETTERS, tree)
            if length > LONGEST_TEXT:
                raise Mistake("A405", tree.span, f"a text longer than {LONGEST_TEXT:,}")
        return "".join(parts)

    cost = sum(1 if isinstance(piece, str) else piece[0].work for piece in pieces)
    return Written(interpolate, names, not names and all(isinstance(piece, str) for piece in pieces), cost)


def _text(value: Any, tree: t.Scalar) -> str:
    """A value inside a text. A layer, and a whole input, have none."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float):
        return shown(value)
    if not isinstance(value, list | dict):
        raise Mistake("A402", tree.span, f"{shown(value)} is not a text", instead(value))
    return shown(charge_walk(value, tree), LONGEST_TEXT + 1)


def _run(tree: t.Scalar, expression: Expression, start: int, env: Env) -> Any:
    try:
        return expression.value(env)
    except ExpressionError as error:
        raise _mistake(tree, error, expression.text, start) from None
    except RecursionError:
        raise Mistake("A401", tree.span, "an expression that is too deep") from None


def _mistake(tree: t.Scalar, error: ExpressionError, text: str, start: int) -> Mistake:
    first, last = (len(text.encode()[:offset].decode(errors="ignore")) for offset in (error.start, error.end))
    return Mistake(error.code, tree.inner(start + first, start + max(last, first + 1)), error.message, error.hint)


def _pieces(tree: t.Scalar, text: str) -> list[str | tuple[Expression, int]]:
    pieces: list[str | tuple[Expression, int]] = []
    at = 0
    while at < len(text):
        dollar = text.find("$", at)
        if dollar < 0:
            pieces.append(text[at:])
            break
        if dollar > at:
            pieces.append(text[at:dollar])
        if text.startswith("$$", dollar):
            pieces.append("$")
            at = dollar + 2
            continue
        start, end, at = _bounds(tree, text, dollar)
        charge(COMPILING * (end - start), tree)
        try:
            pieces.append((Expression(text[start:end]), start))
        except ExpressionError as error:
            raise _mistake(tree, error, text[start:end], start) from None
    return pieces


def _bounds(tree: t.Scalar, text: str, dollar: int) -> tuple[int, int, int]:
    """Where the expression after a `$` starts and ends, and where the text goes on."""
    if text.startswith("${", dollar):
        close = text.find("}", dollar)
        if close < 0:
            raise Mistake("A401", tree.inner(dollar, len(text)), "${ without its }", "close it")
        return dollar + 2, close, close + 1
    name = _NAME.match(text, dollar + 1)
    if name is None:
        hint = "write $name (letters a to z, digits, _), ${…}, or $$ for a dollar sign"
        raise Mistake("A401", tree.inner(dollar, dollar + 1), "a $ with no name after it", hint)
    return name.start(), name.end(), name.end()


def is_entry(value: Any) -> bool:
    """Whether a value has the form of an entry: a name, a mapping, a list of these."""
    return isinstance(value, str | dict) or (isinstance(value, list) and bool(value) and all(map(is_entry, value)))


def as_tree(value: Any, where: t.Tree) -> t.Tree:
    """A value as if it were written in a place."""
    source, start, end = where.source, where.start, where.end
    if isinstance(value, dict):
        return t.Mapping(source, start, end, [(t.Scalar(source, start, end, key), as_tree(part, where)) for key, part in value.items()])
    if isinstance(value, list):
        return t.Sequence(source, start, end, [as_tree(part, where) for part in value])
    return t.Scalar(source, start, end, value.replace("$", "$$") if isinstance(value, str) else value)


def plain(value: Any) -> Any:
    """A value of expressions as YAML and JSON know it."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
