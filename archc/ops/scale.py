"""Values times factors, learned or given."""

from __future__ import annotations

from typing import Any

from archc.ops.facts import Expression, Facts, Kept, Weight, Work, weightless
from archc.ops.layout import ELEMENTWISE, SCALED
from archc.ops.reach import POINT
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.ops.tracked import plain
from archc.signature import Real, is_int


def _features(value: Any, x: Shape) -> str | None:
    """The LayerScale(dim) of others."""
    return "the features come from the input; the factor at the start is {layer_scale: {start: …}}" if is_int(value, 2) else None


@op(bare=_features)
def layer_scale(x: Shape, *, start: Real = 1e-5) -> Facts:
    """[*, D] -> [*, D] or [C, H, W] -> [C, H, W]. A learned factor for each feature or channel (Touvron et al., 2021).

    start: the factor at the start
    """
    shape = (x.channels, *(1,) * (len(x) - 1)) if len(x) > 2 else (x.features,)
    return Facts(
        x,
        weights=(Weight("", shape),),
        macs=0,
        work=Work(multiply=x.values),
        keeps=(Kept("input"),),
        reach=POINT,
        torch=Expression("{0} * {self}", f"torch.full({tuple(plain(n) for n in shape)}, {float(start)!r})"),
        classic="SCALE",
        layout=ELEMENTWISE,
    )


@op
def scale(x: Shape, *, factor: Real) -> Facts:
    """[*] -> [*]. The value times a constant, as Inception-ResNet damps its residuals.

    factor: what the value is multiplied by
    """
    torch = Expression(f"{{0}} * {float(factor)!r}")
    return weightless(x, work=Work(multiply=x.values), keeps=(), reach=POINT, torch=torch, classic="SCALE", layout=SCALED)
