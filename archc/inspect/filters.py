"""The filters of a convolution as pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from archc.inspect.layers import LayerPlace, LookError

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
