"""RandAugment (Cubuk et al., 2020): of 14 changes some for each image, each as likely, all of one magnitude.

The changes and how strong they are follow torchvision's transforms.v2.RandAugment: the magnitude, 0 to 30, is a part of the
strongest; where a change can go two ways, the way is drawn. Each image draws its own changes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from archc.training.augment import color, geometry
from archc.training.augment.random_draws import Draws

MOST = 30.0
SHEAR, MOVE, TURN, BLEND, BITS = 0.3, 150 / 331, 30.0, 0.9, 4
Change = Callable[[Tensor, npt.NDArray[np.float64]], Tensor]  # images, and the magnitude of each: -1..1


def _shear_x(images: Tensor, by: npt.NDArray[np.float64]) -> Tensor:
    return geometry.shear(images, SHEAR * by, 0 * by)


def _shear_y(images: Tensor, by: npt.NDArray[np.float64]) -> Tensor:
    return geometry.shear(images, 0 * by, SHEAR * by)


def _move_x(images: Tensor, by: npt.NDArray[np.float64]) -> Tensor:
    right = (by * MOVE * images.shape[3]).astype(np.int64)
    return geometry.shift_pixels(images, np.zeros_like(right), right)


def _move_y(images: Tensor, by: npt.NDArray[np.float64]) -> Tensor:
    down = (by * MOVE * images.shape[2]).astype(np.int64)
    return geometry.shift_pixels(images, down, np.zeros_like(down))


def _blend(kind: Change) -> Change:
    return lambda images, by: kind(images, 1 + BLEND * by)


# in torchvision's order
CHANGES: dict[str, Change] = {
    "identity": lambda images, by: images,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _move_x,
    "translate_y": _move_y,
    "rotate": lambda images, by: geometry.rotate(images, TURN * by),
    "brightness": _blend(color.brightness),
    "color": _blend(color.saturation),
    "contrast": _blend(color.contrast),
    "sharpness": _blend(color.sharpness),
    "posterize": lambda images, by: color.posterize(images, 8 - np.rint(np.abs(by) * BITS).astype(np.int64)),
    "solarize": lambda images, by: color.solarize(images, 255 * (1 - np.abs(by))),
    "autocontrast": lambda images, by: color.autocontrast(images),
    "equalize": lambda images, by: color.equalize(images),
}


def randaugment(images: Tensor, draws: Draws, ops: int, magnitude: float) -> Tensor:
    for _ in range(ops):
        by = draws.sign() * (magnitude / MOST)
        changes = [_of(change, by) for change in CHANGES.values()]
        images = color.by_choice(images, draws.below(len(changes)), changes)
    return images


def _of(change: Change, by: npt.NDArray[np.float64]) -> Callable[[Tensor, npt.NDArray[np.int64]], Tensor]:
    return lambda images, chosen: change(images, by[chosen])
