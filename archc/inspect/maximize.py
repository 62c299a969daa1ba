"""The input that excites a unit most, found by climbing its gradient (Erhan et al., 2009; Yosinski et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archc.data import Normalization
from archc.inspect.layers import LayerPlace, outputs

STEPS = 200
RATE = 0.1
BLURRED = 4  # every so many steps
SIGMA = 0.5  # pixels
SHRUNK = 0.001  # of the input, each step


def maximize(
    module: nn.Module, at: LayerPlace, units: Sequence[int], shape: Sequence[int], seed: int = 0, steps: int = STEPS
) -> tuple[Tensor, Tensor]:
    """Inputs [N, C, H, W], one for each unit, and its mean response [N] to them. Shifted at random on the way, blurred now and then."""
    device = next(module.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    images = (0.1 * torch.randn(1, *shape, generator=generator)).repeat(len(units), 1, 1, 1).to(device).requires_grad_()
    optimizer = torch.optim.Adam([images], lr=RATE)
    most = max(1, min(shape[1:]) // 16)
    for step in range(steps):
        shift = [int(distance) for distance in torch.randint(-most, most + 1, (2,), generator=generator)]
        optimizer.zero_grad()
        torch.autograd.backward(-response(module, at, units, torch.roll(images, shift, (2, 3))).sum())
        optimizer.step()
        with torch.no_grad():
            images.mul_(1 - SHRUNK)
            if step % BLURRED == 0 and step < steps - BLURRED:
                images.copy_(_blur(images))
    found = images.detach()
    with torch.no_grad():
        return found.cpu(), response(module, at, units, found).cpu()


def response(module: nn.Module, at: LayerPlace, units: Sequence[int], images: Tensor) -> Tensor:
    """[N]: the mean over positions of unit i on image i."""
    with outputs(at.module) as caught:
        module(images)
    given = caught[-1]
    flat = given.flatten(2).mean(2) if given.ndim > 2 else given
    return flat[torch.arange(len(units)), torch.as_tensor(units, device=flat.device)]


def visible(images: Tensor, normalization: Normalization) -> Tensor:
    """Inputs as uint8 pixels: normalization undone, and the contrast stretched, for each alone, to what can be shown."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (normalization.mean, normalization.std))
    plain = images * std + mean
    low, high = plain.amin((1, 2, 3), keepdim=True), plain.amax((1, 2, 3), keepdim=True)
    return ((plain - low) / (high - low).clamp_min(1e-9) * 255).round().to(torch.uint8)


def _blur(images: Tensor) -> Tensor:
    at = torch.arange(-1, 2, dtype=images.dtype, device=images.device)
    line = torch.exp(-(at**2) / (2 * SIGMA**2))
    line = line / line.sum()
    kernel = (line[:, None] * line[None, :]).expand(images.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(images, (1, 1, 1, 1), "replicate"), kernel, groups=images.shape[1])
