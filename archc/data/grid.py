"""A preview of a set as one picture: rows of images with the names of their classes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archc.data.dataset import DataError, DataSet, Images, Split
from archc.text.extras import how_to_install

CELL = 72  # pixels that a small image is enlarged to at least
LARGEST = 160  # pixels that a large one is reduced to
GAP, MARGIN, LINE = 6, 12, 18
MOST_LETTERS = 18
LOOKED_AT = 5000  # images of a stream, for some of each class
INK, PALE, PAPER = (32, 32, 32), (120, 120, 120), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class GridRow:
    """Images [N, C, H, W] beside a name."""

    name: str
    images: Images


def of_each_class(dataset: DataSet, split: Split, rows: int, columns: int, seed: int) -> list[GridRow]:
    """Some training images of the first classes, which the seed picks."""
    if split.length is None:
        return _of_stream(dataset, split, rows, columns, seed)
    picked = []
    generator = np.random.default_rng(seed)
    for label, name in enumerate(dataset.classes):
        own = generator.permutation(np.flatnonzero(split.labels == label))
        images, _ = split.read(own[:columns])
        if len(images):
            picked.append(GridRow(name, images))
        if len(picked) == rows:
            break
    return _some(dataset, picked)


def _of_stream(dataset: DataSet, split: Split, rows: int, columns: int, seed: int) -> list[GridRow]:
    found: dict[int, list[Images]] = {}
    for looked, (image, label) in enumerate(split.stream(seed, 0)):
        if label < rows and len(own := found.setdefault(label, [])) < columns:
            own.append(image)
        if looked == LOOKED_AT or sum(map(len, found.values())) == columns * min(rows, len(dataset.classes)):
            break
    return _some(dataset, [GridRow(dataset.classes[label], np.stack(found[label])) for label in sorted(found)])


def _some(dataset: DataSet, rows: list[GridRow]) -> list[GridRow]:
    if not rows:
        raise DataError(f"{dataset.name} has no image that could be shown")
    return rows


def grid(rows: Sequence[GridRow], titles: Sequence[str]) -> bytes:
    """A PNG. `titles` stand over the first columns."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise DataError("pictures need pillow, which is not installed", how_to_install("train", "pillow")) from None
    high, wide = _cell(rows[0].images.shape[2], rows[0].images.shape[3])
    left = MARGIN + 8 * max(len(_short(row.name)) for row in rows) + GAP
    columns = max(len(row.images) for row in rows)
    size = (left + columns * (wide + GAP) + MARGIN - GAP, MARGIN + LINE + len(rows) * (high + GAP) + MARGIN - GAP)
    picture = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    for column, title in enumerate(titles):
        draw.text((left + column * (wide + GAP), MARGIN), title, PALE, font)
    for number, row in enumerate(rows):
        top = MARGIN + LINE + number * (high + GAP)
        draw.text((MARGIN, top + high // 2), _short(row.name), INK, font, anchor="lm")
        for column, image in enumerate(row.images):
            filtering = Image.Resampling.NEAREST if wide >= image.shape[2] else Image.Resampling.BILINEAR
            cell = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
            picture.paste(cell.resize((wide, high), filtering), (left + column * (wide + GAP), top))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _cell(height: int, width: int) -> tuple[int, int]:
    """Height and width of an image in the grid: a small one enlarged by a whole number, a large one reduced."""
    longest = max(height, width)
    if longest < CELL:
        return height * -(-CELL // longest), width * -(-CELL // longest)
    part = min(1.0, LARGEST / longest)
    return max(1, round(height * part)), max(1, round(width * part))


def _short(name: str) -> str:
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"
