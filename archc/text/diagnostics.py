"""Mistakes as values: collected, never raised, drawn once at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from archc.errors import ArchcError
from archc.text.lines import Line, Measure, head, plain, wrap
from archc.text.quantity import counted
from archc.text.source import Span

# A code never changes its meaning. A1 text, A2 form, A3 names, A4 values, A5 shapes, A6 limits, A7 files, A8 promises.
CODES = {
    "A101": "the file is not YAML",
    "A102": "a key that stands twice",
    "A103": "nested too deeply",
    "A104": "an anchor or alias that may not be used",
    "A105": "a tag, a merge key or a second document",
    "A106": "no space after the colon",
    "A107": "a number that is too large or not finite",
    "A108": "the text is too long or cannot be read",
    "A201": "unknown key",
    "A202": "the wrong form",
    "A203": "an entry with no kind, or with several",
    "A204": "a missing key",
    "A206": "a bad signature",
    "A301": "unknown layer or block",
    "A302": "unknown argument",
    "A303": "unknown value",
    "A304": "unknown name in `from`",
    "A305": "a name that is taken",
    "A306": "a name that is not allowed",
    "A307": "unknown parameter",
    "A308": "a training-only value used in the deployed network",
    "A401": "a bad expression",
    "A402": "the wrong type",
    "A403": "a missing argument",
    "A404": "a value out of range",
    "A405": "an expression that cannot be evaluated",
    "A406": "a size that is open where a number is needed",
    "A501": "shapes that do not fit",
    "A502": "the wrong number of inputs",
    "A503": "weights that cannot be shared",
    "A504": "a layer that fixes a size which is open",
    "A601": "too many layers",
    "A602": "a block that uses itself endlessly",
    "A603": "too much work",
    "A701": "a file that cannot be read",
    "A702": "a path outside the spec's folder",
    "A703": "specs that extend each other in a circle",
    "A704": "an unknown package of blocks",
    "A705": "a plugin that cannot be used",
    "A706": "a plugin whose module contradicts what it states",
    "A801": "a promise in `expect` that is not kept",
    "A802": "a limit in `budget` that is exceeded",
    "A803": "weights that lead to no output",
    "A804": "an output that depends on no layer",
    "A901": "`from` names a numbered layer",
    "A902": "an input that seems to have a batch axis, or its channels last",
    "A903": "a value that is probably a mistake",
    "A904": "copies that chain where branches may be meant",
    "A905": "`input` in a copy that takes something else",
    "A906": "a layer in place over a value that is read afterwards",
}


MOST_KEPT = 500  # mistakes of one spec; past them, the first few are what helps
MOST_DRAWN = 50  # of one file
LONGEST = 600  # characters of a message, of a hint


@dataclass(frozen=True, slots=True)
class Use:
    """One step of the way to a place: a block, where it was used, and where each of its arguments was written."""

    label: str
    span: Span
    arguments: Mapping[str, Span] = field(default_factory=dict, compare=False)


@dataclass(slots=True)
class Diagnostic:
    """What is wrong, where, and what would be right. `hint` is shown beside the marker."""

    code: str
    message: str
    span: Span
    hint: str | None = None
    uses: tuple[Use, ...] = ()
    severity: str = "error"
    repeats: int = field(default=0, compare=False)


class Diagnostics:
    """Collects mistakes; the same mistake at the same place is kept once and counted. Past MOST_KEPT, one says that there are more."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Diagnostic] = {}

    def error(self, code: str, span: Span, message: str, hint: str | None = None, uses: tuple[Use, ...] = ()) -> None:
        self.add(Diagnostic(code, message, span, hint, uses))

    def add(self, found: Diagnostic) -> None:
        key = (found.code, found.span)
        if key in self._found:
            self._found[key].repeats += 1
        elif len(self._found) < MOST_KEPT:
            self._found[key] = found
            found.message, found.hint = _cut(found.message), found.hint and _cut(found.hint)
        elif not self.full:
            message = f"more than {MOST_KEPT} mistakes"
            self._found[key] = Diagnostic("A603", message, found.span, "the rest are not reported", found.uses)

    def extend(self, several: Iterable[Diagnostic]) -> None:
        for diagnostic in several:
            self.add(diagnostic)

    def drop_followers(self) -> None:
        """Drops doubts about values in a block where another layer of the same use is wrong: one cause, said once."""
        wrong = {found.uses for found in self._found.values() if found.severity == "error" and found.uses}
        self._found = {key: one for key, one in self._found.items() if one.code != "A903" or one.uses not in wrong}

    @property
    def full(self) -> bool:
        """Whether there were more than are kept."""
        return len(self._found) > MOST_KEPT

    @property
    def failed(self) -> bool:
        return any(diagnostic.severity == "error" for diagnostic in self._found.values())

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(sorted(self._found.values(), key=lambda d: (d.span.source.name, d.span.start)))

    def __len__(self) -> int:
        return len(self._found)


class SpecError(ArchcError):
    """A spec that cannot be used; its text is the drawn diagnostics. Raised by the Python interface alone."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = list(diagnostics)
        super().__init__(draw_all(self.diagnostics))

    def __reduce__(self) -> tuple[object, ...]:
        return SpecError, (self.diagnostics,)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def draw_all(found: Iterable[Diagnostic]) -> str:
    """Diagnostics as plain text, in their order, as wide as they are."""
    return plain(lines_of_all(found))


def lines_of_all(found: Iterable[Diagnostic], width: int | None = None, measure: Measure = len) -> list[Line]:
    """Diagnostics as lines, in their order; of each file the first MOST_DRAWN, and how many more there are."""
    drawn: list[list[Line]] = []
    count: dict[str, int] = {}
    for diagnostic in found:
        name = diagnostic.span.source.name
        count[name] = count.get(name, 0) + 1
        if count[name] <= MOST_DRAWN:
            drawn.append(lines_of(diagnostic, width, measure))
    more = (f"… and {many - MOST_DRAWN:,} more in {printable(name)}" for name, many in count.items() if many > MOST_DRAWN)
    drawn += [[[(line, "")] for line in wrap(message, width, measure=measure)] for message in more]
    return [line for i, lines in enumerate(drawn) for line in ([[], *lines] if i else lines)]


class SpecWarning(UserWarning):
    """A spec that is hardly meant as it stands. Given by the Python interface alone."""


def printable(text: str) -> str:
    """Text from a stranger with its control characters made visible: a terminal obeys nothing in a spec."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c == "\t" else f"\\x{ord(c):02x}" for c in text)


def draw(found: Diagnostic) -> str:
    """The diagnostic as plain text."""
    return plain(lines_of(found))


MOST_USES = 8  # of the way to a place
LONGEST_LINE = 140  # of a spec, shown where nothing says how wide the terminal is
LEAST_HINT = 40  # columns that a hint has beside its marker, or else it stands below


def lines_of(found: Diagnostic, width: int | None = None, measure: Measure = len) -> list[Line]:
    """The diagnostic as lines: the message, the line with a marker under it, the way that led there. What is said is wrapped to
    the width; the line of the spec is cut to it, around the place."""
    mark = "error" if found.severity == "error" else "warning"
    line, column = found.span.source.position(found.span.start)
    gutter = " " * len(str(line))
    kind = f"{found.severity}[{found.code}]"
    first, *more = wrap(f"{kind}: {printable(found.message)}", width, "    ", measure)
    out: list[Line] = [[(kind, mark), (first[len(kind) :], "message")], *([(text, "message")] for text in more)]
    out.append([(f"{gutter}-->", "place"), (f" {printable(found.span.source.name)}:{line}:{column}", "")])
    out.append([(f"{gutter} |", "place")])
    room = max(width - len(gutter) - 5, 20) if width is not None else LONGEST_LINE
    text, marker = _mark_line(found.span, line, column, room, measure)
    out.append([(f"{line} |", "place"), (f" {text}", "")])
    out += [
        [(f"{gutter} |", "place"), (f" {piece}", mark)]
        for piece in _hint_lines(marker, printable(found.hint or ""), width, gutter, measure)
    ]
    ways = [f"in {printable(use.label)}, used at {printable(str(use.span))}" for use in found.uses]
    uses = [(way, sum(1 for _ in same)) for way, same in groupby(ways)]
    notes = [f"{way}{f', {times} times over' if times > 1 else ''}" for way, times in uses[:MOST_USES]]
    if len(uses) > MOST_USES:
        notes.append(f"… and {len(uses) - MOST_USES} more")
    if found.repeats:
        notes.append(f"reported {counted(found.repeats, 'more time')} at this place")
    for note in notes:
        for i, piece in enumerate(wrap(note, width and width - len(gutter) - 3, "  ", measure)):
            out.append([(f"{gutter} {' ' if i else '='}", "place"), (f" {piece}", "")])
    return out


def _hint_lines(marker: str, hint: str, width: int | None, gutter: str, measure: Measure) -> list[str]:
    """The marker with its hint beside it, or below where it has no room there."""
    if not hint or width is None:
        return [f"{marker} {hint}" if hint else marker]
    room = width - len(gutter) - 3
    indent = " " * (len(marker) + 1)
    if len(indent) + measure(hint) <= room:
        return [f"{marker} {hint}"]
    if room - len(indent) >= LEAST_HINT:
        first, *more = wrap(hint, room - len(indent), "", measure)
        return [f"{marker} {first}", *(indent + text for text in more)]
    start = " " * max(min(len(marker) - len(marker.lstrip(" ")), room - LEAST_HINT), 0)
    return [marker, *(start + text for text in wrap(hint, room - len(start), "", measure))]


def _mark_line(span: Span, line: int, column: int, widest: int, measure: Measure) -> tuple[str, str]:
    """The source line and the marker under it, cut to a window when the line is long."""
    text = span.source.line(line)
    length = max(1, min(span.end - span.start, len(text) - column + 1))
    start = max(0, column - 1 - widest // 2) if len(text) > widest else 0
    shown = head("".join(c if c.isprintable() else " " for c in text[start : start + widest]), widest, measure)
    before, after = "…" if start else "", "…" if start + len(shown) < len(text) else ""
    inside = shown[: column - 1 - start], shown[column - 1 - start : column - 1 - start + length]
    return before + shown + after, " " * (len(before) + measure(inside[0])) + "^" * max(measure(inside[1]), 1)
