"""YAML text to a tree with positions. The only user of PyYAML.

Events are read one by one, never composed: PyYAML's composer crashes the interpreter on deep nesting, keeps the last
of two equal keys and reads scalars as YAML 1.1 does (`no`, `010`, `1:30`). Scalars here follow YAML 1.2's core schema,
with `_` allowed between digits. What an alias repeats is counted as if it were written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from archc.text.diagnostics import Diagnostics
from archc.text.source import Source, Span
from archc.text.syntax import DEEPEST, TOO_DEEP, report

MOST_CHARACTERS = 4_000_000
MOST_NODES = 1_000_000
MOST_SHOWN = 100  # characters of a value in a message
LARGEST = 2**53  # beyond this, sums and JSON readers lose digits

_INT = re.compile(r"[-+]?[0-9][0-9_]*\Z|0x[0-9a-fA-F][0-9a-fA-F_]*\Z|0o[0-7][0-7_]*\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # YAML 1.2, 5.1
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: value for value in (True, False) for word in (str(value), str(value).lower(), str(value).upper())
}


BROKEN = object()  # the value of a scalar that was refused


class Tree:
    """A part of a YAML document. The memos are room for the language to keep what it read once."""

    __slots__ = ("end", "entry_memo", "source", "start", "value_memo")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end
        self.value_memo: Any = None
        self.entry_memo: Any = None

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, self.end)

    def __str__(self) -> str:
        """As it was written, on one line; the beginning of what is long."""
        text = ""
        for piece in _written(self):
            text += piece
            if len(text) > MOST_SHOWN:
                return text[: MOST_SHOWN - 1] + "…"
        return text


class Scalar(Tree):
    """`value` is a str, int, float, bool or None; `quoted` scalars are always str."""

    __slots__ = ("quoted", "value")

    def __init__(self, source: Source, start: int, end: int, value: Any, quoted: bool = False) -> None:
        super().__init__(source, start, end)
        self.value = value
        self.quoted = quoted

    def inner(self, start: int, end: int) -> Span:
        """The span of some characters of the value, where it stands in the source as it reads."""
        shift = self.start + self.quoted
        if isinstance(self.value, str) and self.source.text.startswith(self.value, shift):
            return Span(self.source, shift + start, shift + end)
        return self._found(self.value[start:end]) if isinstance(self.value, str) else self.span

    def _found(self, words: str) -> Span:
        """Where some words of a value stand that the source spells differently (with escapes, on several lines)."""
        text = self.source.text
        at = text.find(words, self.start, self.end)
        if at < 0 or not words or text.find(words, at + 1, self.end) >= 0:
            return self.span
        return Span(self.source, at, at + len(words))


class Sequence(Tree):
    __slots__ = ("items",)

    def __init__(self, source: Source, start: int, end: int, items: list[Tree]) -> None:
        super().__init__(source, start, end)
        self.items = items


class Mapping(Tree):
    """`broken` where a key was refused: what is missing then may be what was refused."""

    __slots__ = ("broken", "items")

    def __init__(self, source: Source, start: int, end: int, items: list[tuple[Scalar, Tree]], broken: bool = False) -> None:
        super().__init__(source, start, end)
        self.items = items
        self.broken = broken

    def get(self, name: str) -> Tree | None:
        for key, value in self.items:
            if key.value == name:
                return value
        return None


def _written(tree: Tree) -> Iterator[str]:
    if isinstance(tree, Sequence):
        yield "["
        for at, item in enumerate(tree.items):
            yield ", " if at else ""
            yield from _written(item)
        yield "]"
    elif isinstance(tree, Mapping):
        yield "{"
        for at, (key, value) in enumerate(tree.items):
            yield f"{', ' if at else ''}{key}: "
            yield from _written(value)
        yield "}"
    else:
        yield " ".join(tree.source.text[tree.start : min(tree.end, tree.start + 2 * MOST_SHOWN)].split())


def parse_part(source: Source, start: int, end: int, diagnostics: Diagnostics) -> Tree | None:
    """The tree of a part of a source, with its positions in the whole."""
    found = Diagnostics()
    tree = parse(Source(source.name, " " * start + source.text[start:end]), found)
    for problem in found:
        diagnostics.error(problem.code, Span(source, problem.span.start, problem.span.end), problem.message, problem.hint)
    for part in walk(tree) if tree is not None else ():
        part.source = source
    return tree


def walk(tree: Tree) -> Iterator[Tree]:
    """The tree and all its parts."""
    todo = [tree]
    while todo:
        part = todo.pop()
        yield part
        if isinstance(part, Sequence):
            todo.extend(part.items)
        elif isinstance(part, Mapping):
            todo.extend(half for pair in part.items for half in pair)


class _Refused(Exception):
    """Reading cannot go on; the diagnostic says why."""

    def __init__(self, code: str, start: int, end: int, message: str, hint: str | None = None) -> None:
        self.finding = (code, start, end, message, hint)


def parse(source: Source, diagnostics: Diagnostics) -> Tree | None:
    """The tree of the source's one document; None where it cannot be read, with the reason in `diagnostics`."""
    if len(source.text) > MOST_CHARACTERS:
        message = f"{len(source.text):,} characters, more than the {MOST_CHARACTERS:,} that are read"
        diagnostics.error("A108", Span(source, 0, 1), message)
        return None
    if (forbidden := _FORBIDDEN.search(source.text)) is not None:
        message = f"character U+{ord(forbidden[0]):04X}, which is not allowed in YAML"
        diagnostics.error("A108", Span(source, *forbidden.span()), message, "remove it")
        return None
    try:
        return _Reader(source, diagnostics).document()
    except _Refused as refused:
        code, start, end, message, hint = refused.finding
        diagnostics.error(code, Span(source, start, end), message, hint)
    except yaml.MarkedYAMLError as error:
        report(error, source, diagnostics)
    return None


class _Reader:
    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self.source = source
        self.diagnostics = diagnostics
        self.anchors: dict[str, tuple[Tree, int] | None] = {}
        self.count = 0
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.events: Iterator[Any] = iter(yaml.parse(source.text, Loader=loader))

    def document(self) -> Tree:
        event = self._next()
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return Scalar(self.source, 0, 0, None)
        tree = self._node(event, 1)
        self._next()  # the document's end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            at = after.start_mark.index
            raise _Refused("A105", at, at + 3, "a second document", "a spec is one document: remove `---`")
        return tree

    def _next(self) -> Any:
        return next(self.events)

    def _node(self, event: Any, depth: int) -> Tree:
        start = event.start_mark.index
        self._charge(1, start)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise _Refused("A105", start, start + len(tag), f"a tag, {tag}", "tags are not supported: remove it")
        if isinstance(event, yaml.ScalarEvent):
            tree: Tree = self._scalar(event)
            if event.anchor:
                self.anchors[event.anchor] = tree, 1
            return tree
        if depth > DEEPEST:
            raise _Refused("A103", start, start + 1, *TOO_DEEP)
        before = self.count
        if event.anchor:
            self.anchors[event.anchor] = None
        build = self._sequence if isinstance(event, yaml.SequenceStartEvent) else self._mapping
        tree = build(start, depth)
        if event.anchor:
            self.anchors[event.anchor] = tree, self.count - before + 1
        return tree

    def _charge(self, nodes: int, at: int) -> None:
        self.count += nodes
        if self.count > MOST_NODES:
            message = f"more than {MOST_NODES:,} values once its aliases are written out"
            raise _Refused("A104", at, at + 1, message, "use `repeat` or a block")

    def _alias(self, event: Any) -> Tree:
        start, end = event.start_mark.index, event.end_mark.index
        if event.anchor not in self.anchors:
            raise _Refused("A104", start, end, f"*{event.anchor} has no anchor", f"write &{event.anchor} before it")
        kept = self.anchors[event.anchor]
        if kept is None:
            raise _Refused("A104", start, end, f"*{event.anchor} is inside what it repeats", "a value cannot contain itself")
        tree, size = kept
        self._charge(size, start)
        return tree

    def _scalar(self, event: Any) -> Scalar:
        start, end, text = event.start_mark.index, event.end_mark.index, event.value
        if event.style:  # quoted, or a block scalar
            return Scalar(self.source, start, end, text, quoted=event.style in "'\"")
        try:
            return Scalar(self.source, start, end, plain_value(text))
        except OverflowError:
            shown = text if len(text) <= 24 else text[:20] + "…"
            hint = "write a finite number" if _NOT_FINITE.match(text) else "numbers go up to 2**53"
            self.diagnostics.error("A107", Span(self.source, start, end), f"{shown} is too large or not finite", hint)
            return Scalar(self.source, start, end, BROKEN)

    def _sequence(self, start: int, depth: int) -> Sequence:
        items: list[Tree] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(self.source, start, self._closing(event), items)

    def _mapping(self, start: int, depth: int) -> Mapping:
        items: list[tuple[Scalar, Tree]] = []
        seen: dict[object, Scalar] = {}
        broken = False
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(self._next(), depth + 1)
            if not isinstance(key, Scalar):
                braces = isinstance(key, Mapping) and key.start == start + 1
                hint = 'write an expression in quotes, as "${…}"' if braces else "keys are words, as in `conv:`"
                raise _Refused("A202", key.start, key.end, "a key that is not a word", hint)
            if self._accept(key, value, seen):
                items.append((key, value))
            else:
                broken = True
        return Mapping(self.source, start, self._closing(event), items, broken)

    def _accept(self, key: Scalar, value: Tree, seen: dict[object, Scalar]) -> bool:
        """Whether a key may stand here; says what is wrong where it may not."""
        if key.value is None:
            self.diagnostics.error("A202", key.span, "an empty key", "write a name before the colon")
            return False
        if key.value is BROKEN:
            return False
        key.value = text = str(key.value) if not isinstance(key.value, bool) else str(key.value).lower()
        if text == "<<" and not key.quoted:
            self.diagnostics.error("A105", key.span, "merge keys are not supported", "use `extends`, `defaults` or a block")
            return False
        empty = isinstance(value, Scalar) and value.value is None and value.start == value.end
        if empty and not key.quoted and re.match(r"[A-Za-z_]+:\S", text):
            name, _, rest = text.partition(":")
            self.diagnostics.error("A106", key.span, f'"{text}" reads as one word', f"a space after the colon: {name}: {rest}")
            return False
        if text in seen:
            message = f'"{text}" is given twice, first on line {seen[text].span.line}'
            self.diagnostics.error("A102", key.span, message, "remove one of them")
            return False
        seen[text] = key
        return True

    def _closing(self, event: Any) -> int:
        """Where a collection ends: block collections end with their last character, not at the next token."""
        end: int = event.end_mark.index
        if event.start_mark.index != end:
            return end
        text = self.source.text
        while end > 0 and text[end - 1] in " \t\r\n":
            end -= 1
        return end


def plain_value(text: str) -> str | int | float | bool | None:
    """An unquoted scalar by YAML 1.2's core schema. Raises OverflowError for what no spec can mean."""
    if text in _WORDS:
        return _WORDS[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _INT.match(text):
        if len(text) > 40:
            raise OverflowError
        value = int(text.replace("_", ""), {"0x": 16, "0o": 8}.get(text[:2], 10))
        if abs(value) > LARGEST:
            raise OverflowError
        return value
    if _FLOAT.match(text):
        real = float(text.replace("_", ""))
        if real in (float("inf"), float("-inf")):
            raise OverflowError
        return real
    if _NOT_FINITE.match(text):
        raise OverflowError
    return text
