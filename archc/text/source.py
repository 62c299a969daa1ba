"""Text and places in it. Lines and columns are worked out only when something is drawn."""

from __future__ import annotations

from bisect import bisect_right


class Source:
    """A text and the name under which its reader knows it (a path, or `<text>`).

    path: the file that it was read from, if it was
    via: where another text names that file; None for one that was named from outside
    """

    __slots__ = ("_starts", "name", "path", "text", "via")

    def __init__(self, name: str, text: str, path: str = "", via: Span | None = None) -> None:
        self.name = name
        self.text = text
        self.path = path
        self.via = via
        self._starts: list[int] | None = None

    def _line_starts(self) -> list[int]:
        if self._starts is None:
            starts, at = [0], self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts = starts
        return self._starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 1."""
        starts = self._line_starts()
        line = bisect_right(starts, min(max(offset, 0), len(self.text)))
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of one line, without its end."""
        starts = self._line_starts()
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r")


class Span:
    """Characters `start` to `end` of a source; a span holds its source."""

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = max(end, start)

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def within(self, start: int, end: int) -> Span:
        """A part of this span, by offsets from its start."""
        return Span(self.source, self.start + start, min(self.start + end, self.end))

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Span) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, int, int]:
        return self.source.name, self.start, self.end
