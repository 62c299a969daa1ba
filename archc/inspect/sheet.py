"""Sheets of pictures with captions, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from archc.inspect.layers import LayerPlace, LookError

Pixels = npt.NDArray[np.uint8]  # [H, W, 3]
Box = tuple[int, int, int, int]  # left, top, right, bottom, the last two beyond it

SMALLEST, LARGEST = 96, 224  # pixels of a cell's longer side
GAP, MARGIN, LINE = 10, 16, 18
INK, PALE, PAPER, MARK = (32, 32, 32), (110, 110, 110), (255, 255, 255), (216, 60, 40)
_COLD, _WARM = np.array([33, 102, 172.0]), np.array([178, 24, 43.0])  # ends of ColorBrewer's RdBu
_HEAT = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164.0]])  # matplotlib's inferno, at five points


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture with a line below it; `box` is drawn around a part of it."""

    pixels: Pixels
    caption: str = ""
    box: Box | None = None


def pixels_of(image: Tensor) -> Pixels:
    """[C, H, W] of uint8, one channel or three, as colours."""
    array = image.numpy()
    return np.repeat(array.transpose(1, 2, 0), 3, axis=2) if len(array) == 1 else np.ascontiguousarray(array[:3].transpose(1, 2, 0))


def signed_pixels(values: Tensor) -> Pixels:
    """[H, W] of both signs: red for, blue against, white for nothing. The strongest hundredth is cut off."""
    array = values.double().numpy()
    most = float(np.quantile(np.abs(array), 0.99)) or 1.0
    part = np.clip(array / most, -1, 1)[..., None]
    end = np.where(part > 0, _WARM, _COLD)
    colors: Pixels = (255 + (end - 255) * np.abs(part)).round().astype(np.uint8)
    return colors


def heat(values: Tensor, under: Pixels) -> Pixels:
    """[H, W] from nothing to the most, laid over a picture."""
    array = values.double().numpy()
    part = (array - array.min()) / (float(np.ptp(array)) or 1.0) * (len(_HEAT) - 1)
    low = np.minimum(part.astype(int), len(_HEAT) - 2)
    color = _HEAT[low] + (_HEAT[low + 1] - _HEAT[low]) * (part - low)[..., None]
    grey = under.mean(2, keepdims=True)
    colors: Pixels = (0.6 * color + 0.4 * grey).round().astype(np.uint8)
    return colors


def sheet(rows: Sequence[tuple[str, Sequence[Cell]]], title: str) -> bytes:
    """Rows of cells, each row with its name before it."""
    font, small = ImageFont.load_default(13), ImageFont.load_default(11)
    high, wide = _size(rows[0][1][0].pixels)
    column = max([wide, *(int(small.getlength(_plain(cell.caption))) for _, cells in rows for cell in cells)]) + GAP
    left = MARGIN + max([0, *(int(font.getlength(_plain(name))) + GAP for name, _ in rows if name)])
    most = max(len(cells) for _, cells in rows)
    row = high + LINE + GAP
    width = max(left + most * column, MARGIN + int(font.getlength(_plain(title)))) + MARGIN
    picture = Image.new("RGB", (width, MARGIN + LINE + GAP + len(rows) * row + MARGIN - GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, MARGIN), _plain(title), INK, font)
    for number, (name, cells) in enumerate(rows):
        top = MARGIN + LINE + GAP + number * row
        draw.text((MARGIN, top + high // 2), _plain(name), INK, font, anchor="lm")
        for at, cell in enumerate(cells):
            picture.paste(_drawn(cell, high, wide), (left + at * column, top))
            draw.text((left + at * column, top + high + 3), _plain(cell.caption), PALE, small)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _size(pixels: Pixels) -> tuple[int, int]:
    """Height and width of a cell: a small picture is enlarged by a whole number, a large one reduced."""
    longest = max(pixels.shape[:2])
    if longest < SMALLEST:
        times = -(-SMALLEST // longest)
        return pixels.shape[0] * times, pixels.shape[1] * times
    part = min(1.0, LARGEST / longest)
    return max(1, round(pixels.shape[0] * part)), max(1, round(pixels.shape[1] * part))


def _drawn(cell: Cell, high: int, wide: int) -> Image.Image:
    enlarged = wide >= cell.pixels.shape[1]
    made = Image.fromarray(cell.pixels).resize((wide, high), Image.Resampling.NEAREST if enlarged else Image.Resampling.BILINEAR)
    if cell.box is not None:
        x, y = wide / cell.pixels.shape[1], high / cell.pixels.shape[0]
        left, top, right, bottom = cell.box
        ImageDraw.Draw(made).rectangle(
            (left * x, top * y, max(right * x - 1, left * x), max(bottom * y - 1, top * y)), outline=MARK, width=2
        )
    return made


def _plain(text: str) -> str:
    """One line of what can be drawn."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= 90 else plain[:89] + "…"


MOST = 96


def filters(at: LayerPlace) -> Tensor:
    """uint8 [N, 1 or 3, kh, kw]: each filter on its own scale, zero is mid-grey. Raises LookError for what is no image."""
    weight = at.module.weight
    if not isinstance(weight, Tensor) or weight.ndim != 4:
        raise LookError(f"{at.node.name} has no filters of two axes")
    kernel = weight.detach().float().cpu()[:MOST]
    if kernel.shape[1] not in (1, 3):
        kernel = kernel[:, :1]
    most = kernel.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
    return ((kernel / most + 1) * 127.5).round().to(torch.uint8)
