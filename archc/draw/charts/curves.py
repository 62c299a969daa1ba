"""Pictures of a training, drawn by matplotlib: figures over the epochs, and which class is taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archc.draw.charts.charts import BLUE, GREY, _axes, _plain, _saved

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
    return _saved(figure, form)


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
    return _saved(figure, form)
