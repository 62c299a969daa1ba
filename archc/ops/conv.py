"""Convolution and transposed convolution."""

from __future__ import annotations

from math import gcd
from typing import Annotated, Any

from archc.ops.bare import large_eps, positional
from archc.ops.computed import Recipes
from archc.ops.facts import INPUT, Facts, Kept, Module, Weight, Work, given, new
from archc.ops.layout import CONTIGUOUS, CONVOLVED
from archc.ops.parametrize import Parametrization, parametrized
from archc.ops.reach import Spread
from archc.ops.registry import op
from archc.ops.shape import Shape, divisors, product
from archc.ops.tracked import label
from archc.ops.window import AXIS_NAMES, Window, axes, short, spatial
from archc.signature import Counts, Fault, Groups, Padding, Positive, Size, Sizes, one_of

PaddingMode = Annotated[str, one_of("zeros", "reflect", "replicate", "circular")]


@op(bare=positional("conv", 0, "channels", "kernel", "stride", "padding"))
def conv(
    x: Shape,
    *,
    channels: Size,
    kernel: Sizes = 1,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: Groups = 1,
    bias: bool = True,
    padding_mode: PaddingMode = "zeros",
    standardize: Positive = 0.0,
    parametrize: Parametrization = "none",
    computed: Recipes = (),
) -> Facts:
    """[C, *S] -> [channels, *S']. Convolution over 1, 2 or 3 axes, by the input's rank: torch.nn.Conv1d, Conv2d, Conv3d.

    Standardized filters are those of Qiao et al. (Weight Standardization, 2019); that is work for a batch, and not counted.

    channels: how many filters, the channels of the output
    kernel: size of the window
    stride: step of the window
    padding: zeros around the map; `same` keeps the size at stride 1, `same_upper` is TensorFlow's
    dilation: distance between the taps of the window
    groups: parts that are convolved separately; `depthwise` is one for each channel
    bias: whether a bias is added
    padding_mode: what the padding holds
    standardize: above 0, filters are first brought to mean 0 and variance 1, with this added to the variance
    parametrize: weight_norm or spectral_norm, what filters are computed from: torch.nn.utils.parametrizations
    computed: with `parametrize: computed`, the weights, buffers and steps of tensors that are computed in another way
    """
    window = Window(spatial(x, "conv"), kernel, stride, padding, dilation)
    padding_mode = _filling(window, padding_mode)
    parts = _count_groups(x.channels, channels, groups)
    out = Shape((channels, *window.out))
    weight = Weight("weight", (channels, x.channels // parts, *window.kernel))
    if standardize and weight.values == channels:
        raise Fault("standardize", "filters of a single value have no variance", "leave `standardize` out")
    if standardize and parametrize != "none":
        raise Fault("parametrize", f"standardized filters have no {parametrize}", "leave one of them out")
    macs = channels * product(window.out) * (x.channels // parts) * window.taps
    extra = (Weight("bias", (channels,), "bias"),) if bias else ()
    padded_apart = padding_mode != "zeros" or not window.symmetric
    adds = macs if bias else macs - out.values
    facts = Facts(
        out,
        weights=(weight, *extra),
        macs=macs,
        work=Work(multiply=macs, add=adds),
        keeps=_conv_keeps(x, window, padding_mode) + (_standardized_keeps(weight) if standardize else ()),
        reach=window.reach(padding_mode if padding_mode in ("reflect", "replicate") else ""),
        torch=_conv_form(x, out, window=window, groups=parts, bias=bias, padding_mode=padding_mode, eps=standardize),
        dense=x.values * out.values + (out.values if bias else 0),
        layout=CONTIGUOUS if padding_mode == "circular" or (padded_apart and len(x) == 2) else CONVOLVED,
        classic=f"{'DWCONV' if parts == x.channels and parts > 1 else 'CONV'}{_square(window.kernel)}-{channels}",
        doubts=large_eps(standardize, "standardize"),
    )
    return parametrized(facts, parametrize, recipes=computed)


@op(bare=positional("conv_transpose", 0, "channels", "kernel", "stride", "padding", "output_padding"))
def conv_transpose(
    x: Shape,
    *,
    channels: Size,
    kernel: Sizes = 1,
    stride: Sizes = 1,
    padding: Counts = 0,
    output_padding: Counts = 0,
    dilation: Sizes = 1,
    groups: Groups = 1,
    bias: bool = True,
    parametrize: Parametrization = "none",
) -> Facts:
    """[C, *S] -> [channels, *S']. Transposed convolution, S' = (S - 1)*stride - 2*padding + dilation*(kernel - 1) + 1 + output_padding.

    torch.nn.ConvTranspose1d, 2d, 3d. Each input value is multiplied with the whole kernel, so the MACs go by the input.

    channels: channels of the output
    kernel: size of the window
    stride: step of the window over the output
    padding: how much of the output's border is cut
    output_padding: how much is added at the output's far border; less than stride or dilation
    dilation: distance between the taps of the window
    groups: parts that are convolved separately; `depthwise` is one for each channel
    bias: whether a bias is added
    parametrize: weight_norm or spectral_norm, what the weight is computed from: torch.nn.utils.parametrizations
    """
    space = spatial(x, "conv_transpose")
    rank = len(space)
    parts = _count_groups(x.channels, channels, groups)
    kernels, strides, pads = axes(kernel, rank, "kernel"), axes(stride, rank, "stride"), axes(padding, rank, "padding")
    more, dilations = axes(output_padding, rank, "output_padding"), axes(dilation, rank, "dilation")
    sizes = _transposed(list(zip(space, kernels, strides, pads, more, dilations, strict=True)))
    out = Shape((channels, *(label(size, AXIS_NAMES[rank][i] + "'") for i, size in enumerate(sizes))))
    macs = x.values * (channels // parts) * product(kernels)
    # PyTorch has another kernel for these: without groups, it puts the result where a copy of the input would fit
    slow = rank == 3 and any(m >= s for m, s in zip(more, strides, strict=True))
    facts = Facts(
        out,
        weights=(Weight("weight", (x.channels, channels // parts, *kernels)),) + ((Weight("bias", (channels,), "bias"),) if bias else ()),
        macs=macs,
        work=Work(multiply=macs, add=macs),
        keeps=(INPUT,),
        reach=tuple(Spread(s, p, k, d) for k, s, p, d in zip(kernels, strides, pads, dilations, strict=True)),
        torch=Module(
            f"nn.ConvTranspose{rank}d",
            (x.channels, channels, short(kernels)),
            given(stride=(short(strides), 1), padding=(short(pads), 0), output_padding=(short(more), 0), groups=(parts, 1),
                   bias=(bias, True), dilation=(short(dilations), 1)),
        ),
        dense=x.values * out.values + (out.values if bias else 0),
        layout=CONTIGUOUS if slow else CONVOLVED,
        min_storage_values=x.values if slow and parts == 1 else 0,
        classic=f"DECONV{_square(kernels)}-{channels}",
    )  # fmt: skip
    return parametrized(facts, parametrize, axis=1)


def _transposed(rows: list[tuple[int, ...]]) -> list[int]:
    """The size of each axis, by those of the map, kernel, stride, padding, output_padding and dilation."""
    if any(more >= max(stride, dilation) for _, _, stride, _, more, dilation in rows):
        raise Fault("output_padding", "output_padding must be smaller than stride or dilation")
    sizes = [(n - 1) * s - 2 * p + d * (k - 1) + 1 + m for n, k, s, p, m, d in rows]
    if any(size < 1 for size in sizes):
        raise Fault("padding", f"the padding leaves nothing: the output would be {'x'.join(map(str, sizes))}")
    return sizes


def _count_groups(inputs: int, outputs: int, groups: int | str) -> int:
    """How many groups there are; a Fault where they do not divide the channels."""
    parts = inputs if isinstance(groups, str) else groups
    for what, count, argument in (("input", inputs, "groups"), ("output", outputs, "channels" if isinstance(groups, str) else "groups")):
        if count % parts:
            depthwise = argument == "channels"
            hint = "depthwise wants a multiple of the input's channels" if depthwise else divisors(gcd(inputs, outputs), parts, "groups")
            raise Fault(argument, f"{parts} groups do not divide {count} {what} channels", hint)
    return parts


def _filling(window: Window, padding_mode: str) -> str:
    """What the padding holds: zeros where there is none. A border is made of the map, so it may not be wider."""
    if not any(low or high for low, high in window.pads):
        return "zeros"
    for size, (low, high) in zip(window.space, window.pads, strict=True):
        room = {"reflect": size - 1, "circular": size}.get(padding_mode, low + high)
        if max(low, high) > room:
            raise Fault("padding", f"a {padding_mode} padding of {max(low, high)} needs a wider map than {size}", f"at most {room}")
    return padding_mode


def _conv_keeps(x: Shape, window: Window, padding_mode: str) -> tuple[Kept, ...]:
    """A padding that is not of zeros is a layer before: it makes a copy, and the mirrored ones keep their input."""
    if padding_mode == "zeros":
        return window.keeps(x.channels)
    copy = new(x.channels * window.padded)
    return (copy,) if padding_mode == "circular" else (Kept("input", wanted_by=(0,)), copy)


def _conv_form(x: Shape, out: Shape, *, window: Window, groups: int, bias: bool, padding_mode: str, eps: float) -> Module:
    rank = len(window.space)
    padding: Any = short(window.padding) if window.symmetric else 0
    call = "{self}({0})"
    if not window.symmetric:
        mode = "" if padding_mode == "zeros" else f', mode="{padding_mode}"'
        call = f"{{self}}(F.pad({{0}}, {window.torch_pads()}{mode}))"
        padding_mode = "zeros"
    options = given(stride=(short(window.stride), 1), padding=(padding, 0), dilation=(short(window.dilation), 1),
                     groups=(groups, 1), bias=(bias, True), padding_mode=(padding_mode, "zeros"))  # fmt: skip
    args = (x.channels, out.channels, short(window.kernel))
    if eps:
        return Module(f"StandardizedConv{rank}d", args, options | {"eps": eps}, call, _STANDARDIZED.format(rank=rank))
    return Module(f"nn.Conv{rank}d", args, options, call)


def _standardized_keeps(weight: Weight) -> tuple[Kept, ...]:
    """The weights as they are used, and each filter's mean and spread."""
    filters = weight.shape[0]
    return (new(weight.values, per_image=False), new(2 * filters, "float32", per_image=False))


def _square(kernel: tuple[int, ...]) -> str:
    return str(short(kernel)) if len(set(kernel)) == 1 else "x".join(map(str, kernel))


_STANDARDIZED = '''
class StandardizedConv{rank}d(nn.Conv{rank}d):
    """A convolution whose filters are brought to mean 0 and variance 1."""

    def __init__(self, *args, eps, **options):
        super().__init__(*args, **options)
        self.eps = eps

    def forward(self, x):
        filters = self.weight.reshape(1, self.out_channels, -1)
        filters = F.batch_norm(filters, None, None, None, None, True, 0.0, self.eps)
        return self._conv_forward(x, filters.reshape_as(self.weight), self.bias)
'''
