"""Pooling: windows over a map, over all of it, or over a fixed number of bins."""

from __future__ import annotations

from typing import Annotated, Any

from archc.ops.bare import window_alone
from archc.ops.facts import INPUT, Facts, Kept, Module, Work, given, new, weightless
from archc.ops.layout import CONTIGUOUS, POWERS, WINDOWED
from archc.ops.reach import POINT, WHOLE, Bins
from archc.ops.registry import op
from archc.ops.shape import Shape, product
from archc.ops.tracked import common_divisor, label, plain
from archc.ops.window import AXIS_NAMES, Window, axes, short, spatial
from archc.signature import Fault, Padding, Sizes, real

Norm = Annotated[float, real(1)]


@op(bare=window_alone("maxpool"))
def maxpool(
    x: Shape,
    *,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Padding = 0,
    dilation: Sizes = 1,
    ceil: bool = False,
    indices: bool = False,
) -> Facts:
    """[C, *S] -> [C, *S']. The largest value of each window: torch.nn.MaxPool1d, 2d, 3d.

    With `indices`, `maxpool.1` are the places of these values in the map, counted row by row, which `max_unpool` takes.

    kernel: size of the window
    stride: step of the window; the kernel's size unless given
    padding: border around the map, at most half the kernel; it never wins
    dilation: distance between the taps of the window
    ceil: whether a last, partial window counts; it may not start in the padding
    indices: whether the place of each value is a second output
    """
    window = _window(x, "maxpool", kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil=ceil)
    _sees_the_map(window)
    if indices and not window.symmetric:
        hint = "`same` with an even window, and `same_upper`, pad unequally"
        raise Fault("indices", "indices need the same padding before and after, or they count the padding", hint)
    out = Shape((x.channels, *window.out))
    border = 'F.pad({{0}}, {pads}, value=float("-inf"))'
    more = {"dilation": (short(window.dilation), 1), "return_indices": (indices, False)}
    return weightless(
        (out, out) if indices else out,
        work=Work(compare=out.values * (window.taps - 1)),
        keeps=(*window.keeps(x.channels), Kept("output", 1) if indices else new(out.values, "int64")),
        reach=(POINT, *window.reach()),
        torch=_pool_form("nn.MaxPool", window, ceil, border, **more),
        dtypes=("same", "int64") if indices else (),
        layout=_pad_layout(x, window, WINDOWED),
        layout_no_grad=CONTIGUOUS if len(x) == 2 and not indices else "",
        classic=f"POOL{short(window.kernel)}",
    )


@op(bare=window_alone("avgpool"))
def avgpool(
    x: Shape, *, kernel: Sizes, stride: Sizes | None = None, padding: Padding = 0, ceil: bool = False, count_padding: bool = True
) -> Facts:
    """[C, *S] -> [C, *S']. The mean of each window: torch.nn.AvgPool1d, 2d, 3d.

    kernel: size of the window
    stride: step of the window; the kernel's size unless given
    padding: zeros around the map, at most half the kernel
    ceil: whether a last, partial window counts; it may not start in the padding
    count_padding: whether the zeros of the padding count in the mean, as in PyTorch but not in TensorFlow
    """
    window = _mean_window(x, "avgpool", kernel, stride, padding, ceil)
    out = Shape((x.channels, *window.out))
    torch = _pool_form("nn.AvgPool", window, ceil, "F.pad({{0}}, {pads})", count_include_pad=(count_padding, True))
    keeps = window.keeps(x.channels)
    if not window.symmetric and not count_padding:
        torch = _mean_without_padding(window, ceil)
        keeps += (new(product(window.out), per_image=False),)
    return weightless(
        out,
        work=Work(add=out.values * (window.taps - 1), special=out.values),
        keeps=keeps,
        reach=(POINT, *window.reach()),
        torch=torch,
        layout=_pad_layout(x, window, _mean_layout(x)),
        classic=f"AVGPOOL{short(window.kernel)}",
    )


@op
def lppool(x: Shape, *, norm: Norm, kernel: Sizes, stride: Sizes | None = None, ceil: bool = False) -> Facts:
    """[C, *S] -> [C, *S']. (sum of x^norm)^(1/norm) over each window; norm 1 is sum pooling: torch.nn.LPPool1d, 2d, 3d.

    norm: the power
    kernel: size of the window
    stride: step of the window; the kernel's size unless given
    ceil: whether a last, partial window counts
    """
    window = _mean_window(x, "lppool", kernel, stride, 0, ceil)
    out = Shape((x.channels, *window.out))
    taps = out.values * window.taps
    form = _pool_form("nn.LPPool", window, ceil, "{{0}}")
    return weightless(
        out,
        work=Work(special=taps + out.values if norm != 1 else 0, add=taps - out.values),
        # x and x^p, then (of the output's size) the mean, its sign, its magnitude and the sum that the root is taken of
        keeps=(INPUT, new(x.values), *[new(out.values)] * 4),
        reach=(POINT, *window.reach()),
        torch=form._replace(args=(norm, *form.args)),
        layout=POWERS,
        classic=f"L{norm:g}POOL{short(window.kernel)}",
    )


@op(bare="one value a channel is left; for other sizes there is `adaptive_avgpool`")
def global_avgpool(x: Shape) -> Facts:
    """[C, *S] -> [C, 1, …]. The mean of each channel: torch.nn.AdaptiveAvgPool1d(1), 2d, 3d."""
    rank = len(spatial(x, "global_avgpool"))
    out = Shape((x.channels, *(1,) * rank))
    return weightless(
        out,
        work=Work(add=x.values - x.channels, special=x.channels),
        keeps=(),
        reach=WHOLE,
        torch=Module(f"nn.AdaptiveAvgPool{rank}d", (1,)),
        layout=WINDOWED,
        classic="GLOBALAVGPOOL",
    )


@op(bare="one value a channel is left; for other sizes there is `adaptive_maxpool`")
def global_maxpool(x: Shape) -> Facts:
    """[C, *S] -> [C, 1, …]. The largest value of each channel: torch.nn.AdaptiveMaxPool1d(1), 2d, 3d."""
    rank = len(spatial(x, "global_maxpool"))
    out = Shape((x.channels, *(1,) * rank))
    return weightless(
        out,
        work=Work(compare=x.values - x.channels),
        keeps=(INPUT, new(out.values, "int64")),
        reach=WHOLE,
        torch=Module(f"nn.AdaptiveMaxPool{rank}d", (1,)),
        layout=_mean_layout(x),
        classic="GLOBALMAXPOOL",
    )


@op
def adaptive_avgpool(x: Shape, *, size: Sizes) -> Facts:
    """[C, *S] -> [C, *size]. Means over `size` bins an axis: torch.nn.AdaptiveAvgPool1d, 2d, 3d.

    Bin i reads from floor(i*S/size) to ceil((i+1)*S/size); bins overlap where size does not divide S.

    size: the output's size
    """
    out, taps = _bins(x, size, "adaptive_avgpool")
    adds = taps - out.values
    keeps: tuple[Kept, ...] = () if out.values == x.channels else (INPUT,)
    form = Module(f"nn.AdaptiveAvgPool{len(out) - 1}d", (short(out.space),))
    layout = WINDOWED if out.values == x.channels else _mean_layout(x)
    work = Work(add=adds, special=out.values)
    return weightless(out, work=work, keeps=keeps, reach=_bin_reach(x, out), torch=form, classic="AVGPOOL", layout=layout)


@op
def adaptive_maxpool(x: Shape, *, size: Sizes) -> Facts:
    """[C, *S] -> [C, *size]. Maxima over `size` bins an axis, as in adaptive_avgpool: torch.nn.AdaptiveMaxPool1d, 2d, 3d.

    size: the output's size
    """
    out, taps = _bins(x, size, "adaptive_maxpool")
    form = Module(f"nn.AdaptiveMaxPool{len(out) - 1}d", (short(out.space),))
    keeps = (INPUT, new(out.values, "int64"))
    work = Work(compare=taps - out.values)
    return weightless(out, work=work, keeps=keeps, reach=_bin_reach(x, out), torch=form, classic="POOL", layout=_mean_layout(x))


def _mean_layout(x: Shape) -> str:
    """Over three axes, all but plain maxima come out contiguous."""
    return CONTIGUOUS if len(x) == 4 else WINDOWED


def _window(x: Shape, what: str, *, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Window:
    window = Window(spatial(x, what), kernel, kernel if stride is None else stride, padding, dilation, ceil)
    if not window.symmetric:
        if ceil:
            raise Fault(
                "ceil",
                "ceil needs the same padding before and after",
                "`same` with an even window, `same_upper` and `causal` pad unequally",
            )
        if any(max(sides) >= size for sides, size in zip(window.pads, window.extent, strict=True)):
            raise Fault("padding", "a window would lie in the padding alone", "pad less than the window's size on each side")
        return window
    for low, size in zip(window.padding, window.kernel, strict=True):
        if low > size // 2:
            raise Fault("padding", f"padding {low} is more than half of the window, {size}", f"at most {size // 2}")
    return window


def _sees_the_map(window: Window) -> None:
    """Each window needs a tap on the map: where all lie in the padding, PyTorch writes outside of its memory in backward.

    That takes a dilation above the map's size. Window i then has its first tap from 0 on at (i*stride - padding) mod dilation.
    """
    if not window.symmetric:
        return  # padded apart, with values of its own
    for size, step, hole, low, count in zip(window.space, window.stride, window.dilation, window.padding, window.out, strict=True):
        first = -low % hole
        beyond = max(0, -(-(size - first) // step))
        if low and first + beyond * step < hole and beyond < count:
            raise Fault("dilation", f"with dilation {hole}, a window over {size} lies in the padding alone", f"at most {size}")


def _mean_window(x: Shape, what: str, kernel: Any, stride: Any, padding: Any, ceil: bool) -> Window:
    """PyTorch's means over three axes count no padding towards the size of the map."""
    window = _window(x, what, kernel=kernel, stride=stride, padding=padding, dilation=1, ceil=ceil)
    if len(window.space) == 3 and window.symmetric and any(k > n for k, n in zip(window.kernel, window.space, strict=True)):
        raise Fault("kernel", f"a {what} over three axes cannot be larger than the map, {list(window.space)}", "use a smaller kernel")
    return window


def _pool_form(name: str, window: Window, ceil: bool, padded: str, **more: tuple[Any, Any]) -> Module:
    padding: Any = short(window.padding) if window.symmetric else 0
    options = given(stride=(short(window.stride), short(window.kernel)), padding=(padding, 0), **more, ceil_mode=(ceil, False))
    call = "{self}({0})" if window.symmetric else "{self}(" + padded.format(pads=window.torch_pads()) + ")"
    return Module(f"{name}{len(window.space)}d", (short(window.kernel),), options, call)


def _mean_without_padding(window: Window, ceil: bool) -> Module:
    """A mean that leaves out one-sided padding: the padded mean over the padded mean of ones, made for one channel."""
    form = _pool_form("nn.AvgPool", window, ceil, "")
    pads = window.torch_pads()
    return form._replace(call=f"{{self}}(F.pad({{0}}, {pads})) / {{self}}(F.pad(torch.ones_like({{0}}[:1, :1]), {pads}))")


def _bins(x: Shape, size: int | tuple[int, ...], what: str) -> tuple[Shape, int]:
    """The output's shape, and how many values all bins read together (bins overlap where sizes do not divide)."""
    space = spatial(x, what)
    sizes = axes(size, len(space), "size")
    names = AXIS_NAMES[len(space)]
    reads = [label(_reads(n, m), f"{name} read") for n, m, name in zip(space, sizes, names, strict=True)]
    return Shape((x.channels, *sizes)), x.channels * product(reads)


def _reads(size: int, bins: int) -> int:
    """Positions that the bins of an axis read in all: bin i reads floor(i*size/bins) to ceil((i+1)*size/bins).

    Neighbours share a position but where they meet at a whole number, which they do gcd(size, bins) times.
    """
    return size + bins - common_divisor(size, bins)


def _bin_reach(x: Shape, out: Shape) -> tuple[Bins | str, ...]:
    return (POINT, *(WHOLE if m == 1 else Bins(plain(n), plain(m)) for n, m in zip(x.space, out.space, strict=True)))


def _pad_layout(x: Shape, window: Window, layout: str) -> str:
    """One-sided padding is a layer before, and over one axis its result is contiguous."""
    return CONTIGUOUS if len(x) == 2 and not window.symmetric else layout
