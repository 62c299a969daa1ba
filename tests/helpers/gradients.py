"""What each position of a network's output sees of its input, by autograd: the oracle of receptive fields. Knows nothing of rules.

Weights are positive, and what would hide a dependence is replaced: maxima by sums over the same windows, activations by nothing,
interpolation by the matrix that PyTorch's own interpolation of unit vectors gives, without what rounding leaves in it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Span = tuple[int, int]

_PLAIN = (
    nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Hardswish, nn.Hardsigmoid, nn.LeakyReLU, nn.ELU, nn.Mish, nn.Tanh, nn.PReLU,
    nn.Hardtanh, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
)  # fmt: skip


class _Sums(nn.Module):
    """Sums over the windows of a pooling layer."""

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Any:
        rank = x.ndim - 2
        kernel, stride, padding, dilation = (
            (one,) * rank if isinstance(one, int) else tuple(one)
            for one in (self.pool.kernel_size, self.pool.stride, self.pool.padding, self.pool.dilation)
        )
        out = self.pool(x)
        indices = out[1] if isinstance(out, tuple) else None
        out = (out if indices is None else out[0]).shape[2:]
        wanted = [(m - 1) * s + d * (k - 1) + 1 for m, s, d, k in zip(out, stride, dilation, kernel, strict=True)]
        sides = [(p, w - n - p) for p, w, n in zip(padding, wanted, x.shape[2:], strict=True)]
        x = F.pad(torch.nan_to_num(x, neginf=0.0), [side for pair in reversed(sides) for side in pair])
        ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
        conv = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
        sums = conv(x, ones, stride=stride, dilation=dilation, groups=x.shape[1]) / ones[0].numel()
        return sums if indices is None else (sums, indices)


class _Spreads(nn.Module):
    """Each value over its whole window, in place of where a maximum was."""

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor, indices: Tensor, size: Any = None) -> Tensor:
        sizes = self.pool(x, torch.zeros_like(indices), size).shape[2:]
        kernel = (self.pool.kernel_size,) * len(sizes) if isinstance(self.pool.kernel_size, int) else self.pool.kernel_size
        conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(sizes) - 1]
        ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
        spread = conv(x, ones, stride=self.pool.stride, padding=self.pool.padding, groups=x.shape[1])
        more = [n - own for n, own in zip(sizes, spread.shape[2:], strict=True)]
        return F.pad(spread, [side for n in reversed(more) for side in (0, n)])


class _Interpolated(nn.Module):
    """Interpolation by a matrix for each axis."""

    def __init__(self, layer: nn.Upsample) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x).shape[2:]
        for axis, size in enumerate(out, 2):
            n = x.shape[axis]
            mode = "nearest" if self.layer.mode == "nearest" else "linear"
            corners = self.layer.align_corners if mode == "linear" else None
            scale = self.layer.scale_factor
            scale = scale[axis - 2] if isinstance(scale, tuple) else scale
            sized = scale is None or self.layer.recompute_scale_factor
            how = {"size": int(size)} if sized else {"scale_factor": float(scale)}
            matrix = F.interpolate(torch.eye(n, dtype=x.dtype)[None], **how, mode=mode, align_corners=corners)[0]
            matrix = torch.where(matrix.abs() < 1e-9, 0.0, matrix)
            x = torch.movedim(torch.movedim(x, axis, -1) @ matrix, -1, axis)
        return x


def _replaced(module: nn.Module) -> nn.Module:
    """The module without what hides dependence, in double precision and with positive weights."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d):
            setattr(module, name, _Sums(child))
        elif isinstance(child, nn.MaxUnpool1d | nn.MaxUnpool2d | nn.MaxUnpool3d):
            setattr(module, name, _Spreads(child))
        elif isinstance(child, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d | nn.AdaptiveMaxPool3d):
            mean = getattr(nn, type(child).__name__.replace("Max", "Avg"))
            setattr(module, name, mean(child.output_size))
        elif isinstance(child, nn.Upsample):
            setattr(module, name, _Interpolated(child))
        elif isinstance(child, _PLAIN):
            setattr(module, name, nn.Identity())
        else:
            _replaced(child)
    return module


class _Unhidden(TorchFunctionMode):
    """Functions that take one of several values take all of them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.maximum, torch.minimum):
            return args[0] + args[1]
        if func in (Tensor.amax, Tensor.amin):
            return Tensor.sum(*args, **(kwargs or {}))
        if func in (Tensor.max, Tensor.min):
            return Tensor.sum(*args, **(kwargs or {})), None
        if func in (Tensor.cummax, Tensor.cummin):
            return (Tensor.cumsum(*args), None)
        if func is Tensor.gather:
            x, axis, at = args
            return x.sum(axis, keepdim=True).expand(at.shape)
        if func is Tensor.topk:
            x, count, axis = args
            return x.sum(axis, keepdim=True).repeat_interleave(count, axis), func(*args)[1]
        return func(*args, **(kwargs or {}))


def prepared(module: nn.Module) -> nn.Module:
    module = _replaced(module).double().eval()
    with torch.no_grad():
        for weight in module.parameters():
            fan = max(weight[0].numel(), 1) if weight.ndim > 1 else 1
            weight.copy_((torch.rand_like(weight) + 0.5) / fan)
    return module


def spans(
    module: nn.Module,
    shapes: list[tuple[int, ...]],
    which: int = 0,
    axes: list[tuple[int, int]] | None = None,
    takes: list[str] | None = None,
) -> list[list[Span]]:
    """For each pair (axis of the input, axis of the output) the first and last position of the one that each position of the other sees.

    Without axes: the spatial ones of both. A position that sees nothing has the span (0, -1). `which` is the input; `takes` are
    the inputs' dtypes, where one holds whole numbers.
    """
    torch.manual_seed(0)
    taken = takes or ["same"] * len(shapes)
    whole = [dtype == "int64" for dtype in taken]
    xs = [torch.zeros(1, *shape, dtype=torch.int64) if int_ else torch.rand(1, *shape, dtype=torch.double) + 0.5
          for shape, int_ in zip(shapes, whole, strict=True)]  # fmt: skip
    xs[which].requires_grad_()
    with _Unhidden():
        out = module(*(x if int_ else x * 1.0 for x, int_ in zip(xs, whole, strict=True)))
    out = out[0] if isinstance(out, tuple | list) else next(iter(out.values())) if isinstance(out, dict) else out
    out = out * (torch.rand_like(out) + 0.5)  # what sums to 1 has no gradient otherwise
    found = []
    for seen, position in axes or [(i, i) for i in range(1, xs[which].ndim - 1)]:
        column = []
        for i in range(out.shape[position + 1]):
            whole = out.select(position + 1, i).sum()
            (grad,) = torch.autograd.grad(whole, xs[which], retain_graph=True, allow_unused=True) if out.requires_grad else (None,)
            rest = [axis for axis in range(xs[which].ndim) if axis != seen + 1]
            hit = [] if grad is None else (grad.abs().amax(rest) > 0).nonzero().flatten().tolist()
            column.append((hit[0], hit[-1]) if hit else (0, -1))
        found.append(column)
    return found
