"""Maps made larger or smaller by interpolation."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from archc.ops.bare import whole_numbers
from archc.ops.facts import Expression, Facts, Module, Work, given, literal, weightless
from archc.ops.layout import SUGGESTED
from archc.ops.reach import POINT, Bins, Linear
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.ops.tracked import label, plain
from archc.ops.window import AXIS_NAMES, axes, short, spatial
from archc.signature import LARGEST_SIZE, Factors, Fault, Sizes, is_int, one_of
from archc.text.quantity import counted

Mode = Annotated[str, one_of("nearest", "linear", "bilinear", "trilinear")]
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def _larger(value: Any, x: Shape) -> str | None:
    """PyTorch's Upsample(64) is to 64x64, Keras's UpSampling2D(2) by 2. A size that is no larger than the map is no size."""
    factors = [value] if is_int(value) else whole_numbers(value)
    if not factors or len(x) < 2 or all(size == 1 for size in x.space):
        return None
    if any(factor <= size for factor, size in zip(factors * len(x.space), x.space, strict=False)):
        return None
    shown = factors[0] if is_int(value) else factors
    return f"{{upsample: {{scale: {shown}}}}} is {shown} times as large, {{upsample: {{size: {shown}}}}} of this size"


@op(bare=_larger)
def upsample(
    x: Shape,
    like: Shape | None = None,
    *,
    scale: Factors | None = None,
    size: Sizes | None = None,
    mode: Mode = "nearest",
    align_corners: bool = False,
    recompute: bool = False,
) -> Facts:
    """[C, *S], or [C, *S] and a map to match -> [C, *S']. Interpolation: torch.nn.Upsample.

    With a scale that is no whole number, sizes are rounded down: floor(S*scale).

    scale: how much larger the map becomes
    size: the output's size
    mode: `nearest` copies; `linear` is bilinear or trilinear where the map has two or three axes, and may be called so
    align_corners: whether the corner pixels of both maps lie on each other (linear alone)
    recompute: whether pixels lie by the ratio of the rounded sizes and not by the scale: torch's recompute_scale_factor
    """  # fmt: skip
    space = spatial(x, "upsample")
    rank = len(space)
    if sum(way is not None for way in (like, scale, size)) != 1:
        raise Fault("scale", "upsample takes one of scale, size, or a second input to match", "as in {upsample: 2}", code="A403")
    if scale is not None:
        factors = axes(scale, rank, "scale")
        sizes = tuple(_scale(n, factor) for n, factor in zip(space, factors, strict=True))
    else:
        sizes = axes(size, rank, "size") if size is not None else like.space if like is not None else ()
    if len(sizes) != rank:
        raise Fault(None, f"upsample of {list(x)} cannot match {list(like or ())}")
    out = Shape((x.channels, *(label(n, AXIS_NAMES[rank][i] + "'") for i, n in enumerate(sizes))))
    corners = 2**rank
    linear = mode != "nearest"
    if mode not in ("nearest", "linear", _LINEAR[rank]):
        raise Fault("mode", f"{mode} is not for {counted(rank, 'spatial axis', 'spatial axes')}", f"{_LINEAR[rank]} is")
    # each output value of linear interpolation is a sum of 2^rank products with weights
    work = Work(multiply=corners * out.values, add=(corners - 1) * out.values) if linear else Work()
    named = _LINEAR[rank] if linear else "nearest"
    target = {"size": tuple(sizes)} if scale is None else {"scale_factor": short(factors)}
    rescaled = recompute and scale is not None
    if recompute and scale is None:
        raise Fault("recompute", "only a scale can be recomputed", "leave it out: a size has no scale of its own")
    options = target | given(
        mode=(named, "nearest"), align_corners=(align_corners and linear, False), recompute_scale_factor=(rescaled or None, None)
    )
    pairs = [(plain(n), plain(m)) for n, m in zip(space, sizes, strict=True)]
    if scale is not None and not rescaled and not (linear and align_corners):  # PyTorch goes by the scale, also where a size was rounded
        pairs = [_exact(factor).as_integer_ratio()[::-1] for factor in factors]
    reach = [Linear(n, m, align_corners) if linear else Bins(n, m, nearest=True) for n, m in pairs]
    form: Module | Expression = Module("nn.Upsample", (), options)
    if like is not None:  # at any size, which a built module may see
        more = "".join(f", {name}={literal(value)}" for name, value in options.items() if name != "size")
        form = Expression(f"F.interpolate({{0}}, size={{1}}.shape[2:]{more})")
    return weightless(out, work=work, keeps=(), reach=(POINT, *reach), torch=form, classic="UPSAMPLE", layout=SUGGESTED, reads=1)


def _scale(size: int, scale: float) -> int:
    """floor(size * scale), as PyTorch computes it in float64. A Fault where nothing is left."""
    if isinstance(scale, int):
        return size * scale
    exact = _exact(scale)
    if exact == scale and size * exact.numerator >= exact.denominator:  # a sum of powers of 2, by which floats are multiplied exactly
        return size * exact.numerator // exact.denominator
    found = int(int(size) * scale)
    if not 1 <= found <= LARGEST_SIZE:
        raise Fault("scale", f"{int(size)} positions times {scale:g} are {found:,}", "use a larger scale" if not found else "")
    traced = size * exact.numerator // exact.denominator  # with a formula, where that is the same number
    return traced if traced == found else found


def _exact(scale: float) -> Fraction:
    """The scale as it was written: 13/10 for 1.3."""
    return Fraction(str(scale))
