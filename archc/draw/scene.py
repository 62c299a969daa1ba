"""An SVG scene: shapes and texts in the order in which they are painted. All that is text is data and is escaped.

Coordinates are pixels, y downwards. The picture is as large as what is in it, with a margin: nothing is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import cos, radians, sin
from typing import NamedTuple

from archc.draw.theme import FONT, Theme
from archc.text.diagnostics import printable

Point = tuple[float, float]

# Widths of ASCII from the blank on, in hundredths of the size: DejaVu Sans, the widest of the fonts that FONT names,
# and its bold, with what kerning adds
_WIDTHS = (
    32, 41, 46, 84, 64, 96, 78, 28, 40, 40, 50, 84, 32, 42, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84, 84, 84, 54, 100,
    71, 69, 70, 78, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75, 79, 61, 79, 70, 64, 62, 74, 69, 99, 69, 62, 69, 40, 34, 40, 84, 50, 50, 62,
    64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 28, 98, 64, 62, 64, 64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84,
)  # fmt: skip
_BOLD = (
    35, 46, 53, 84, 70, 101, 88, 31, 46, 46, 53, 84, 38, 44, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40, 40, 84, 84, 84, 59,
    100, 80, 77, 74, 84, 69, 69, 83, 84, 38, 38, 78, 64, 100, 84, 86, 74, 86, 79, 74, 71, 82, 78, 111, 78, 73, 73, 46, 37, 46, 84, 50,
    50, 68, 72, 60, 72, 68, 44, 72, 72, 35, 35, 67, 35, 105, 72, 69, 72, 72, 50, 60, 48, 72, 66, 93, 65, 67, 59, 72, 37, 72, 84,
)  # fmt: skip
_OTHERS = {"×": 84, "·": 38, "–": 50, "…": 100}
ASCENT, DESCENT = 0.76, 0.24


class Box(NamedTuple):
    """A rectangle, by its sides."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box, gap: float = 0) -> bool:
        """Whether they overlap, or come nearer than `gap`."""
        across = self.left < other.right + gap and other.left < self.right + gap
        return across and self.top < other.bottom + gap and other.top < self.bottom + gap


def text_width(text: str, size: float, bold: bool = False) -> float:
    """An upper estimate of how wide a text is."""
    widths = _BOLD if bold else _WIDTHS
    return sum(widths[ord(c) - 32] if " " <= c <= "~" else _OTHERS.get(c, 100) for c in text) * size / 100


def shorten(text: str, size: float, room: float) -> str:
    """The text, cut in its middle so that it fits; empty where not even a letter does."""
    most = int(100 * room / (size * min(_WIDTHS))) + 1  # letters that could fit at all
    if len(text) <= most and text_width(text, size) <= room:
        return text
    for kept in range(min(len(text) - 1, most), 1, -1):
        tail = kept // 2
        cut = f"{text[: kept - tail]}…{text[len(text) - tail :]}"
        if text_width(cut, size) <= room:
            return cut
    return ""


def number(value: float) -> str:
    """A coordinate with two places at most, and never -0."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def escape(text: str) -> str:
    """Text as it may stand in an element or in a quoted attribute. What XML cannot hold is made visible."""
    shown = printable(text)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;").replace("'", "&#39;")


def mix(color: str, other: str, part: float) -> str:
    """A colour with so much of another in it."""
    pairs = ((int(color[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


class Scene:
    """A picture in the making. `title` names it for those who cannot see it; `unit` is what a coordinate is, pixels unless told."""

    def __init__(self, theme: Theme, title: str, margin: float = 16, unit: str = "") -> None:
        self.theme = theme
        self.title = title
        self.margin = margin
        self.unit = unit
        self.texts: list[tuple[str, Box]] = []
        self._parts: list[str] = []
        self._box: Box | None = None

    @property
    def box(self) -> Box:
        """What is painted so far."""
        return self._box or Box(0, 0, 0, 0)

    def reserve(self, box: Box) -> None:
        """Makes the picture large enough for this."""
        old = self._box or box
        self._box = Box(min(old.left, box.left), min(old.top, box.top), max(old.right, box.right), max(old.bottom, box.bottom))

    @contextmanager
    def group(self, kind: str, title: str = "", own: str = "") -> Iterator[None]:
        """What is painted within belongs together; `kind` is a class, `title` shows under the pointer, `own` is an id."""
        known = f' id="{escape(own)}"' if own else ""
        self._parts.append(f'<g class="{escape(kind)}"{known}>{_tooltip(title)}')
        yield
        self._parts.append("</g>")

    def polygon(self, points: Sequence[Point], fill: str, stroke: str = "", width: float = 1, title: str = "") -> None:
        self._cover(points)
        places = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self._shape("polygon", f'points="{places}" fill="{fill}"{_stroke(stroke, width, "")}', title)

    def rect(
        self,
        box: Box,
        fill: str,
        stroke: str = "",
        width: float = 1,
        radius: float = 0,
        title: str = "",
        opacity: float = 1,
        dash: str = "",
    ) -> None:
        self.reserve(box)
        place = (
            f'x="{number(box.left)}" y="{number(box.top)}" width="{number(box.right - box.left)}" height="{number(box.bottom - box.top)}"'
        )
        place += f' rx="{number(radius)}"' if radius else ""
        place += f' fill-opacity="{number(opacity)}"' if opacity < 1 else ""
        self._shape("rect", f'{place} fill="{fill}"{_stroke(stroke, width, dash)}', title)

    def line(self, points: Sequence[Point], stroke: str, width: float = 1, dash: str = "", title: str = "") -> None:
        """An open line through the points."""
        self._cover(points)
        places = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self._shape("polyline", f'points="{places}" fill="none"{_stroke(stroke, width, dash)}', title)

    def curve(self, points: Sequence[Point], stroke: str, width: float = 1) -> None:
        """Bézier curves one after the other: a beginning, then two control points and an end for each."""
        self._cover(points)
        first, *others = (f"{number(x)},{number(y)}" for x, y in points)
        self._shape("path", f'd="M{first}C{" ".join(others)}" fill="none"{_stroke(stroke, width, "")}', "")

    def bent(self, points: Sequence[Point], stroke: str, radius: float, width: float = 1) -> None:
        """An open line along the axes, with round corners."""
        self._cover(points)
        d = f"M{_pair(points[0])}"
        for before, corner, after in zip(points, points[1:], points[2:], strict=False):
            d += f" L{_pair(_towards(corner, before, radius))} Q{_pair(corner)} {_pair(_towards(corner, after, radius))}"
        self._shape("path", f'd="{d} L{_pair(points[-1])}" fill="none"{_stroke(stroke, width, "")}', "")

    def circle(self, centre: Point, radius: float, fill: str, stroke: str = "", title: str = "", width: float = 1) -> None:
        x, y = centre
        self.reserve(Box(x - radius, y - radius, x + radius, y + radius))
        self._shape("circle", f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" fill="{fill}"{_stroke(stroke, width, "")}', title)

    def arrow(self, points: Sequence[Point], stroke: str, width: float = 1.2, dash: str = "", head: float = 6) -> None:
        """A line with a head at its last point; the last stretch is along an axis or at any angle."""
        (x0, y0), (x1, y1) = points[-2], points[-1]
        long = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1
        ux, uy = (x1 - x0) / long, (y1 - y0) / long
        neck = (x1 - ux * head, y1 - uy * head)
        self.line([*points[:-1], neck], stroke, width, dash)
        side = head * 0.42
        self.polygon([(x1, y1), (neck[0] - uy * side, neck[1] + ux * side), (neck[0] + uy * side, neck[1] - ux * side)], stroke)

    def text(
        self,
        at: Point,
        content: str,
        size: float = 11,
        fill: str = "",
        anchor: str = "start",
        bold: bool = False,
        turned: float = 0,
        title: str = "",
    ) -> Box:
        """A line of text with its baseline at `at`; `anchor` is start, middle or end; `turned` degrees clockwise. Its box."""
        shown = printable(content)
        box = text_box(at, shown, size, anchor, bold, turned)
        self.reserve(box)
        self.texts.append((shown, box))
        x, y = at
        more = "" if anchor == "start" else f' text-anchor="{anchor}"'
        more += ' font-weight="bold"' if bold else ""
        more += f' transform="rotate({number(turned)} {number(x)} {number(y)})"' if turned else ""
        place = f'x="{number(x)}" y="{number(y)}" font-size="{number(size)}" fill="{fill or self.theme.ink}"{more}'
        self._parts.append(f"<text {place}>{_tooltip(title)}{escape(shown)}</text>")
        return box

    def svg(self) -> str:
        """The picture as a file."""
        box, gap = self.box, self.margin
        width, height = box.right - box.left + 2 * gap, box.bottom - box.top + 2 * gap
        left, top = number(box.left - gap), number(box.top - gap)
        size, unit = f'width="{number(width)}" height="{number(height)}"', self.unit
        outer = f'width="{number(width)}{unit}" height="{number(height)}{unit}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {outer} viewBox="{left} {top} {number(width)} {number(height)}" '
            f'role="img" font-family="{escape_font(FONT)}">\n<title>{escape(self.title)}</title>\n'
            f'<rect x="{left}" y="{top}" {size} fill="{self.theme.background}"/>\n' + "\n".join(self._parts) + "\n</svg>\n"
        )

    def _cover(self, points: Sequence[Point]) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self.reserve(Box(min(xs), min(ys), max(xs), max(ys)))

    def _shape(self, tag: str, attributes: str, title: str) -> None:
        self._parts.append(f"<{tag} {attributes}>{_tooltip(title)}</{tag}>" if title else f"<{tag} {attributes}/>")


def text_box(at: Point, text: str, size: float, anchor: str = "start", bold: bool = False, turned: float = 0) -> Box:
    """What a line of text covers."""
    x, y = at
    width = text_width(text, size, bold)
    left = {"start": 0.0, "middle": -width / 2, "end": -width}[anchor]
    corners = [(dx, dy) for dx in (left, left + width) for dy in (-ASCENT * size, DESCENT * size)]
    c, s = cos(radians(turned)), sin(radians(turned))
    xs, ys = [x + dx * c - dy * s for dx, dy in corners], [y + dx * s + dy * c for dx, dy in corners]
    return Box(min(xs), min(ys), max(xs), max(ys))


def _pair(point: Point) -> str:
    return f"{number(point[0])},{number(point[1])}"


def _towards(corner: Point, other: Point, radius: float) -> Point:
    """The point on the way from a corner at which its rounding ends."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    far = abs(dx) + abs(dy) or 1.0  # along an axis
    part = min(radius, far / 2) / far
    return corner[0] + dx * part, corner[1] + dy * part


def escape_font(names: str) -> str:
    return names.replace('"', "&quot;")


def _tooltip(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""


def _stroke(color: str, width: float, dash: str) -> str:
    if not color:
        return ""
    more = f' stroke-width="{number(width)}"' if width != 1 else ""
    more += f' stroke-dasharray="{dash}"' if dash else ""
    return f' stroke="{color}"{more} stroke-linejoin="round"'


def plain_ticks(top: float, most: int = 6) -> list[int]:
    """Multiples of 1, 2 or 5 times a power of ten, from 0 up to `top`."""
    step = 1
    while top / step > most:
        step = _next(step)
    return list(range(0, int(top) + 1, step))


def _next(step: int) -> int:
    return step * 5 // 2 if str(step)[0] == "2" else step * 2


def binary_ticks(top: int, most: int = 5) -> list[int]:
    """Multiples of a power of two from 0 to `top`, and so round in KiB, MiB and GiB."""
    step = 1
    while top // step > most:
        step *= 2
    return list(range(0, top + 1, step))
