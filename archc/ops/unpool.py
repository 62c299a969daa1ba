"""Values put back where a maximum was found."""

from __future__ import annotations

from archc.ops.bare import window_alone
from archc.ops.facts import Facts, Kept, Module, Work, given, weightless
from archc.ops.layout import CONTIGUOUS, SUGGESTED
from archc.ops.reach import POINT, Spread
from archc.ops.registry import op
from archc.ops.shape import Shape
from archc.ops.tracked import label
from archc.ops.window import AXIS_NAMES, axes, short, spatial
from archc.signature import Counts, Fault, Sizes
from archc.text.quantity import counted


@op(bare=window_alone("max_unpool"))
def max_unpool(
    x: Shape,
    indices: Shape,
    like: Shape | None = None,
    *,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Counts = 0,
    size: Sizes | None = None,
) -> Facts:
    """[C, *S], [C, *S] -> [C, *S']. Each value where a maxpool found it, zeros elsewhere: torch.nn.MaxUnpool1d, 2d, 3d.

    The second input is `maxpool.1` of a `maxpool` with `indices: true`, as in SegNet (Badrinarayanan et al., 2015). A window gives
    S' = (S - 1)*stride - 2*padding + kernel. Where the pool left a border out, `size` or a third input says how large its map was.

    kernel: size of the pool's window
    stride: step of the pool's window; the kernel's size unless given
    padding: the pool's border
    size: the output's size, less than a stride from what the window gives; as a third input's unless given
    """
    space = spatial(x, "max_unpool")
    rank = len(space)
    if indices != x:
        hint = "give it the indices of a pool whose values had this shape"
        raise Fault(None, f"max_unpool of {list(x)} at indices of {list(indices)}", hint)
    kernels, pads = axes(kernel, rank, "kernel"), axes(padding, rank, "padding")
    strides = kernels if stride is None else axes(stride, rank, "stride")
    plain = tuple([(n - 1) * s - 2 * p + k for n, s, p, k in zip(space, strides, pads, kernels, strict=True)])
    wanted = _wanted(rank, like, size)
    sizes = _checked(plain, strides, wanted, "size" if like is None else None)
    told = ", {2}.shape[2:]" if like is not None else "" if wanted is None else f", {tuple(map(int, sizes))}"
    return weightless(
        Shape((x.channels, *(label(n, AXIS_NAMES[rank][i] + "'") for i, n in enumerate(sizes)))),
        work=Work(),
        keeps=(Kept("input", 1, wanted_by=(0,)),),
        takes=("same", "int64", "same"),
        reads=2,
        reach=(POINT, *(Spread(s, p, k, 1) for s, p, k in zip(strides, pads, kernels, strict=True))),
        torch=Module(
            f"nn.MaxUnpool{rank}d",
            (short(kernels),),
            given(stride=(short(strides), short(kernels)), padding=(short(pads), 0)),
            f"{{self}}({{0}}, {{1}}{told})",
        ),
        layout=SUGGESTED if rank == 2 else CONTIGUOUS,
        classic=f"UNPOOL{short(kernels)}",
    )


def _wanted(rank: int, like: Shape | None, size: int | tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The output's size, where something says it."""
    if like is None:
        return None if size is None else axes(size, rank, "size")
    if size is not None:
        raise Fault("size", "the third input says the size already", "leave one of them out")
    if len(like) != rank + 1:
        hint = f"a map with {counted(rank, 'spatial axis', 'spatial axes')}"
        raise Fault(None, f"max_unpool cannot be as large as {list(like)}", hint)
    return like.space


def _checked(plain: tuple[int, ...], strides: tuple[int, ...], wanted: tuple[int, ...] | None, argument: str | None) -> tuple[int, ...]:
    """The output's size: what the windows give, or what is wanted, if that is less than a stride from it, as PyTorch asks for."""
    if wanted is None:
        if any(size < 1 for size in plain):
            raise Fault("padding", f"the padding leaves nothing: the output would be {'x'.join(map(str, plain))}")
        return plain
    for n, own, stride in zip(wanted, plain, strides, strict=True):
        if n < 1 or not own - stride < n < own + stride:
            hint = f"from {max(int(own - stride) + 1, 1)} to {int(own + stride) - 1}"
            raise Fault(argument, f"the windows give {own}, and {n} is a stride of {stride} or more from it", hint)
    return wanted
