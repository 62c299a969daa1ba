"""Changes of color, on batches [N, 1 or 3, H, W] of values in 0..1: those of pillow's ImageEnhance and ImageOps, each image by its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from archc.training.augment.random_draws import Draws, column

Numbers = npt.NDArray[np.float64]
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def grey(images: Tensor) -> Tensor:
    """The luma, [N, 1, H, W]."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def blend(plain: Tensor, images: Tensor, factor: Numbers) -> Tensor:
    """0 gives `plain`, 1 the image, more goes beyond it."""
    by = column(factor, images)
    return (plain + (images - plain) * by).clamp(0, 1)


def brightness(images: Tensor, factor: Numbers) -> Tensor:
    return blend(torch.zeros_like(images), images, factor)


def contrast(images: Tensor, factor: Numbers) -> Tensor:
    return blend(grey(images).mean((1, 2, 3), keepdim=True).expand_as(images), images, factor)


def saturation(images: Tensor, factor: Numbers) -> Tensor:
    return images if images.shape[1] == 1 else blend(grey(images).expand_as(images), images, factor)


def sharpness(images: Tensor, factor: Numbers) -> Tensor:
    """Between a 3x3 mean that weighs the middle 5 times, and beyond the image; the border stays."""
    if min(images.shape[2:]) < 3:
        return images
    channels = images.shape[1]
    kernel = images.new_ones(3, 3)
    kernel[1, 1] = 5
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, (kernel / 13).expand(channels, 1, 3, 3), groups=channels)
    return blend(smooth, images, factor)


def hue(images: Tensor, turn: Numbers) -> Tensor:
    """Turned on the color circle of HSV; 1 is all of it."""
    if images.shape[1] == 1:
        return images
    value, most = images.max(1)
    spread = value - images.min(1).values
    red, green, blue = images.unbind(1)
    divisor = torch.where(spread > 0, spread, 1)
    sixth = torch.stack([(green - blue) / divisor, (blue - red) / divisor + 2, (red - green) / divisor + 4], 1)
    turned = sixth.gather(1, most[:, None])[:, 0] + 6 * column(turn, images)[:, 0]
    offsets = images.new_tensor((5.0, 3.0, 1.0))[:, None, None]
    k = (offsets + turned[:, None]) % 6
    return value[:, None] - spread[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


def levels(images: Tensor) -> Tensor:
    """The values as whole numbers 0..255."""
    return (images * 255).round().to(torch.int64)


def posterize(images: Tensor, bits: npt.NDArray[np.int64]) -> Tensor:
    """The first bits of each value alone."""
    masks = column(256 - 2 ** (8 - bits), images)
    return (levels(images) & masks).to(images.dtype) / 255


def solarize(images: Tensor, threshold: Numbers) -> Tensor:
    """Values from the threshold (0..255) on are inverted."""
    return torch.where(levels(images) < column(threshold, images), images, 1 - images)


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched to 0..1."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / torch.where(high > low, high - low, 1), images)


def equalize(images: Tensor) -> Tensor:
    """Each channel's histogram made even, as ImageOps.equalize does."""
    flat = levels(images).flatten(2).flatten(0, 1)  # [N*C, H*W]
    counts = torch.zeros(len(flat), 256, dtype=torch.int64, device=images.device).scatter_add_(1, flat, torch.ones_like(flat))
    last = flat.max(1, keepdim=True).values
    step = (flat.shape[1] - counts.gather(1, last)) // 255
    before = counts.cumsum(1) - counts
    table = ((before + step // 2) // step.clamp(min=1)).clamp(max=255)
    even = torch.where(step > 0, table.gather(1, flat), flat)
    return (even.to(images.dtype) / 255).view_as(images)


def by_choice(images: Tensor, choice: npt.NDArray[np.int64], changes: list[Callable[[Tensor, npt.NDArray[np.int64]], Tensor]]) -> Tensor:
    """Each image through the change of its choice, which is given those images and their numbers."""
    out = images.clone()
    for i, change in enumerate(changes):
        chosen = np.flatnonzero(choice == i)
        if len(chosen):
            at = torch.from_numpy(chosen).to(images.device)
            out.index_copy_(0, at, change(images.index_select(0, at), chosen))
    return out


def color_jitter(images: Tensor, draws: Draws, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Factors within 1 - strength … 1 + strength, a turn within -hue … hue; in an order that is drawn for each image."""
    factors = [draws.uniform(max(0.0, 1 - strength), 1 + strength) for strength in (brightness, contrast, saturation)]
    amounts = [*factors, draws.uniform(-hue, hue)]
    strengths = (brightness, contrast, saturation, hue)
    used = [i for i, strength in enumerate(strengths) if strength and (i < 2 or images.shape[1] == 3)]
    changes = [_change(JITTERS[i], amounts[i]) for i in used]
    for choice in draws.order(len(used)) if used else ():
        images = by_choice(images, choice, changes)
    return images


JITTERS = (brightness, contrast, saturation, hue)


def _change(kind: Callable[[Tensor, Numbers], Tensor], amounts: Numbers) -> Callable[[Tensor, npt.NDArray[np.int64]], Tensor]:
    return lambda images, chosen: kind(images, amounts[chosen])
