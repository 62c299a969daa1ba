"""Rows of a preview: an image, and what a recipe may make of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from archc.data import DataSet
from archc.data.grid import Row
from archc.recipe import Recipe
from archc.training.augment.augmentation import Augmentation
from archc.training.augment.mixing import mix


def previewed(
    dataset: DataSet, recipe: Recipe, rows: Sequence[Row], draws: int, seed: int, size: tuple[int, int] | None = None
) -> list[Row]:
    """Each row's first image, as the network gets it without augmentation, and then `draws` times with it."""
    augment, plain = (Augmentation(parts, dataset.normalization, seed, size=size) for parts in (recipe.augment, ()))
    originals = torch.from_numpy(np.concatenate([row.images[:1] for row in rows]))
    labels = torch.arange(len(rows))
    made = [plain.changed(originals, 0)]
    for step in range(draws):
        generator = torch.Generator().manual_seed(seed + step)
        made.append(mix(augment.changed(originals, step), labels, len(rows), recipe, generator)[0])
    pictures = (torch.stack(made, 1).clamp(0, 1) * 255).round().byte().numpy()  # [rows, 1 + draws, C, H, W]
    return [Row(row.name, images) for row, images in zip(rows, pictures, strict=True)]
