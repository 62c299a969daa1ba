"""Changes of place, on batches [N, C, H, W] of values in 0..1. What comes from outside of an image is 0, black."""

from __future__ import annotations

from math import log, pi
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from archc.training.augment.random_draws import Draws, column

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Size = tuple[int, int]
TRIES = 10  # boxes drawn for a crop, the first that lies within the image is taken


def flip(images: Tensor, draws: Draws, p: float) -> Tensor:
    return torch.where(column(draws.chance(p), images), images.flip(-1), images)


def vertical_flip(images: Tensor, draws: Draws, p: float) -> Tensor:
    return torch.where(column(draws.chance(p), images), images.flip(-2), images)


def crop(images: Tensor, draws: Draws, padding: int, size: Size) -> Tensor:
    """A window of `size` out of the image with a black border, each place as likely (He et al., 2016, section 4.2)."""
    padded = F.pad(images, (padding,) * 4)
    room = padded.shape[2] - size[0] + 1, padded.shape[3] - size[1] + 1
    if min(room) < 1:
        return center_crop(padded, size)
    return windows(padded, draws.below(room[0]), draws.below(room[1]), size)


def windows(images: Tensor, tops: Whole, lefts: Whole, size: Size) -> Tensor:
    """The window of each image that begins at its top and left."""
    device = images.device
    rows = torch.from_numpy(tops[:, None] + np.arange(size[0])).to(device)
    columns = torch.from_numpy(lefts[:, None] + np.arange(size[1])).to(device)
    each = torch.arange(len(images), device=device)[:, None, None]
    return images.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def center_crop(images: Tensor, size: Size) -> Tensor:
    """The middle of each image; where it is smaller than that, it is enlarged first."""
    height, width = images.shape[2:]
    grown = max(size[0] / height, size[1] / width, 1.0)
    if grown > 1:
        sides = (max(size[0], round(height * grown)), max(size[1], round(width * grown)))
        images = F.interpolate(images, sides, mode="bilinear", align_corners=False, antialias=True)
        height, width = sides
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return images[:, :, top : top + size[0], left : left + size[1]]


def random_resized_crop(images: Tensor, draws: Draws, scale: tuple[float, float], ratio: tuple[float, float], size: Size) -> Tensor:
    """A box of the image, resized (Szegedy et al., 2015). Where none was found, the largest in the middle whose ratio is allowed."""
    height, width = images.shape[2:]
    top, left, high, wide, drawn = boxes(draws, height, width, scale, ratio)
    middle_high, middle_wide = _middle(height, width, ratio)
    top, left = np.where(drawn, top, (height - middle_high) // 2), np.where(drawn, left, (width - middle_wide) // 2)
    high, wide = np.where(drawn, high, middle_high), np.where(drawn, wide, middle_wide)
    rows, columns = _resampling(top, high, height, size[0]).to(images), _resampling(left, wide, width, size[1]).to(images)
    return torch.einsum("nyh,nchw,nxw->ncyx", rows, images, columns)


class Boxes(NamedTuple):
    """A box in each image [N]; `drawn` is false where none of the tries fitted: the box is then empty."""

    top: Whole
    left: Whole
    high: Whole
    wide: Whole
    drawn: npt.NDArray[np.bool_]


def boxes(draws: Draws, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]) -> Boxes:
    """Boxes of a random part of the area and a random ratio of width to height, which is as likely below 1 as above by its logarithm."""
    high = wide = np.zeros(len(draws), np.int64)
    found = np.zeros(len(draws), bool)
    for _ in range(TRIES):
        area = draws.uniform(*scale) * height * width
        form = np.exp(draws.uniform(log(ratio[0]), log(ratio[1])))
        tried_high, tried_wide = (np.rint(np.sqrt(square)).astype(np.int64) for square in (area / form, area * form))
        fits = (tried_high > 0) & (tried_high <= height) & (tried_wide > 0) & (tried_wide <= width) & ~found
        high, wide = np.where(fits, tried_high, high), np.where(fits, tried_wide, wide)
        found |= fits
    return Boxes(draws.below(height - high + 1), draws.below(width - wide + 1), high, wide, found)


def _middle(height: int, width: int, ratio: tuple[float, float]) -> Size:
    form = min(max(width / height, ratio[0]), ratio[1])
    high, wide = (round(width / form), width) if width / height < form else (height, round(height * form))
    return max(1, min(high, height)), max(1, min(wide, width))


def _resampling(start: Whole, length: Whole, size: int, out: int) -> Tensor:
    """[N, out, size]: the weights that bring a stretch of each line to `out` values: a triangle, wider where it is made smaller."""
    step = (length / out)[:, None, None]
    center = start[:, None, None] + (np.arange(out)[None, :, None] + 0.5) * step
    at = np.arange(size)[None, None, :] + 0.5
    inside = (at > start[:, None, None]) & (at < (start + length)[:, None, None])
    weights = np.clip(1 - np.abs(at - center) / np.maximum(step, 1), 0, None) * inside
    return torch.from_numpy(weights / weights.sum(-1, keepdims=True))


def rotation(images: Tensor, draws: Draws, degrees: float) -> Tensor:
    return rotate(images, draws.uniform(-degrees, degrees))


def rotate(images: Tensor, degrees: Numbers) -> Tensor:
    """Turned around the middle, to the left for positive angles."""
    angle = degrees * (pi / 180)
    cos, sin, none = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    return affine(images, np.stack([cos, -sin, none, sin, cos, none], 1).reshape(-1, 2, 3))


def shear(images: Tensor, along_x: Numbers, along_y: Numbers) -> Tensor:
    """A point moves by `along_x` of its distance from the middle line, and so along y."""
    ones, zeros = np.ones_like(along_x), np.zeros_like(along_x)
    return affine(images, np.stack([ones, along_x, zeros, along_y, ones, zeros], 1).reshape(-1, 2, 3))


def affine(images: Tensor, matrices: Numbers) -> Tensor:
    """Each place (x, y) of the result, in pixels from the middle, shows what lies at matrix @ (x, y, 1); bilinear.

    matrices: [N, 2, 3]
    """
    height, width = images.shape[2:]
    sides = np.array([width / 2, height / 2])
    scaled = np.concatenate([matrices[:, :, :2] * sides[None, None, :], matrices[:, :, 2:]], 2) / sides[None, :, None]
    grid = F.affine_grid(torch.from_numpy(scaled).to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def translate(images: Tensor, draws: Draws, fraction: float) -> Tensor:
    """Moved by whole pixels, up to a part of each side."""
    height, width = images.shape[2:]
    down, right = (np.rint(draws.uniform(-fraction, fraction) * side).astype(np.int64) for side in (height, width))
    return shift_pixels(images, down, right)


def shift_pixels(images: Tensor, down: Whole, right: Whole) -> Tensor:
    """Moved by whole pixels."""
    most = max(int(np.abs(down).max(initial=0)), int(np.abs(right).max(initial=0)))
    if not most:
        return images
    return windows(F.pad(images, (most,) * 4), most - down, most - right, (images.shape[2], images.shape[3]))


def random_erasing(images: Tensor, draws: Draws, p: float, scale: tuple[float, float], ratio: tuple[float, float], fill: Tensor) -> Tensor:
    """A rectangle filled with `fill` [C, 1, 1], the mean of the training images (Zhong et al., 2020); an image without room stays."""
    height, width = images.shape[2:]
    top, left, high, wide, _ = boxes(draws, height, width, scale, ratio)
    return torch.where(inside(images, top, left, high * draws.chance(p), wide), fill.to(images), images)


def inside(images: Tensor, top: Whole, left: Whole, high: Whole, wide: Whole) -> Tensor:
    """[N, 1, H, W]: the pixels of a box of each image."""
    y, x = (torch.arange(side, device=images.device) for side in images.shape[2:])
    first, last, begin, end = (column(edge, images) for edge in (top, top + high, left, left + wide))
    return (y[:, None] >= first) & (y[:, None] < last) & (x >= begin) & (x < end)
