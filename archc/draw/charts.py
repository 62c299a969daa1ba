"""Charts, drawn by matplotlib: accuracy against cost, the challenge's errors over the years, and the curves of a training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archc.errors import ArchcError
from archc.text.extras import how_to_install

FORMATS = ("svg", "png", "pdf")
BLUE, GREY = "#3b6ea8", "#8a8a8a"


class ChartError(ArchcError):
    """What stands in the way of a chart, for the user."""


@dataclass(frozen=True, slots=True)
class Bubble:
    """One network: MACs and parameters of one image, accuracy in %. Bubbles of one `group` have one color.

    `source` says whose accuracy it is. Where a chart has several, those of all but the most frequent are rings.
    """

    name: str
    macs: int
    parameters: int
    accuracy: float
    group: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One entry of a challenge: its year (empty for what is of no year) and its error in %."""

    name: str
    year: str
    error: float


def bubbles(points: Sequence[Bubble], form: str) -> bytes:
    """Accuracy against MACs, the area of a bubble its parameters (Canziani et al., 2016). Raises ChartError."""
    figure, axes = _axes(form, (10, 7))
    largest = max(point.parameters for point in points)
    groups = list(dict.fromkeys(point.group for point in points))
    colors = _colors(len(groups))
    sources = [source for source, _ in Counter(point.source for point in points).most_common()]
    for point in sorted(points, key=lambda point: -point.parameters):
        size = 12 + 1800 * point.parameters / largest
        color = colors[groups.index(point.group)]
        look = {"color": color, "alpha": 0.55, "edgecolors": "white", "linewidths": 0.8}
        if point.source != sources[0]:
            look = {"facecolors": "none", "edgecolors": color, "linewidths": 1.6}
        axes.scatter(point.macs / 1e9, point.accuracy, s=size, zorder=2, **look)
    axes.set_xscale("log")
    axes.margins(0.12, 0.1)
    axes.set_xlabel("MACs of one image, billions")
    axes.set_ylabel("top-1 accuracy on ImageNet, %")
    axes.set_title(f"area: parameters (the largest {largest / 1e6:,.0f} million)", fontsize=9, color=GREY, loc="right")
    if any(sources):
        marks = [f"{'ring' if i else 'disc'}: {source}" for i, source in enumerate(sources) if source]
        axes.set_title(_plain(f"accuracy, {', '.join(marks)}"), fontsize=9, color=GREY, loc="left")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(True, which="major", color="#e5e5e5", linewidth=0.8, zorder=0)
    _label(figure, axes, [(point.name, point.macs / 1e9, point.accuracy) for point in points])
    return _save(figure, form)


def timeline(bars: Sequence[Bar], form: str) -> bytes:
    """Errors as bars, in their order; what is of no year is a line across. Raises ChartError."""
    figure, axes = _axes(form, (9, 4.5))
    dated = [bar for bar in bars if bar.year]
    axes.bar(range(len(dated)), [bar.error for bar in dated], color=BLUE, width=0.65, zorder=2)
    for i, bar in enumerate(dated):
        axes.annotate(f"{bar.error:g}", (i, bar.error), (0, 3), textcoords="offset points", ha="center", fontsize=9)
    for bar in bars:
        if not bar.year:
            axes.axhline(bar.error, color=GREY, linewidth=1, linestyle="--", zorder=1)
            axes.annotate(f"{bar.name} {bar.error:g}", (len(dated) - 0.55, bar.error), (0, 3), textcoords="offset points", ha="right",
                          fontsize=9, color=GREY)  # fmt: skip
    axes.set_xticks(range(len(dated)), [f"{bar.name}\n{bar.year}" for bar in dated], fontsize=9)
    axes.set_ylabel("top-5 error, %")
    axes.margins(y=0.12)
    axes.grid(True, axis="y", color="#e5e5e5", linewidth=0.8, zorder=0)
    return _save(figure, form)


def _axes(form: str, size: tuple[float, float]) -> tuple[Any, Any]:
    if form not in FORMATS:
        raise ChartError(f"a chart is {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, not {form or 'a file with no ending'}")
    try:
        import matplotlib
    except ImportError:
        raise ChartError(f"charts need matplotlib: {how_to_install('charts')}") from None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "archc"  # the same picture, the same bytes
    matplotlib.rcParams["svg.fonttype"] = "none"
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # which measures the texts
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _colors(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab20"](i % 20) for i in range(count)]


def _label(figure: Any, axes: Any, points: list[tuple[str, float, float]]) -> None:
    """Names beside their bubbles, each at the first place around its own that no other name has taken."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    taken: list[Any] = []
    for name, x, y in sorted(points, key=lambda point: (-point[2], point[1])):
        text = axes.annotate(_plain(name), (x, y), (0, 0), textcoords="offset points", fontsize=7, va="center", zorder=3)
        for dx, dy in _PLACES:
            text.set_position((dx, dy))
            text.set_horizontalalignment("center" if dx == 0 else "left" if dx > 0 else "right")
            box = text.get_window_extent(renderer)
            if not any(box.overlaps(other) for other in taken):
                break
        if max(abs(dx), abs(dy)) > 12:
            axes.annotate(
                "", (x, y), (dx, dy), textcoords="offset points", arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.5}, zorder=2
            )
        taken.append(box)


_PLACES = [(dx, dy) for far in (1, 2, 3, 4, 6) for dx, dy in ((6 * far, 0), (6 * far, 8 * far), (6 * far, -8 * far), (0, 9 * far),
           (0, -9 * far), (-6 * far, 8 * far), (-6 * far, -8 * far), (-6 * far, 0))]  # fmt: skip


def _plain(name: str) -> str:
    """A name in which matplotlib reads no mathematics."""
    return "".join(c if c.isprintable() else "?" for c in name).replace("$", r"\$")


def _save(figure: Any, form: str) -> bytes:
    import io
    import warnings

    out = io.BytesIO()
    with warnings.catch_warnings():  # letters that the font has not are drawn as boxes
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(out, format=form, dpi=150, metadata={"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {}))
    return out.getvalue()


ORANGE, MOST_NAMED, MOST_NUMBERS = "#c8702a", 40, 20


def curves(rows: Sequence[Mapping[str, float]], form: str) -> bytes:
    """Loss of training and of watched images, and their accuracy, over the epochs. Raises ChartError."""
    figure, axes = _axes(form, (9, 4.5))
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) < 30 else ""
    axes.plot(epochs, [row["train_loss"] for row in rows], color=GREY, marker=marker, markersize=3, label="loss, training")
    watched = [row for row in rows if "loss" in row]
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.grid(True, axis="y", color="#e5e5e5", linewidth=0.8, zorder=0)
    if watched:
        at = [row["epoch"] for row in watched]
        axes.plot(at, [row["loss"] for row in watched], color=BLUE, marker=marker, markersize=3, label="loss")
        other = axes.twinx()
        other.plot(at, [100 * row["accuracy"] for row in watched], color=ORANGE, marker=marker, markersize=3, label="accuracy")
        other.set_ylabel("accuracy, %")
        other.spines["top"].set_visible(False)
        lines, names = (a + b for a, b in zip(axes.get_legend_handles_labels(), other.get_legend_handles_labels(), strict=True))
        other.legend(lines, names, frameon=False, loc="center right")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return _save(figure, form)


def confusion(pairs: Sequence[Sequence[int]], classes: Sequence[str], form: str) -> bytes:
    """Images of a class in a row, by the class that they were taken for. Raises ChartError."""
    size = max(4.5, min(14.0, 1.8 + 0.45 * len(classes)))
    figure, axes = _axes(form, (size + 0.8, size))
    parts = [[count / max(sum(row), 1) for count in row] for row in pairs]
    picture = axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MOST_NUMBERS:
        for true, row in enumerate(pairs):
            for guessed, count in enumerate(row):
                if count:
                    dark = parts[true][guessed] > 0.5
                    axes.text(guessed, true, f"{count}", ha="center", va="center", fontsize=8, color="white" if dark else "black")
    if len(classes) <= MOST_NAMED:
        names = [_plain(name if len(name) <= 18 else name[:17] + "…") for name in classes]
        axes.set_xticks(range(len(classes)), names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=8)
        axes.set_yticks(range(len(classes)), names, fontsize=8)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    figure.colorbar(picture, ax=axes, shrink=0.8, format=lambda value, _: f"{value:.0%}")
    return _save(figure, form)
