"""Protobuf's text format as a tree with places: `layer { name: "conv1" convolution_param { num_output: 64 } }`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite

from archc.importing.draft import Refused
from archc.text.source import Source, Span

MOST_CHARACTERS = 8_000_000
DEEPEST = 40
_TOKEN = re.compile(r"\s+|#[^\n]*|(?P<text>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')|(?P<word>[-+\w.]+)|(?P<mark>[{}<>\[\]:,;])")
_WHOLE = re.compile(r"-?\d{1,10}\Z")
_NUMBER = re.compile(r"[-+]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})([eE][-+]?\d{1,3})?f?\Z")
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it was written: a word, a number, or a text without its quotes."""

    text: str
    span: Span


@dataclass(slots=True)
class Message:
    """Fields in their order, each with the place of its name. A field may stand several times."""

    span: Span
    fields: list[tuple[str, Span, Literal | Message]] = field(default_factory=list)

    def messages(self, name: str) -> list[Message]:
        return [self._message(one, name) for key, _, one in self.fields if key == name]

    def message(self, name: str) -> Message:
        """A field that holds fields; an empty one where it is not given."""
        found = self.messages(name)
        return found[-1] if found else Message(self.span)

    def literals(self, *names: str) -> list[Literal]:
        """All values of a field, under any of its names."""
        found = [(key, one) for key, _, one in self.fields if key in names]
        for key, one in found:
            if isinstance(one, Message):
                raise Refused(one.span, f"{key} holds fields where a value is expected", f"write {key}: and the value", "A402")
        return [one for _, one in found if isinstance(one, Literal)]

    def place(self, *names: str) -> Span:
        """Where the first of some fields stands; else the message."""
        return next((span for key, span, _ in self.fields if key in names), self.span)

    def text(self, name: str, default: str = "") -> str:
        found = self.literals(name)
        return found[-1].text if found else default

    def flag(self, name: str, default: bool) -> bool:
        found = self.literals(name)
        if not found:
            return default
        if found[-1].text not in ("true", "false", "1", "0", "t", "f"):
            raise Refused(found[-1].span, f'{name} is "{found[-1].text[:40]}", not true or false', None, "A402")
        return found[-1].text in ("true", "1", "t")

    def wholes(self, *names: str, least: int = 0) -> list[int]:
        """All whole numbers of a field."""
        return [_whole(one, names[0], least) for one in self.literals(*names)]

    def whole(self, name: str, default: int, least: int = 0) -> int:
        found = self.wholes(name, least=least)
        return found[-1] if found else default

    def number(self, name: str, default: float) -> float:
        found = self.numbers(name)
        return found[-1] if found else default

    def numbers(self, name: str) -> list[float]:
        found = self.literals(name)
        for one in found:
            if not _NUMBER.match(one.text) or not isfinite(float(one.text.rstrip("f"))):
                raise Refused(one.span, f'{name} is "{one.text[:40]}", not a number', None, "A402")
        return [float(one.text.rstrip("f")) for one in found]

    @staticmethod
    def _message(value: Literal | Message, name: str) -> Message:
        if isinstance(value, Literal):
            raise Refused(value.span, f"{name} is a value where fields are expected", f"write {name} {{ … }}", "A402")
        return value


def _whole(one: Literal, name: str, least: int) -> int:
    if not _WHOLE.match(one.text) or not least <= int(one.text) < 2**31:
        raise Refused(one.span, f'{name} is "{one.text[:40]}", not a whole number from {least} up', None, "A402")
    return int(one.text)


def parse(source: Source) -> Message:
    """The message that a text is. Raises Refused at the place of the first mistake."""
    if len(source.text) > MOST_CHARACTERS:
        raise Refused(Span(source, 0, 1), f"{len(source.text):,} characters", f"at most {MOST_CHARACTERS:,} are read", "A108")
    return _Reader(source).read()


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = self._tokens()
        self.next = next(self.tokens)

    def _tokens(self) -> Iterator[tuple[str, str, Span]]:
        """Kind, text and place of each token; at the end, one that is empty."""
        text, at = self.source.text, 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise Refused(Span(self.source, at, at + 1), f"{text[at]!r} cannot stand here", "quotes of a text end on its line", "A202")
            at = match.end()
            if match.lastgroup:
                yield match.lastgroup, match[0], Span(self.source, match.start(), at)
        yield "", "", Span(self.source, len(text), len(text))

    def read(self) -> Message:
        root = Message(Span(self.source, 0, 1))
        open_: list[tuple[Message, str]] = [(root, "")]
        while self.next[0]:
            kind, text, span = self._take()
            inner, end = open_[-1]
            if kind == "mark":
                if text == end:
                    open_.pop()
                    inner.span = Span(self.source, inner.span.start, span.end)
                elif text not in ",;":
                    raise Refused(span, f"{text} where the name of a field is expected", None, "A202")
                continue
            if kind == "text" or not re.fullmatch(r"[A-Za-z_]\w*", text):
                raise Refused(span, f"{text[:40]} is no name of a field", "write name: value, or name { … }", "A202")
            self._field(inner, text, span, open_)
        if len(open_) > 1:
            raise Refused(open_[-1][0].span, "this is not closed", f"write {open_[-1][1]} at its end", "A202")
        return root

    def _field(self, inner: Message, name: str, span: Span, open_: list[tuple[Message, str]]) -> None:
        """What follows the name of a field: its value, a list of them, or what opens a message."""
        colon = self.next[1] == ":"
        if colon:
            self._take()
        kind, text, place = self.next
        if text in ("{", "<"):
            self._take()
            message = Message(place)
            inner.fields.append((name, span, message))
            open_.append((message, "}" if text == "{" else ">"))
            if len(open_) > DEEPEST:
                raise Refused(place, f"more than {DEEPEST} levels", None, "A103")
        elif colon and text == "[":
            self._take()
            while self.next[1] != "]":
                inner.fields.append((name, span, self._literal(name)))
                if self.next[1] == ",":
                    self._take()
            self._take()
        elif colon and kind != "mark":
            inner.fields.append((name, span, self._literal(name)))
        else:
            raise Refused(span, f"{name[:40]} has no value", f"write {name[:40]}: value", "A202")

    def _literal(self, name: str) -> Literal:
        kind, text, span = self._take()
        if kind not in ("text", "word"):
            raise Refused(span, f"{text or 'the end'} where a value of {name[:40]} is expected", None, "A202")
        if kind == "word":
            return Literal(text, span)
        whole = _plain(text)
        while self.next[0] == "text":  # neighbouring texts are one
            whole += _plain(self._take()[1])
        return Literal(whole, span)

    def _take(self) -> tuple[str, str, Span]:
        taken = self.next
        self.next = next(self.tokens, taken)
        return taken


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1])
