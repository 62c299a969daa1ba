"""Operators of others: from a Python file named on the command line, or from installed packages. Never from a spec.

A package offers operators through the entry point group `archc.ops`: each entry is named as the operator and points at
its function, or at the module whose import registers it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from archc.errors import ArchcError
from archc.ops.contract import breach
from archc.ops.facts import Facts
from archc.ops.registry import OPERATORS, Function, Op
from archc.ops.shape import Shape
from archc.signature import Fault
from archc.text.diagnostics import Diagnostic
from archc.text.source import Source, Span

CODE = "A705"

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class PluginError(ArchcError):
    """A plugin that cannot be loaded, in words for who named it; `found` tells the place in it, where there is one."""

    def __init__(self, message: str, found: Diagnostic | None = None) -> None:
        super().__init__(message)
        self.found = found


@contextmanager
def without_bytecode() -> Iterator[None]:
    """Leaves no `__pycache__` in the user's folders."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def load_file(path: str) -> list[str]:
    """Runs a Python file that registers operators with `@op`; the names that it added. Loaded once a process."""
    from importlib.util import module_from_spec, spec_from_file_location

    file = Path(path)
    if file.suffix != ".py" or not file.is_file():
        raise PluginError(f"no plugin at {path}: a Python file was expected")
    name = f"archc_plugin_{file.resolve().as_posix().replace('/', '_').removesuffix('.py')}"
    if name in sys.modules:
        return []
    spec = spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    before = set(OPERATORS)
    try:
        with without_bytecode():
            spec.loader.exec_module(module)
        added = [kind for kind in OPERATORS if kind not in before]
        for kind in added:
            OPERATORS.get(kind)  # reads its signature, so that a wrong one shows here
    except Exception as error:
        del sys.modules[name]
        here = [module.__dict__.get(kind) for kind in OPERATORS if kind not in before]
        for kind in set(OPERATORS) - before:
            OPERATORS.remove(kind)
        span = _error_span(error, str(module.__file__)) or next((place_of(function, "") for function in here if callable(function)), None)
        problem = f"{type(error).__name__}: {getattr(error, 'msg', None) or error}"
        found = Diagnostic(CODE, problem, span, "the plugin cannot be loaded") if span is not None else None
        raise PluginError(f"the plugin {path} failed: {problem}{f' (line {span.line})' if span else ''}", found) from None
    return added


def facts_of(op: Op, shapes: Sequence[Shape], args: dict[str, Any]) -> Facts:
    """The facts of a plugin's operator. Raises Fault at the line of the plugin where it fails, or states what cannot be."""

    def checked(*shapes: Shape, **args: Any) -> Facts:
        return _checked(op, shapes, args)

    return op.facts(checked, shapes, args)


def _checked(op: Op, shapes: Sequence[Shape], args: dict[str, Any]) -> Facts:
    """What the function of a plugin returns, if it can be."""
    file = op.function.__code__.co_filename
    try:
        facts = op.function(*shapes, **args)
    except Fault:
        raise
    except Exception as error:
        message = f"the operator {op.name} failed: {type(error).__name__}: {error}"
        raise Fault(None, message, f"it was given {_given(shapes, args)}", CODE, _error_span(error, file)) from error
    if not isinstance(facts, Facts):
        message = f"the operator {op.name} returned no Facts, but {type(facts).__name__}"
        raise Fault(None, message, "return Facts(x, …)", CODE, place_of(op.function, ""))
    if (found := breach(facts, shapes)) is not None:
        message = f"the operator {op.name}: {found.message}"
        raise Fault(None, message, found.hint, CODE, place_of(op.function, found.field))
    return facts


def _given(shapes: Sequence[Shape], args: dict[str, Any]) -> str:
    shown_inputs = [", ".join(str(list(shape)) for shape in shapes), *(f"{name}: {value!r}"[:60] for name, value in args.items())]
    return ", ".join(shown_inputs[:6])


def place_of(function: Function, field: str) -> Span | None:
    """Where a plugin's function states a field of Facts; its `def`, where it does not. None where its text cannot be read."""
    code = function.__code__
    source = _source(code.co_filename)
    if source is None:
        return None
    try:
        nodes = list(ast.walk(ast.parse(source.text)))
    except (SyntaxError, ValueError, RecursionError):
        return None
    first = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == code.co_name]
    starts = [min([function.lineno, *(mark.lineno for mark in function.decorator_list)]) for function in first]
    chosen = next((function for function, start in zip(first, starts, strict=True) if start == code.co_firstlineno), None)
    if chosen is None:
        return None
    calls = [node for node in ast.walk(chosen) if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Facts"]
    for call in reversed(calls):
        stated = next((keyword.value for keyword in call.keywords if keyword.arg == field), None)
        if stated is None and field == "out" and call.args:
            stated = call.args[0]
        if stated is not None:
            return _span(source, stated.lineno, stated.col_offset, stated.end_lineno, stated.end_col_offset)
    return _span(source, chosen.lineno, chosen.col_offset, chosen.lineno, chosen.col_offset + len("def ") + len(chosen.name))


def _error_span(error: BaseException, file: str) -> Span | None:
    """The line of a file where an error was raised, or left it."""
    if isinstance(error, SyntaxError) and error.filename == file and error.lineno:
        source = _source(file)
        return None if source is None else _span(source, error.lineno, max((error.offset or 1) - 1, 0))
    trace: TracebackType | None = error.__traceback__
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    source = _source(file) if line else None
    return None if source is None or line is None else _span(source, line)


def _source(file: str) -> Source | None:
    """A plugin's text, under a name that is short where it lies below the working folder."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    path = Path(file)
    here = Path.cwd()
    return Source(str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else file, text)


def _span(source: Source, line: int, column: int | None = None, end_line: int | None = None, end_column: int | None = None) -> Span:
    """A part of a text by lines from 1 and columns in bytes of UTF-8 from 0, as Python's parser has them; else a whole line."""
    lines = [line + "\n" for line in source.text.split("\n")]
    line = min(line, max(len(lines), 1))
    start = sum(map(len, lines[: line - 1]))
    text = lines[line - 1] if lines else ""
    if column is None:
        body = text.strip()
        return Span(source, start + (len(text) - len(text.lstrip()) if body else 0), start + len(text.rstrip()))
    first = start + len(text.encode()[:column].decode(errors="ignore"))
    last = first + 1
    if end_column is not None and end_line == line:
        last = start + len(text.encode()[:end_column].decode(errors="ignore"))
    elif end_column is not None:
        last = start + len(text.rstrip())
    return Span(source, first, last)


@lru_cache(maxsize=1)
def _offers(path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """What installed packages offer, by name. Looked for once: a spec may hold hundreds of unknown names."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group="archc.ops"):
        found.setdefault(entry.name, []).append(entry)
    return found


def find_installed(name: str) -> Op | None:
    """The operator of a name, if an installed package offers it."""
    for entry in _offers(tuple(sys.path)).get(name, ()):
        try:
            loaded = entry.load()
        except Exception as error:
            raise PluginError(f"the operator {name} of {entry.value} failed to load: {type(error).__name__}: {error}") from None
        if name not in OPERATORS and callable(loaded):
            OPERATORS.add(loaded, name)
    return OPERATORS.get(name)


def load_installed() -> None:
    """All operators that installed packages offer."""
    for name in _offers(tuple(sys.path)):
        find_installed(name)
