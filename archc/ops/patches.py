"""Windows of a map as the columns of a matrix, and back."""

from __future__ import annotations

from archc.ops.facts import Between, Facts, Module, Work, given, weightless
from archc.ops.reach import Folded, Spread, Unfolded
from archc.ops.registry import op
from archc.ops.shape import Shape, product
from archc.ops.tracked import plain
from archc.ops.window import Window, axes, short
from archc.signature import Counts, Fault, Sizes

MOST_PLACES = 200_000  # of the taps of all windows along an axis; beyond, the sums of `fold` are not counted


@op
def unfold(x: Shape, *, kernel: Sizes, stride: Sizes = 1, padding: Counts = 0, dilation: Sizes = 1) -> Facts:
    """[C, H, W] -> [C*kernel*kernel, H'*W']. The values of each window as a column, im2col: torch.nn.Unfold.

    kernel: size of the window
    stride: step of the window
    padding: border of zeros around the map
    dilation: distance between the taps of the window
    """
    window = _window(x, kernel, stride, padding, dilation)
    out = Shape((x.channels * window.taps, product(window.out)))
    reach = Unfolded(window.reach(), tuple(map(plain, window.out)))
    return weightless(out, work=Work(), keeps=(), reach=reach, torch=Module("nn.Unfold", (short(window.kernel),), _options(window)),
                 classic="UNFOLD", min_storage_values=x.values)  # fmt: skip


@op
def fold(x: Shape, *, size: Sizes, kernel: Sizes, stride: Sizes = 1, padding: Counts = 0, dilation: Sizes = 1) -> Facts:
    """[C*kernel*kernel, L] -> [C, *size]. Columns put back to where `unfold` took them, and summed, col2im: torch.nn.Fold.

    size: height and width of the map
    kernel: size of the window
    stride: step of the window
    padding: border of zeros around the map
    dilation: distance between the taps of the window
    """
    if len(x) != 2:
        raise Fault(
            None, f"fold needs columns, [C*kernel*kernel, L]; this has shape {list(x)}", "`tokens`, `transpose` or `reshape` make them"
        )
    sizes = axes(size, 2, "size")
    window = _window(Shape((1, *sizes)), kernel, stride, padding, dilation)
    if x[0] % window.taps:
        raise Fault("kernel", f"windows of {window.taps} values do not divide {int(x[0])} rows")
    if product(window.out) != x[1]:
        raise Fault("size", f"a map of {list(map(int, sizes))} has {int(product(window.out))} windows; there are {int(x[1])} columns")
    out = Shape((x[0] // window.taps, *sizes))
    rows = list(zip(window.space, window.kernel, window.stride, window.padding, window.dilation, window.out, strict=True))
    spread = tuple(Spread(plain(step), plain(pad), plain(taps), plain(hole)) for _, taps, step, pad, hole, _ in rows)
    form = Module("nn.Fold", (tuple(map(plain, sizes)), short(window.kernel)), _options(window))
    return weightless(out, work=_sums(out.channels, rows), keeps=(), reach=Folded(spread, tuple(map(plain, window.out))),
                 torch=form, classic="FOLD", min_storage_values=x.values)  # fmt: skip


def _sums(channels: int, rows: list[tuple[int, ...]]) -> Work | Between:
    """What lands inside the map is added to what is there: all but the first value at each place."""
    written, covered = 1, 1
    for n, taps, step, pad, hole, count in rows:
        if int(count) * int(taps) > MOST_PLACES:
            return Between(0)
        places = [place for i in range(int(count)) for tap in range(int(taps)) if 0 <= (place := i * step - pad + tap * hole) < n]
        written, covered = written * len(places), covered * len(set(places))
    return Work(add=channels * (written - covered))


def _window(x: Shape, kernel: Sizes, stride: Sizes, padding: Counts, dilation: Sizes) -> Window:
    if len(x) != 3:
        raise Fault(None, f"unfold needs a map over two axes, [C, H, W]; this has shape {list(x)}")
    window = Window(x.space, kernel, stride, padding, dilation)
    if any(size < 1 for size in window.out):
        raise Fault("kernel", f"no window of {list(window.extent)} fits into {list(x.space)}", "use a smaller kernel or more padding")
    return window


def _options(window: Window) -> dict[str, object]:
    stride, padding, dilation = short(window.stride), short(window.padding), short(window.dilation)
    return given(dilation=(dilation, 1), padding=(padding, 0), stride=(stride, 1))
