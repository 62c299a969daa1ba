"""A JSON or YAML file of another tool: its values, each with the place where it stands and the form that is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from archc.importing.draft import Refused
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.source import Source, Span

LARGEST = 2**31 - 1


class Part:
    """A value of a document. Raises Refused at its place where it has another form than is asked for."""

    __slots__ = ("name", "tree")

    def __init__(self, tree: t.Tree, name: str) -> None:
        self.tree = tree
        self.name = name

    @property
    def span(self) -> Span:
        return self.tree.span

    @property
    def value(self) -> Any:
        """A scalar's value; None for what is no scalar."""
        return self.tree.value if isinstance(self.tree, t.Scalar) else None

    @property
    def is_null(self) -> bool:
        return isinstance(self.tree, t.Scalar) and self.tree.value is None

    @property
    def is_list(self) -> bool:
        return isinstance(self.tree, t.Sequence)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.tree, t.Mapping)

    def wrong(self, wanted: str) -> Refused:
        return Refused(self.span, f"{self.name} is {str(self.tree)[:60] or 'empty'}, not {wanted}", None, "A402")

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.wrong("a text")
        return str(self.value)

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return bool(self.value)

    def whole(self, least: int = 0) -> int:
        value = self.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST:
            raise self.wrong(f"a whole number from {least} up" if least > -LARGEST else "a whole number")
        return value

    def number(self) -> float:
        value = self.value
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
            raise self.wrong("a number")
        return float(value)

    def items(self) -> list[Part]:
        if not isinstance(self.tree, t.Sequence):
            raise self.wrong("a list")
        return [Part(one, f"entry {at} of {self.name}" if len(self.name) < 80 else self.name) for at, one in enumerate(self.tree.items)]

    def wholes(self, least: int = 0) -> list[int]:
        return [one.whole(least) for one in self.items()]

    def entries(self) -> Iterator[tuple[str, Part]]:
        if not isinstance(self.tree, t.Mapping):
            raise self.wrong("a mapping")
        for key, one in self.tree.items:
            yield str(key.value), Part(one, str(key.value))

    def keys(self) -> list[str]:
        return [key for key, _ in self.entries()]

    def get(self, *names: str) -> Part | None:
        """The first of some keys that is given, and is not null."""
        if not isinstance(self.tree, t.Mapping):
            raise self.wrong("a mapping")
        for name in names:
            found = self.tree.get(name)
            if found is not None and not (isinstance(found, t.Scalar) and found.value is None):
                return Part(found, name)
        return None

    def need(self, name: str, *others: str) -> Part:
        """As `get`, for what has to be there."""
        found = self.get(name, *others)
        if found is None:
            raise Refused(
                Span(self.tree.source, self.tree.start, self.tree.start + 1), f"{self.name} has no {name}", f"write {name}", "A204"
            )
        return found

    def get_whole(self, name: str, default: int, least: int = 0) -> int:
        found = self.get(name)
        return default if found is None else found.whole(least)

    def get_number(self, name: str, default: float) -> float:
        found = self.get(name)
        return default if found is None else found.number()

    def get_text(self, name: str, default: str) -> str:
        found = self.get(name)
        return default if found is None else found.text()

    def get_flag(self, name: str, default: bool) -> bool:
        found = self.get(name)
        return default if found is None else found.flag()

    def place(self, *names: str) -> Span:
        """Where the first of some keys stands that is given; else the value's first line."""
        for name in names:
            if (found := self.get(name)) is not None:
                return found.span
        start = self.tree.start
        end = self.tree.source.text.find("\n", start)
        return Span(self.tree.source, start, min(self.tree.end, end if end >= 0 else self.tree.end))


def parse(source: Source, what: str) -> Part:
    """The document's root, a mapping. Raises Refused at the first mistake. `what` is what the file is called in messages."""
    diagnostics = Diagnostics()
    tree = t.parse(source, diagnostics)
    found = next(iter(diagnostics), None)
    if found is not None or tree is None:
        raise Refused(found.span, found.message, found.hint, found.code) if found else Refused(Span(source, 0, 1), "it cannot be read")
    root = Part(tree, what)
    if not root.is_mapping:
        raise Refused(root.place() if tree.end else Span(source, 0, 1), f"{what} holds no mapping", "names and values are expected", "A202")
    return root
