"""Mixtures of two images and of their labels: mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from archc.recipe import Recipe
from archc.training.augment.geometry import inside
from archc.training.augment.random_draws import column


def mix(images: Tensor, labels: Tensor, classes: int, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch [N, C, H, W] in which each image is mixed with another of it, and the part of each class [N, classes].

    A batch is mixed in one way: where the recipe has both, each is as likely. Without either, images and labels [N] come back.
    generator: on the CPU
    """
    if not (recipe.mixup or recipe.cutmix) or len(images) < 2:
        return images, labels
    drawn = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    cut = recipe.cutmix > 0 and (not recipe.mixup or drawn.random() < 0.5)
    other = torch.from_numpy(drawn.permutation(len(images))).to(images.device)
    alpha = recipe.cutmix if cut else recipe.mixup
    kept = drawn.beta(alpha, alpha, len(images))
    if cut:
        images, kept = _cut(images, images[other], kept, drawn)
    else:
        by = column(kept, images)
        images = images * by + images[other] * (1 - by)
    parts = torch.from_numpy(kept).to(labels.device, torch.float32)[:, None]
    hot = F.one_hot(labels, classes).float()
    return images, hot * parts + hot[other] * (1 - parts)


def _cut(
    images: Tensor, others: Tensor, kept: npt.NDArray[np.float64], drawn: np.random.Generator
) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """A box of the other image in each, and what is kept by its pixels. The box's middle is drawn; what leaves the image is cut off."""
    height, width = images.shape[2:]
    side = np.sqrt(1 - kept)
    bounds = []
    for length in (height, width):
        half, middle = (length * side).astype(np.int64) // 2, drawn.integers(length, size=len(kept))
        bounds.append((np.clip(middle - half, 0, length), np.clip(middle + half, 0, length)))
    (top, bottom), (left, right) = bounds
    box = inside(images, top, left, bottom - top, right - left)
    return torch.where(box, others, images), 1 - (bottom - top) * (right - left) / (height * width)
