"""Normalization."""

from __future__ import annotations

from typing import Annotated, Any

from archc.ops.bare import large_eps, whole_numbers
from archc.ops.facts import INPUT, Doubt, Facts, Kept, Module, Weight, Work, given, new, weightless
from archc.ops.layout import ELEMENTWISE, NORMALIZED, ROWS, SUGGESTED, Axes, Packed
from archc.ops.meaning import positions_last
from archc.ops.reach import POINT, WHOLE, Along
from archc.ops.registry import op
from archc.ops.shape import Shape, divisors, product
from archc.ops.tracked import plain
from archc.ops.window import spatial
from archc.signature import Fault, Positive, Real, Size, one_of, real

Momentum = Annotated[float, real(0, 1)]
_SIZED = "the channels come from the input: write `{0}`, or name the argument, as in {{{0}: {{eps: 0.001}}}}"

Axis = Annotated[str, one_of("features", "last", "channels")]

MOST_MOMENTUM = 0.5


@op(bare=_SIZED.format("batchnorm"))
def batchnorm(x: Shape, *, eps: Positive = 1e-5, momentum: Momentum = 0.1, affine: bool = True, track: bool = True) -> Facts:
    """[C, *S] -> [C, *S]. Each channel to mean 0 and variance 1 over the batch (Ioffe & Szegedy, 2015): torch.nn.BatchNorm1d, 2d, 3d.

    Work is that of inference, one multiply and one add a value, with the statistics folded into scale and shift.

    eps: added to the variance
    momentum: weight of the newest batch in the running statistics
    affine: whether each channel has a learned scale and shift
    track: whether running statistics are kept, for inference
    """
    if not 1 <= len(x) <= 4:
        raise Fault(None, f"batchnorm needs [C] or a feature map; this has shape {list(x)}")
    weights = _affine(x.channels) if affine else ()
    if track:
        weights += (
            Weight("running_mean", (x.channels,), "buffer"),
            Weight("running_var", (x.channels,), "buffer"),
            Weight("num_batches_tracked", (), "buffer", "int64"),
        )
    return Facts(
        x,
        weights=weights,
        macs=0,
        work=Work(multiply=x.values, add=x.values),
        keeps=(INPUT, new(2 * x.channels, "float32", per_image=False)),
        reach=POINT if track else WHOLE,  # without running statistics, those of all positions count at any time
        torch=Module(f"nn.BatchNorm{max(len(x) - 1, 1)}d", (x.channels,),
                     given(eps=(eps, 1e-5), momentum=(momentum, 0.1), affine=(affine, True), track_running_stats=(track, True))),
        layout=NORMALIZED,
        classic="BATCHNORM",
        doubts=large_eps(eps) + _large_momentum(momentum),
        min_batch=_least(x.values // x.channels),
    )  # fmt: skip


@op(bare=_SIZED.format("frozen_batchnorm"))
def frozen_batchnorm(x: Shape, *, eps: Positive = 1e-5) -> Facts:
    """[C, *S] -> [C, *S]. x * weight/sqrt(running_var + eps), shifted: a batchnorm of which nothing is learned or counted.

    All four tensors are buffers, under the names of batchnorm: torchvision.ops.FrozenBatchNorm2d, as the backbones of detectors have it.
    Backward keeps one factor a channel.

    eps: added to the variance
    """
    names = ("weight", "bias", "running_mean", "running_var")
    return Facts(
        x,
        weights=tuple(Weight(name, (x.channels,), "buffer") for name in names),
        macs=0,
        work=Work(multiply=x.values, add=x.values),
        keeps=(new(x.channels, per_image=False),),
        reach=POINT,
        torch=Module("FrozenBatchNorm", (x.channels,), given(eps=(eps, 1e-5)), source=_FROZEN_BATCHNORM),
        layout=ELEMENTWISE,
        operand_shape=(x.channels, *(1,) * (len(x) - 1)),
        operand_strides=(1,) * len(x),
        classic="BATCHNORM",
        doubts=large_eps(eps),
    )


def _large_momentum(momentum: float) -> tuple[Doubt, ...]:
    """Keras's momentum is the weight of the statistics so far."""
    if momentum <= MOST_MOMENTUM:
        return ()
    meant = f"Keras's {momentum:g}, the weight of the old ones, is {1 - momentum:.6g} here"
    return (Doubt("momentum", f"momentum is {momentum:g}: the newest batch outweighs all before it", meant),)


def _sizes(value: Any, x: Shape) -> str | None:
    """PyTorch's LayerNorm(normalized_shape), Keras's LayerNormalization(axis)."""
    if isinstance(value, str):
        return None
    return "sizes come from the input: `layernorm` is over the last axis, {layernorm: channels} over the channels"


@op(bare=_sizes)
def layernorm(x: Shape, *, axis: Axis = "features", eps: Positive = 1e-5, affine: bool = True, bias: bool = True) -> Facts:
    """[*, D] -> [*, D]. Each vector to mean 0 and variance 1 (Ba et al., 2016): torch.nn.LayerNorm.

    axis: `features`, the last axis; `channels`, the first axis of a feature map (as in ConvNeXt); or `last`, whatever the last axis is
    eps: added to the variance
    affine: whether there is a learned scale and shift
    bias: whether the affine form has a shift
    """
    if axis == "channels":
        spatial(x, "layernorm over channels")
    over_map = positions_last(x, "layernorm", "{layernorm: channels} is over the channels") if axis == "features" else ()
    size = x.channels if axis == "channels" else x.features
    rows = x.values // size
    weights = (_affine(size) if bias else _affine(size)[:1]) if affine else ()
    options = given(eps=(eps, 1e-5), elementwise_affine=(affine, True), bias=(bias, True))
    last = Module("nn.LayerNorm", (size,), options)
    return Facts(
        x,
        weights=weights,
        macs=0,
        work=_normalizing(rows, size, scale=affine, shift=affine and bias),
        keeps=(INPUT, new(2 * rows, "float32")),
        reach=Along((0 if axis == "channels" else len(x) - 1,)),
        torch=last._replace(name="ChannelLayerNorm", source=_CHANNEL_LAYERNORM) if axis == "channels" else last,
        moves=((Axes((0, len(x), *range(1, len(x)))),),) if axis == "channels" else (),
        classic="LAYERNORM",
        doubts=over_map + large_eps(eps),
    )


@op(bare=_SIZED.format("rmsnorm").replace("channels", "features"))
def rmsnorm(x: Shape, *, eps: Positive = 1e-6, affine: bool = True) -> Facts:
    """[*, D] -> [*, D]. Each vector divided by its root mean square (Zhang & Sennrich, 2019): torch.nn.RMSNorm.

    eps: added to the mean square
    affine: whether there is a learned scale
    """
    over_map = positions_last(x, "rmsnorm", "`permute` the channels to the last axis")
    size = x.features
    rows = x.values // size
    return Facts(
        x,
        weights=_affine(size)[:1] if affine else (),
        macs=0,
        work=Work(multiply=(3 if affine else 2) * x.values, add=x.values, special=2 * rows),
        keeps=(Kept("input", wanted_by=(0,)), new(rows)._replace(wanted_by=(0,)), *((new(x.values),) if affine else ())),
        reach=Along((len(x) - 1,)),
        torch=Module("nn.RMSNorm", (size,), given(eps=(eps, None), elementwise_affine=(affine, True))),
        layout=ROWS,
        classic="RMSNORM",
        doubts=over_map + large_eps(eps),
    )


def _counts(value: Any, x: Shape) -> str | None:
    """PyTorch's GroupNorm(num_groups, num_channels)."""
    numbers = whole_numbers(value)
    return f"the channels come from the input: {{groupnorm: {numbers[0]}}}" if len(numbers) == 2 and numbers[1] == x.channels else None


@op(bare=_counts)
def groupnorm(x: Shape, *, groups: Size, eps: Positive = 1e-5, affine: bool = True) -> Facts:
    """[C, *S] -> [C, *S]. Each group of channels to mean 0 and variance 1 (Wu & He, 2018): torch.nn.GroupNorm.

    groups: how many groups the channels form
    eps: added to the variance
    affine: whether each channel has a learned scale and shift
    """
    if x.channels % groups:
        raise Fault("groups", f"{groups} groups do not divide {x.channels} channels", divisors(x.channels, groups, "groups"))
    return Facts(
        x,
        weights=_affine(x.channels) if affine else (),
        macs=0,
        work=_normalizing(groups, x.values // groups, scale=affine, shift=affine),
        keeps=(INPUT._replace(moves=(Packed(suggested=True),)), new(2 * groups)),
        reach=WHOLE,
        torch=Module("nn.GroupNorm", (groups, x.channels), given(eps=(eps, 1e-5), affine=(affine, True))),
        layout=SUGGESTED,
        classic="GROUPNORM",
        doubts=large_eps(eps),
        min_batch=_least(x.values // groups),
    )


@op(bare=_SIZED.format("instancenorm"))
def instancenorm(x: Shape, *, eps: Positive = 1e-5, affine: bool = False) -> Facts:
    """[C, *S] -> [C, *S]. Each channel of each image to mean 0 and variance 1 (Ulyanov et al., 2016): torch.nn.InstanceNorm1d, 2d, 3d.

    eps: added to the variance
    affine: whether each channel has a learned scale and shift
    """
    space = spatial(x, "instancenorm")
    if product(space) == 1:
        raise Fault(None, f"instancenorm needs more than one position; this has shape {list(x)}")
    keeps = (INPUT._replace(moves=(Packed(),)), new(2 * x.channels, "float32"), *((new(x.channels),) if affine else ()))
    return Facts(
        x,
        weights=_affine(x.channels) if affine else (),
        macs=0,
        work=_normalizing(x.channels, x.values // x.channels, scale=affine, shift=affine),
        keeps=keeps,
        reach=WHOLE,
        torch=Module(f"nn.InstanceNorm{len(space)}d", (x.channels,), given(eps=(eps, 1e-5), affine=(affine, False))),
        classic="INSTANCENORM",
        doubts=large_eps(eps),
    )


@op
def lrn(x: Shape, *, size: Size, alpha: Real = 1e-4, beta: Real = 0.75, k: Real = 1.0) -> Facts:
    """[C, *S] -> [C, *S]. x / (k + alpha/size * sum of squares over `size` channels)^beta: torch.nn.LocalResponseNorm.

    Krizhevsky et al., AlexNet, 2012.

    size: how many neighbouring channels
    alpha: factor of the sum
    beta: the exponent
    k: added to the sum
    """
    spatial(x, "lrn")
    n = x.values
    pixels = n // x.channels
    return weightless(
        x,
        work=Work(multiply=2 * n, add=n * (size - 1) + n, special=3 * n),
        keeps=(INPUT, new(n + (size - 1) * pixels), new(n), new(n)),
        reach=Along((0,)),
        torch=Module("nn.LocalResponseNorm", (size,), given(alpha=(float(alpha), 1e-4), beta=(float(beta), 0.75), k=(float(k), 1.0))),
        layout=ELEMENTWISE,
        operand_shape=x,
        classic="LRN",
    )


def _least(values: int) -> int:
    """Images that give a mean and a variance more than one value, of which PyTorch computes none."""
    return 2 if plain(values) == 1 else 1


def _affine(size: int) -> tuple[Weight, ...]:
    return Weight("weight", (size,)), Weight("bias", (size,), "bias")


def _normalizing(rows: int, size: int, scale: bool, shift: bool) -> Work:
    """Mean: size-1 adds, 1 division. Variance: size subtractions, size squares, size-1 adds, 1 division. Then +eps, the
    inverse root, a multiply a value, and scale and shift."""
    return Work(
        multiply=rows * size * (2 + scale),
        add=rows * (2 * (size - 1) + size + 1) + rows * size * shift,
        special=3 * rows,
    )


_CHANNEL_LAYERNORM = '''
class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of a feature map."""

    def forward(self, x):
        x = F.layer_norm(x.movedim(1, -1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.movedim(-1, 1)
'''


_FROZEN_BATCHNORM = '''
class FrozenBatchNorm(nn.Module):
    """Batch normalization of which nothing is learned."""

    def __init__(self, channels, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        ones = [1] * (x.dim() - 2)
        return x * scale.reshape(1, -1, *ones) + shift.reshape(1, -1, *ones)
'''
