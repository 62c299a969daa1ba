"""Python expressions as trees, and how they are printed: the form of a layer in PyTorch, and all that emitted source is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Input:
    """`{0}`: what the layer or step is given at this place."""

    index: int


@dataclass(frozen=True, slots=True)
class Own:
    """`{self}`: the layer's own module or tensor."""


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, string or other constant, as it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class Attribute:
    value: Tree
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`value[items]`."""

    value: Tree
    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Call:
    value: Tree
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Keyword:
    """`name=value` of a call, or `name: value` of a dictionary."""

    name: str
    value: Tree
    sign: str = "="


@dataclass(frozen=True, slots=True)
class Prefix:
    """`-x`, `not x`, `*items`: a sign before its operand."""

    sign: str
    operand: Tree


@dataclass(frozen=True, slots=True)
class Operation:
    """`a + b - c`: operators of one precedence, each between two operands, done from the left; `**` alone is done from the right."""

    operands: tuple[Tree, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list, a tuple or a dictionary, by its opening bracket; a tuple may have none."""

    opening: str
    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """`*[value for _ in range(count)]`."""

    value: Tree
    count: int


@dataclass(frozen=True, slots=True)
class Conditional:
    """`value if test else None`."""

    value: Tree
    test: str


@dataclass(frozen=True, slots=True)
class Verbatim:
    """What has no node of its own, a lambda or a comprehension, as it was written, around inputs; `names` are those it uses."""

    pieces: tuple[str | Tree, ...]
    names: frozenset[str]
    closed: bool  # whether it stands in brackets of its own


Tree = (
    Input | Own | Name | Literal | Attribute | Index | Call | Keyword | Prefix | Operation | Items | Repeated | Conditional | Verbatim
)  # fmt: skip

CLOSING = {"(": ")", "[": "]", "{": "}", "": ""}
_LEVELS = (
    ("or",), ("and",), ("not",), ("<", "<=", ">", ">=", "==", "!=", "is", "is not", "in", "not in"),
    ("|",), ("^",), ("&",), ("<<", ">>"), ("+", "-"), ("*", "/", "//", "%", "@"),
)  # fmt: skip
LEVEL = {sign: level for level, signs in enumerate(_LEVELS, 1) for sign in signs}
ARITHMETIC = LEVEL["+"]  # operators of this level and above are those of numbers
_SIGNED, _POWER, _POSTFIX = len(_LEVELS) + 1, len(_LEVELS) + 2, len(_LEVELS) + 3
LEVEL["**"] = _POWER
_APART = {LEVEL[sign] for sign in ("or", "and", "<")}  # operators of which `(a < b) < c` is not `a < b < c`
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def level_of(tree: Tree) -> int:
    """How tightly an expression holds together: 0 where it needs brackets as an operand."""
    if isinstance(tree, Operation):
        return LEVEL[tree.signs[0]]
    if isinstance(tree, Prefix):
        return LEVEL["not"] if tree.sign == "not " else _SIGNED if tree.sign in "+-~" else 0
    if isinstance(tree, Conditional) or (isinstance(tree, Verbatim) and not tree.closed) or (isinstance(tree, Items) and not tree.opening):
        return 0
    return _POSTFIX


def flat(tree: Tree) -> str:
    """The expression on one line."""
    ends: list[str] = []
    while isinstance(tree, Attribute | Index | Call):  # a chain of calls may be longer than Python's stack is deep
        if isinstance(tree, Attribute):
            ends.append(f".{tree.name}")
        elif isinstance(tree, Index):
            ends.append(f"[{', '.join(map(flat, tree.items))}]")
        else:
            ends.append(f"({', '.join(map(flat, tree.arguments))})")
        tree = tree.value
    if not ends:
        return _short(tree)
    number = isinstance(tree, Literal) and tree.text[:1].isdigit()
    return (f"({_short(tree)})" if number else operand(tree, _POSTFIX)) + "".join(reversed(ends))


def operand(tree: Tree, level: int) -> str:
    """The expression on one line, in brackets where it holds together less than what it stands in."""
    return flat(tree) if level_of(tree) >= level else f"({flat(tree)})"


def terms(tree: Operation) -> list[str]:
    """The operands of an operator, each with the sign before it."""
    level = LEVEL[tree.signs[0]]
    first, rest = (level + 1, _SIGNED) if level == _POWER else (level + (level in _APART), level + 1)
    pairs = zip(tree.signs, tree.operands[1:], strict=True)
    return [operand(tree.operands[0], first), *(f"{sign} {operand(term, rest)}" for sign, term in pairs)]


def _short(tree: Tree) -> str:
    if isinstance(tree, Input):
        return f"{{{tree.index}}}"
    if isinstance(tree, Own):
        return "{self}"
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Literal):
        return tree.text
    if isinstance(tree, Keyword):
        return f"{tree.name}{tree.sign}{flat(tree.value)}"
    if isinstance(tree, Prefix):
        return tree.sign + operand(tree.operand, level_of(tree) or LEVEL["|"])
    if isinstance(tree, Operation):
        return " ".join(terms(tree))
    if isinstance(tree, Items):
        comma = "," if tree.opening == "(" and len(tree.items) == 1 else ""
        return tree.opening + ", ".join(map(flat, tree.items)) + comma + CLOSING[tree.opening]
    if isinstance(tree, Repeated):
        return f"*[{flat(tree.value)} for _ in range({tree.count})]"
    if isinstance(tree, Conditional):
        return f"{flat(tree.value)} if {tree.test} else None"
    assert isinstance(tree, Verbatim)
    return "".join(piece if isinstance(piece, str) else flat(piece) for piece in tree.pieces)


def call(function: str | Tree, *arguments: Tree) -> Call:
    return Call(parse_dotted(function) if isinstance(function, str) else function, arguments)


def parse_dotted(name: str) -> Tree:
    """`nn.Conv2d` as an attribute of a name."""
    first, *rest = name.split(".")
    tree: Tree = Name(first)
    for word in rest:
        tree = Attribute(tree, word)
    return tree


def dotted_name(tree: Tree) -> str:
    """`nn.Conv2d` for an attribute of a name; nothing for what is none."""
    words: list[str] = []
    while isinstance(tree, Attribute):
        words.append(tree.name)
        tree = tree.value
    return ".".join([tree.name, *reversed(words)]) if isinstance(tree, Name) else ""


def parts(tree: Tree) -> tuple[Tree, ...]:
    """The expressions that an expression is made of, in the order of its text."""
    if isinstance(tree, Attribute | Keyword | Repeated | Conditional):
        return (tree.value,)
    if isinstance(tree, Index):
        return (tree.value, *tree.items)
    if isinstance(tree, Call):
        return (tree.value, *tree.arguments)
    if isinstance(tree, Prefix):
        return (tree.operand,)
    if isinstance(tree, Operation):
        return tree.operands
    if isinstance(tree, Items):
        return tree.items
    return tuple(piece for piece in tree.pieces if not isinstance(piece, str)) if isinstance(tree, Verbatim) else ()


def walk(tree: Tree) -> Iterator[Tree]:
    """An expression and all within it, what is around others before them."""
    waiting = [tree]
    while waiting:
        tree = waiting.pop()
        yield tree
        waiting += reversed(parts(tree))


def calls(tree: Tree, function: str) -> Iterator[Call]:
    """The calls of a function by its dotted name: `F.pad`."""
    return (part for part in walk(tree) if isinstance(part, Call) and dotted_name(part.value) == function)


def names(tree: Tree) -> set[str]:
    """The names that an expression uses, with their attributes: `torch.cat`."""
    found: set[str] = set()
    for part in walk(tree):
        found |= part.names if isinstance(part, Verbatim) else {dotted_name(part)} if isinstance(part, Name | Attribute) else set()
    return found - {""}


def replace_leaves(tree: Tree, change: Callable[[Tree], Tree]) -> Tree:
    """The expression with other leaves: inputs, names and constants."""
    spine: list[Attribute | Index | Call] = []
    while isinstance(tree, Attribute | Index | Call):
        spine.append(tree)
        tree = tree.value
    made = _replace_inner(tree, change)
    for node in reversed(spine):
        if isinstance(node, Attribute):
            made = Attribute(made, node.name)
        elif isinstance(node, Index):
            made = Index(made, _each(node.items, change))
        else:
            made = Call(made, _each(node.arguments, change))
    return made


def _each(trees: Sequence[Tree], change: Callable[[Tree], Tree]) -> tuple[Tree, ...]:
    return tuple(replace_leaves(tree, change) for tree in trees)


def _replace_inner(tree: Tree, change: Callable[[Tree], Tree]) -> Tree:
    if isinstance(tree, Keyword | Repeated | Conditional):
        return replace(tree, value=replace_leaves(tree.value, change))
    if isinstance(tree, Prefix):
        return Prefix(tree.sign, replace_leaves(tree.operand, change))
    if isinstance(tree, Operation):
        return Operation(_each(tree.operands, change), tree.signs)
    if isinstance(tree, Items):
        return Items(tree.opening, _each(tree.items, change))
    if isinstance(tree, Verbatim):
        pieces = tuple(piece if isinstance(piece, str) else replace_leaves(piece, change) for piece in tree.pieces)
        return Verbatim(pieces, tree.names, tree.closed)
    return change(tree)


def bound(tree: Tree, inputs: Sequence[Tree], own: Tree | None = None) -> Tree:
    """The expression with what stands for its inputs and for the layer's own module or tensor."""

    def change(leaf: Tree) -> Tree:
        if isinstance(leaf, Input) and inputs:
            return inputs[leaf.index]
        return own if isinstance(leaf, Own) and own is not None else leaf

    return replace_leaves(tree, change)


def number(tree: Tree) -> int | float | None:
    """The value of a plain decimal number, None for all else."""
    if not isinstance(tree, Literal) or not _NUMBER.fullmatch(tree.text):
        return None
    return float(tree.text) if set(tree.text) & set(".e") else int(tree.text)
