"""Expressions: `$name` and `${…}` in a spec.

Python's own parser reads them, a whitelist of node types turns them into closures. Nothing else can be reached: no
attributes but an input's axes, no calls but the functions below. Work is bounded: short texts, small exponents, short
lists, numbers that stay below 2**53; and charged, by the parts of an expression and the items that it handles.
"""

from __future__ import annotations

import _ast as ast  # the node classes without the `ast` module, which costs start-up time
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

from archc.language.entries import CHAIN_INPUT
from archc.language.functions import (
    BINARY,
    COMPARE,
    FUNCTIONS,
    LARGEST,
    USAGE,
    Axes,
    ExpressionError,
    Unknown,
    budget,
    check_result,
    impossible,
    item,
    items,
    member,
    number,
    to_int,
)
from archc.signature import shown
from archc.text.suggest import did_you_mean

LONGEST = 400
PART_WORK = 60  # working out one part of an expression
ITEM_WORK = 80  # binding an item's name in a comprehension
Env = Mapping[str, Any]
Work = Callable[[Env], Any]


class Expression:
    """A compiled expression: its text, the names that it reads, its value in an environment, and the work that this is."""

    __slots__ = ("names", "parts", "text", "value", "work")

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ExpressionError(f"{len(text)} characters, more than {LONGEST}", "name a part in `params`")
        self.text = text
        self.names: set[str] = set()
        self.parts = 0
        self.value: Work = self._compile(_parse(text))
        self.work = PART_WORK * self.parts

    def _compile(self, node: Any) -> Work:
        self.parts += 1
        build = _BUILDERS.get(type(node))
        if build is None:
            raise ExpressionError("not part of the language", "only arithmetic, comparisons, indexing and function calls are").at(node)
        work = build(self, node)

        def run(env: Env) -> Any:
            try:
                return work(env)
            except ExpressionError as error:
                raise error.at(node) from None

        return run if isinstance(node, _FALLIBLE) else work

    def _constant(self, node: Any) -> Work:
        value = node.value
        if not isinstance(value, int | float | str | bool | None):
            raise ExpressionError("not a value of the language").at(node)
        if isinstance(value, int | float) and not abs(value) <= LARGEST:
            raise impossible("a number larger than 2**53").at(node)
        return lambda env: value

    def _name(self, node: Any) -> Work:
        name = _WORDS.get(node.id, node.id)
        if name is not node.id:
            return lambda env: name
        self.names.add(name)

        def read(env: Env) -> Any:
            if name in env:
                value = env[name]
                if value is Unknown:
                    raise Unknown
                return value
            if name in FUNCTIONS:
                raise ExpressionError(f"{name} is a function", f"call it: {name}(…)")
            if INCOMPLETE in env:
                raise Unknown
            raise ExpressionError(f'nothing is called "{name}" here', _instead(name, env), "A303")

        return read

    def _binary(self, node: Any) -> Work:
        left, right = self._compile(node.left), self._compile(node.right)
        operator = type(node.op).__name__
        apply = BINARY.get(operator)
        if apply is None:
            raise ExpressionError("not an operator of the language", _FOREIGN.get(operator, "there are + - * / // % **")).at(node)
        return lambda env: check_result(apply(left(env), right(env)))

    def _unary(self, node: Any) -> Work:
        value = self._compile(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda env: not value(env)
        if isinstance(node.op, ast.Invert):
            raise ExpressionError("not an operator of the language").at(node)
        sign = -1 if isinstance(node.op, ast.USub) else 1
        return lambda env: sign * number(value(env))

    def _boolean(self, node: Any) -> Work:
        parts = [self._compile(part) for part in node.values]
        stop = isinstance(node.op, ast.Or)

        def run(env: Env) -> Any:
            value = None
            for part in parts:
                value = part(env)
                if bool(value) is stop:
                    break
            return value

        return run

    def _compare(self, node: Any) -> Work:
        left = self._compile(node.left)
        steps = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            compare = COMPARE.get(type(op).__name__)
            if compare is None:
                raise ExpressionError("not a comparison of the language", "there are == != < <= > >= in, not in").at(node)
            steps.append((compare, self._compile(right)))

        def run(env: Env) -> bool:
            value = left(env)
            for compare, right in steps:
                other = right(env)
                try:
                    if not compare(value, other):
                        return False
                except TypeError:
                    raise impossible(f"{shown(value)} and {shown(other)} cannot be compared") from None
                value = other
            return True

        return run

    def _choice(self, node: Any) -> Work:
        test, yes, no = self._compile(node.test), self._compile(node.body), self._compile(node.orelse)
        return lambda env: yes(env) if test(env) else no(env)

    def _list(self, node: Any) -> Work:
        parts = [self._compile(part) for part in node.elts]
        return lambda env: check_result([part(env) for part in parts])

    def _comprehension(self, node: Any) -> Work:
        """`[f(x) for x in xs if c]`, with one `for`."""
        loop = node.generators[0]
        if len(node.generators) > 1 or loop.is_async:
            raise ExpressionError("a list has one `for`", "name the inner list in `params`").at(node)
        names = _targets(loop.target)
        values = self._compile(loop.iter)
        before, outside = set(self.names), self.parts
        part, tests = self._compile(node.elt), [self._compile(test) for test in loop.ifs]
        self.names -= set(names) - before
        work = ITEM_WORK + PART_WORK * (self.parts - outside)

        def run(env: Env) -> list[Any]:
            try:
                made, rows = [], items(values(env))
            except ExpressionError as error:
                raise error.at(loop.iter) from None
            budget.spend(work * len(rows))
            for value in rows:
                here = ChainMap(_bound(names, value), env)  # type: ignore[arg-type]
                if all(test(here) for test in tests):
                    made.append(part(here))
            return check_result(made)  # type: ignore[no-any-return]

        return run

    def _index(self, node: Any) -> Work:
        value, index = self._compile(node.value), self._compile(node.slice)

        return lambda env: item(value(env), index(env))

    def _slice(self, node: Any) -> Work:
        ends = [self._compile(end) if end else (lambda env: None) for end in (node.lower, node.upper, node.step)]
        return lambda env: slice(*(None if (v := end(env)) is None else int(to_int(v)) for end in ends))

    def _call(self, node: Any) -> Work:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name is None or name not in FUNCTIONS:
            hint = did_you_mean(name or "", FUNCTIONS) or "functions: " + ", ".join(FUNCTIONS)
            raise ExpressionError(f'no function is called "{name}"' if name else "only functions can be called", hint).at(node)
        if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
            raise ExpressionError("arguments are given by position only", USAGE.get(name)).at(node)
        function, args = FUNCTIONS[name], [self._compile(arg) for arg in node.args]

        def run(env: Env) -> Any:
            values = [arg(env) for arg in args]
            try:
                return check_result(function(*values))
            except (TypeError, ValueError, OverflowError):
                raise impossible(f"{name} cannot take ({', '.join(map(shown, values))})", USAGE.get(name)) from None

        return run

    def _attribute(self, node: Any) -> Work:
        value, name = self._compile(node.value), node.attr

        def run(env: Env) -> Any:
            computed = value(env)
            if isinstance(computed, Axes):
                return computed.read(name)
            if isinstance(computed, dict):
                return member(computed, name)
            raise ExpressionError(f'only a block\'s inputs have parts like ".{name}"')

        return run


def _targets(target: Any) -> list[str]:
    """The names that a `for` binds: one, or one for each part of a row."""
    parts: list[Any] = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    if not all(isinstance(part, ast.Name) for part in parts):
        raise ExpressionError("`for` binds names", "[x + 1 for x in list]").at(target)
    return [part.id for part in parts]


def _bound(names: list[str], value: Any) -> dict[str, Any]:
    if len(names) == 1:
        return {names[0]: value}
    if not isinstance(value, list) or len(value) != len(names):
        raise impossible(f"{shown(value)} has no {len(names)} parts", f"`for` binds {', '.join(names)}")
    return dict(zip(names, value, strict=True))


def _parse(text: str) -> Any:
    line = text.replace("\n", " ")
    if "\\" in line:
        raise ExpressionError("a character that is not allowed in expressions", "expressions have no backslashes")
    try:  # in brackets, so that leading spaces are none; offsets are one too far
        tree: Any = compile(f"({line})", "<expression>", "eval", flags=ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        raise _unreadable(line, error) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError("too deep, or a character that is not allowed in expressions") from None
    if not text.strip():
        raise ExpressionError("an empty expression", "write a value between the braces")
    return tree.body


_SLIPS = {  # what is written in other languages
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    "?": "write `a if c else b`",
    "$": "inside ${…}, write names without $",
    "{": "write no braces inside ${…}",
    "=": "write == to compare",
}


def _unreadable(text: str, error: SyntaxError) -> ExpressionError:
    plain = text
    for comparison in ("!=", "==", "<=", ">="):
        plain = plain.replace(comparison, "  ")
    foreign = next((word for word in _SLIPS if word in plain), None)
    open_ = _open_bracket(text) if "never closed" in (error.msg or "") else None
    if foreign is not None:
        start, hint = plain.index(foreign), f"{foreign} is not part of the language: {_SLIPS[foreign]}"
    elif open_ is not None:
        start, hint = open_, "close the bracket"
    else:
        start, hint = (error.offset or 1) - 2, "check its brackets and operators"
    start = min(max(start, 0), max(len(text) - 1, 0))
    end = min(start + len(foreign or "1"), len(text))
    made = ExpressionError("this expression cannot be read", hint)
    made.start, made.end, made.placed = len(text[:start].encode()), len(text[:end].encode()), True
    return made


def _open_bracket(text: str) -> int | None:
    """The last bracket that is opened and not closed."""
    open_ = [at for at in range(len(text)) if text[at] in "(["]
    for at in range(len(text)):
        if text[at] in ")]" and any(bracket < at for bracket in open_):
            open_.remove(max(bracket for bracket in open_ if bracket < at))
    return open_[-1] if open_ else None


def _instead(name: str, env: Env) -> str | None:
    """What an unknown name may have meant."""
    if name in ("index", "first", "last"):
        return "`repeat` binds it; write it beside the layer: {repeat: 3, conv: 64}"
    if name == "input" and (inputs := [word for word in _given(env) if isinstance(env[word], Axes)]):
        return f"the inputs here are {', '.join(inputs)}"
    return did_you_mean(name, [*env, *FUNCTIONS, *_WORDS]) or _declare_hint(name, env)


def _given(env: Env) -> list[str]:
    """The names of an environment that its spec or block has given."""
    return [name for name in env if name != CHAIN_INPUT]


def _declare_hint(name: str, env: Env) -> str | None:
    """What there is, and how a value gets a name, where none is near."""
    here = "names here: " + ", ".join(_given(env)[:8]) if _given(env) else ""
    elsewhere = f"`params: {{{name}: 10}}` at the top of the spec adds it" if name.isidentifier() and len(name) < 30 else ""
    return "; ".join(filter(None, (here, elsewhere))) or None


INCOMPLETE = ""  # a name in environments that lack what a mistake kept out of them
_WORDS = {"true": True, "false": False, "null": None}
_FALLIBLE = ast.BinOp | ast.Call | ast.Attribute | ast.Subscript | ast.Name | ast.Compare | ast.ListComp
_FOREIGN = {"BitXor": "write ** for a power", "BitAnd": "write `and`", "BitOr": "write `or`"}
_BUILDERS: dict[type, Callable[[Expression, Any], Work]] = {
    ast.Constant: Expression._constant,
    ast.Name: Expression._name,
    ast.BinOp: Expression._binary,
    ast.UnaryOp: Expression._unary,
    ast.BoolOp: Expression._boolean,
    ast.Compare: Expression._compare,
    ast.IfExp: Expression._choice,
    ast.List: Expression._list,
    ast.Tuple: Expression._list,
    ast.ListComp: Expression._comprehension,
    ast.Subscript: Expression._index,
    ast.Slice: Expression._slice,
    ast.Call: Expression._call,
    ast.Attribute: Expression._attribute,
}
