"""Lines of text in pieces that each have a style, and what a terminal needs of them: their width in columns, and words wrapped to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Piece = tuple[str, str]  # a text and the name of its style, which is empty where it has none
Line = list[Piece]
Measure = Callable[[str], int]  # the columns that a text takes; `len` where no character is wide

STYLES = (
    *("title", "rule", "total", "scope", "costly", "command"),  # of tables
    *("error", "warning", "message", "place"),  # of diagnostics
    *("added", "removed", "changed", "moved"),  # of differences
)


def plain(lines: Iterable[Line]) -> str:
    """Lines without their styles."""
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def left(text: str, width: int, measure: Measure = len) -> str:
    """A text with spaces after it, up to a width."""
    return text + " " * (width - measure(text))


def right(text: str, width: int, measure: Measure = len) -> str:
    """A text with spaces before it, up to a width."""
    return " " * (width - measure(text)) + text


def head(text: str, most: int, measure: Measure = len) -> str:
    """As much of a text's beginning as takes no more than `most` columns."""
    text = text[: max(most, 0)]
    while measure(text) > most:
        text = text[:-1]
    return text


def tail(text: str, most: int, measure: Measure = len) -> str:
    """As much of a text's end as takes no more than `most` columns."""
    text = text[len(text) - max(most, 0) :] if most < len(text) else text
    while measure(text) > most:
        text = text[1:]
    return text


def wrap(text: str, width: int | None, indent: str = "  ", measure: Measure = len) -> list[str]:
    """A line in lines of at most `width` columns, the later ones behind `indent`. Words, which may be paths, stay whole."""
    if width is None or measure(text) <= width:
        return [text]
    start = text[: len(text) - len(text.lstrip(" "))]
    lines, line = [], start
    for word in text[len(start) :].split(" "):
        room = width - measure(line) - (line not in (start, indent))
        if measure(word) > room and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += word if line in (start, indent) else f" {word}"
    return [*lines, line.rstrip()]


def wrap_all(text: str, width: int | None, measure: Measure = len) -> str:
    """A text of several lines, each wrapped; what follows two spaces, as in `key   value`, hangs under its beginning."""
    return "\n".join(part for line in text.split("\n") for part in wrap(line, width, " " * _hanging(line, width), measure))


def _hanging(line: str, width: int | None) -> int:
    start = len(line) - len(line.lstrip(" "))
    gap = line.find("  ", start)
    if gap < 0:
        return start + 2
    at = len(line) - len(line[gap:].lstrip(" "))
    return at if width is None or at <= min(24, width // 2) else start + 2
