"""A recipe's augmentations in their order, then normalization: batches of images to what a network is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archc.data import DataSet, Normalization
from archc.data.grid import GridRow
from archc.recipe import Part, Recipe
from archc.training.augment import color, geometry
from archc.training.augment.mixing import mix
from archc.training.augment.randaugment import randaugment
from archc.training.augment.random_draws import Draws

Size = tuple[int, int]


class Augmentation:
    """Called with a batch and the number of its step (of its pass, where a step has several).

    size: height and width that the network takes, where images are read at another one: crops are of this size, and what is
        not cropped is cut from the middle. None takes the images' own
    rank, world: which process this is; its images are every world-th of the batch, from `rank` on
    """

    def __init__(
        self, parts: Sequence[Part], normalization: Normalization, seed: int, rank: int = 0, world: int = 1, size: Size | None = None
    ) -> None:
        self.parts = tuple(parts)
        self.mean, self.std = (torch.tensor(number).view(-1, 1, 1) for number in (normalization.mean, normalization.std))
        self._seed = seed
        self._rank = rank
        self._world = world
        self._size = size

    @torch.no_grad()
    def __call__(self, images: Tensor, step: int, train: bool) -> Tensor:
        """uint8, or float in 0..1, [N, C, H, W] to float [N, C, H, W], normalized; augmented in training alone."""
        seen = self.changed(images, step) if train else self._sized(_unit(images))
        return (seen - self.mean.to(seen)) / self.std.to(seen)

    @torch.no_grad()
    def changed(self, images: Tensor, step: int) -> Tensor:
        """The batch augmented, in 0..1, before normalization."""
        seen = _unit(images)
        draws = Draws(self._seed, step, len(images), self._rank, self._world)
        for part in self.parts:
            seen = KINDS[part.name](self, seen, draws, dict(part.options))
        return self._sized(seen)

    def _sized(self, images: Tensor) -> Tensor:
        return images if self.size(images) == images.shape[2:] else geometry.center_crop(images, self.size(images))

    def size(self, images: Tensor) -> Size:
        """Height and width of what comes out."""
        return self._size or (images.shape[2], images.shape[3])


def _unit(images: Tensor) -> Tensor:
    return images if images.is_floating_point() else images.float() / 255


Options = dict[str, Any]
Kind = Callable[[Augmentation, Tensor, Draws, Options], Tensor]


def _plain(change: Callable[..., Tensor]) -> Kind:
    return lambda augmentation, images, draws, options: change(images, draws, **options)


def _sizing(change: Callable[..., Tensor]) -> Kind:
    return lambda augmentation, images, draws, options: change(images, draws, **options, size=augmentation.size(images))


def _filling(change: Callable[..., Tensor]) -> Kind:
    return lambda augmentation, images, draws, options: change(images, draws, **options, fill=augmentation.mean)


KINDS: dict[str, Kind] = {
    "flip": _plain(geometry.flip),
    "vertical_flip": _plain(geometry.vertical_flip),
    "crop": _sizing(geometry.crop),
    "random_resized_crop": _sizing(geometry.random_resized_crop),
    "rotation": _plain(geometry.rotation),
    "translate": _plain(geometry.translate),
    "color_jitter": _plain(color.color_jitter),
    "randaugment": _plain(randaugment),
    "random_erasing": _filling(geometry.random_erasing),
}


def preview(
    dataset: DataSet, recipe: Recipe, rows: Sequence[GridRow], draws: int, seed: int, size: tuple[int, int] | None = None
) -> list[GridRow]:
    """Each row's first image, as the network gets it without augmentation, and then `draws` times with it."""
    augment, plain = (Augmentation(parts, dataset.normalization, seed, size=size) for parts in (recipe.augment, ()))
    originals = torch.from_numpy(np.concatenate([row.images[:1] for row in rows]))
    labels = torch.arange(len(rows))
    made = [plain.changed(originals, 0)]
    for step in range(draws):
        generator = torch.Generator().manual_seed(seed + step)
        made.append(mix(augment.changed(originals, step), labels, len(rows), recipe, generator)[0])
    pictures = (torch.stack(made, 1).clamp(0, 1) * 255).round().byte().numpy()  # [rows, 1 + draws, C, H, W]
    return [GridRow(row.name, images) for row, images in zip(rows, pictures, strict=True)]
