"""How an operator's form is read: a template of Python, with `{0}` for an input, as a tree."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from archc.ops.syntax import LEVEL, Attribute, Call, Index, Input, Items, Keyword, Literal, Name, Operation, Own, Prefix, Tree, Verbatim

_HOLE = re.compile(r"_(?:input(\d+)|(own))_of_the_layer_")


@lru_cache(maxsize=1 << 14)
def parse(template: str) -> Tree:
    """The tree of an expression in which `{0}`, `{1}` are inputs and `{self}` is the layer's own; other braces stand twice.

    Raises ValueError for what is no template or no expression.
    """
    pieces = string.Formatter().parse(template)
    return parse_plain("".join(before + ("" if field is None else _hole(field, spec, sign)) for before, field, spec, sign in pieces))


def parse_plain(text: str) -> Tree:
    """The tree of an expression. What Python nests too deep to be parsed stands as it is written. Raises ValueError for what is none."""
    text = text.strip()
    try:
        return _Reader(text).tree(ast.parse(text, mode="eval").body)
    except (RecursionError, MemoryError):
        return Verbatim(_pieces(text), frozenset(re.findall(r"(?<![\w.])[A-Za-z_]\w*(?:\.\w+)*", _HOLE.sub("", text))), False)
    except SyntaxError as error:
        raise ValueError(error.msg) from None


def _hole(field: str, spec: str | None, sign: str | None) -> str:
    if spec or sign or not (field == "self" or field.isdecimal()):
        raise ValueError(f"{{{field}{'!' + sign if sign else ''}{':' + spec if spec else ''}}} is no input")
    return "_own_of_the_layer_" if field == "self" else f"_input{int(field)}_of_the_layer_"


def _pieces(text: str) -> tuple[str | Tree, ...]:
    """A text around the inputs in it."""
    found: list[str | Tree] = []
    at = 0
    for match in _HOLE.finditer(text):
        found += [text[at : match.start()], Own() if match[2] else Input(int(match[1]))]
        at = match.end()
    return (*found, text[at:])


class _Reader:
    """Takes Python's own tree over into this one; `text` is what it was parsed from."""

    def __init__(self, text: str) -> None:
        self.text = text

    def tree(self, node: ast.expr) -> Tree:
        spine: list[ast.Attribute | ast.Subscript | ast.Call] = []
        while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
            spine.append(node)
            node = node.func if isinstance(node, ast.Call) else node.value
        made = self._tree(node)
        for level in reversed(spine):
            if isinstance(level, ast.Attribute):
                made = Attribute(made, level.attr)
            elif isinstance(level, ast.Subscript):
                made = Index(
                    made, self._each(level.slice.elts if isinstance(level.slice, ast.Tuple) and level.slice.elts[1:] else [level.slice])
                )
            else:
                made = Call(made, self._arguments(level))
        return made

    def _each(self, nodes: Sequence[ast.expr]) -> tuple[Tree, ...]:
        return tuple(map(self.tree, nodes))

    def _arguments(self, node: ast.Call) -> tuple[Tree, ...]:
        ordered: list[Any] = sorted([*node.args, *node.keywords], key=lambda arg: (arg.lineno, arg.col_offset))
        return tuple(self._keyword(argument) if hasattr(argument, "arg") else self.tree(argument) for argument in ordered)

    def _keyword(self, node: ast.keyword) -> Tree:
        value = self.tree(node.value)
        return Prefix("**", value) if node.arg is None else Keyword(node.arg, value)

    def _tree(self, node: ast.expr) -> Tree:
        if isinstance(node, ast.Name):
            hole = _HOLE.fullmatch(node.id)
            return Name(node.id) if hole is None else Own() if hole[2] else Input(int(hole[1]))
        if isinstance(node, ast.Constant) and not _HOLE.search(written := self._written(node)) and "\n" not in written:
            return Literal(written)
        if isinstance(node, ast.UnaryOp):
            return Prefix(_SIGNS[type(node.op).__name__], self.tree(node.operand))
        if isinstance(node, ast.Starred):
            return Prefix("*", self.tree(node.value))
        if isinstance(node, ast.BinOp):
            return self._chain(node)
        if isinstance(node, ast.BoolOp):
            return Operation(self._each(node.values), (_SIGNS[type(node.op).__name__],) * (len(node.values) - 1))
        if isinstance(node, ast.Compare):
            return Operation(self._each([node.left, *node.comparators]), tuple(_SIGNS[type(sign).__name__] for sign in node.ops))
        if isinstance(node, ast.List | ast.Tuple):
            return Items("[" if isinstance(node, ast.List) else "(", self._each(node.elts))
        return self._verbatim(node)

    def _verbatim(self, node: ast.expr) -> Verbatim:
        written = self._written(node)
        if isinstance(node, ast.NamedExpr | ast.Yield | ast.YieldFrom | ast.Await):
            return Verbatim(_pieces(f"({written})"), self._names(node), True)
        closed = isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Dict | ast.Set)
        return Verbatim(_pieces(written), self._names(node), closed)

    def _chain(self, node: ast.expr) -> Tree:
        """Operators of one precedence from the left, as Python nests them: `a + b - c`."""
        operands: list[Tree] = []
        signs: list[str] = []
        while isinstance(node, ast.BinOp):
            sign = _SIGNS[type(node.op).__name__]
            if signs and LEVEL[sign] != LEVEL[signs[0]]:
                break
            operands.append(self.tree(node.right))
            signs.append(sign)
            node = node.left
            if sign == "**":
                break
        return Operation((self.tree(node), *reversed(operands)), tuple(reversed(signs)))

    def _written(self, node: ast.expr) -> str:
        if node.lineno == node.end_lineno == 1 and self.text.isascii():
            return self.text[node.col_offset : node.end_col_offset]
        return ast.get_source_segment(self.text, node) or ast.unparse(node)

    def _names(self, node: ast.expr) -> frozenset[str]:
        return frozenset(names_in(node))


def names_in(node: ast.AST) -> set[str]:
    """The names that Python code uses, with their attributes: `torch.cat`."""
    found = {ast.unparse(part) for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute)}
    return {name for name in found if re.fullmatch(r"[^\W\d][\w.]*", name) and not _HOLE.search(name)}


_SIGNS = {
    "Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "MatMult": "@", "Pow": "**", "LShift": "<<",
    "RShift": ">>", "BitOr": "|", "BitXor": "^", "BitAnd": "&", "And": "and", "Or": "or", "Not": "not ", "USub": "-", "UAdd": "+",
    "Invert": "~", "Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Is": "is", "IsNot": "is not",
    "In": "in", "NotIn": "not in",
}  # fmt: skip
