"""Darknet's cfg as sections with places: `[convolutional]`, and below it lines `filters=32`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isfinite

from archc.importing.draft import Refused
from archc.text.source import Source, Span

MOST_CHARACTERS = 4_000_000
MOST_SECTIONS = 10_000
_WHOLE = re.compile(r"[-+]?\d{1,9}\Z")
_NUMBER = re.compile(r"[-+]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})([eE][-+]?\d{1,3})?\Z")


@dataclass(frozen=True, slots=True)
class Option:
    """A value as it was written, without spaces, and where."""

    text: str
    span: Span


@dataclass(slots=True)
class Section:
    """A layer: its kind, and its options by name. `read` are the names that were asked for."""

    kind: str
    span: Span
    options: dict[str, Option] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def place(self, *names: str) -> Span:
        """Where the first of some options stands that is given; else the section's head."""
        return next((self.options[name].span for name in names if name in self.options), self.span)

    def word(self, name: str, default: str) -> str:
        self.read.add(name)
        return self.options[name].text if name in self.options else default

    def whole(self, name: str, default: int, least: int = 0) -> int:
        """A whole number from `least` up."""
        self.read.add(name)
        if name not in self.options:
            return default
        return _whole(self.options[name], name, least)

    def number(self, name: str, default: float) -> float:
        self.read.add(name)
        if name not in self.options:
            return default
        option = self.options[name]
        if not _NUMBER.match(option.text) or not isfinite(float(option.text)):
            raise Refused(option.span, f'{name} is "{option.text[:40]}", not a number', f"write {name}={default:g}", "A402")
        return float(option.text)

    def wholes(self, name: str) -> list[int]:
        """A list of whole numbers, `-1,61`, which may be below zero."""
        self.read.add(name)
        if name not in self.options:
            raise Refused(self.span, f"[{self.kind}] without {name}", f"write {name}= with the layers that it takes, as -1,61", "A204")
        option = self.options[name]
        parts = option.text.rstrip(",").split(",")
        if len(parts) > 1_000:
            raise Refused(option.span, f"{name} has {len(parts):,} numbers", "at most 1,000 are read", "A601")
        return [_whole(Option(part, option.span), name, -(10**9)) for part in parts]

    def only(self, name: str, wanted: float, why: str) -> None:
        """Refuses an option unless it has the value at which it does nothing."""
        if name in self.options and self.number(name, wanted) != wanted:
            raise Refused(self.options[name].span, f"{name}={self.options[name].text[:40]}: {why}", f"{name}={wanted:g} is read", "A303")


def _whole(option: Option, name: str, least: int) -> int:
    if not _WHOLE.match(option.text) or int(option.text) < least:
        wanted = f"a whole number from {least} up" if least > -(10**9) else "a whole number"
        raise Refused(option.span, f'{name} is "{option.text[:40]}", not {wanted}', None, "A402")
    return int(option.text)


def sections(source: Source) -> list[Section]:
    """The sections of a cfg, in order. As in darknet, spaces do not count, and # and ; begin a comment."""
    text = source.text
    if len(text) > MOST_CHARACTERS:
        raise Refused(Span(source, 0, 1), f"{len(text):,} characters", f"at most {MOST_CHARACTERS:,} are read", "A108")
    found: list[Section] = []
    at = 0
    for line in text.split("\n"):
        start, at = at, at + len(line) + 1
        written = re.sub(r"\s", "", line.partition("#")[0].partition(";")[0])
        if not written:
            continue
        begin = start + len(line) - len(line.lstrip())
        span = Span(source, begin, start + len(line.rstrip()))
        if written.startswith("["):
            if not re.fullmatch(r"\[\w{1,40}\]", written):
                raise Refused(span, f"{written[:40]} is no head of a section", "write [convolutional]", "A202")
            if len(found) > MOST_SECTIONS:
                raise Refused(span, f"more than {MOST_SECTIONS:,} sections", None, "A601")
            found.append(Section(written[1:-1].lower(), span))
            continue
        _option(source, line, start, found, span)
    if not found or found[0].kind not in ("net", "network"):
        place = found[0].span if found else Span(source, 0, 1)
        raise Refused(place, "a darknet cfg begins with [net]", "write [net] with width=, height= and channels= first", "A204")
    return found


def _option(source: Source, line: str, start: int, found: list[Section], span: Span) -> None:
    name, sign, _ = re.sub(r"\s", "", line.partition("#")[0].partition(";")[0]).partition("=")
    if not sign or not name:
        raise Refused(span, "a line that is neither [section] nor name=value", "begin a comment with #", "A202")
    if not found:
        raise Refused(span, f"{name[:40]} stands before any section", "a darknet cfg begins with [net]", "A202")
    value = line.index("=") + 1
    written = line[value:].partition("#")[0].partition(";")[0]
    begin = start + value + len(written) - len(written.lstrip())
    place = Span(source, begin, start + value + len(written.rstrip()))
    option = Option(re.sub(r"\s", "", written), place)
    first = found[-1].options.setdefault(name, option)
    if first.text != option.text:
        hint = "darknet would take the first: remove one"
        raise Refused(place, f"{name[:40]} is given twice, and was {first.text[:40]} on line {first.span.line}", hint, "A102")
