"""Layers that ONNX has no operator for, in forms that it can say; and which layer it was that it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_ADAPTIVE = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)


class BinnedMaxPool(nn.Module):
    """Adaptive max pooling as slices: along an axis of n positions, bin i of m is from floor(i*n/m) to ceil((i+1)*n/m)."""

    def __init__(self, size: int | tuple[int | None, ...] | None, rank: int) -> None:
        super().__init__()
        self.sizes = size if isinstance(size, tuple) else (size,) * rank

    def forward(self, x: Tensor) -> Tensor:
        first = x.dim() - len(self.sizes)
        for axis, bins in enumerate(self.sizes, first):
            n = x.shape[axis]
            if bins is None or bins == n:
                continue
            spans = [(i * n // bins, -(-(i + 1) * n // bins)) for i in range(bins)]
            x = torch.cat([x.narrow(axis, start, end - start).amax(axis, keepdim=True) for start, end in spans], axis)
        return x


@contextmanager
def sayable(module: nn.Module) -> Iterator[nn.Module]:
    """The module with such layers in their other form; all of them are put back."""
    changed: list[tuple[nn.Module, str, nn.Module]] = []
    if isinstance(module, _ADAPTIVE):
        yield _form(module)
        return
    try:
        for parent in list(module.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, _ADAPTIVE) and not child.return_indices:
                    changed.append((parent, name, child))
                    setattr(parent, name, _form(child))
        yield module
    finally:
        for parent, name, child in changed:
            setattr(parent, name, child)


def _form(pool: nn.Module) -> BinnedMaxPool:
    rank = next(rank for rank, kind in enumerate(_ADAPTIVE, 1) if isinstance(pool, kind))
    return BinnedMaxPool(pool.output_size, rank)  # type: ignore[arg-type]


def blame_layer(program: torch.export.ExportedProgram, error: BaseException) -> str:
    """The layer whose operator an exporter names in its error: `m (AdaptiveMaxPool2d) is aten.…`, or nothing."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(texts) < 10:
        texts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    named = re.findall(r"aten[.:]+(\w+)", " ".join(texts))
    for node in program.graph.nodes:
        kernel = str(node.target).removeprefix("aten.").partition(".")[0]
        if node.op == "call_function" and kernel in named:
            path, kind = list(node.meta.get("nn_module_stack", {"": ("", "")}).values())[-1]
            known = kind if isinstance(kind, str) else kind.__name__
            return f"{path or 'the network itself'} ({known.rpartition('.')[2]}) is aten.{kernel}"
    return ""
