"""Deformable convolution: each tap of the window is moved by an offset that is an input."""

from __future__ import annotations

from archc.ops.bare import positional
from archc.ops.facts import Facts, Module, Weight, Work, given
from archc.ops.registry import op
from archc.ops.shape import Shape, divisors, product
from archc.ops.window import Window, short
from archc.signature import Counts, Fault, Size, Sizes


@op(bare=positional("deform_conv", 0, "channels", "kernel", "stride", "padding"))
def deform_conv(
    x: Shape,
    offsets: Shape,
    mask: Shape | None = None,
    *,
    channels: Size,
    kernel: Sizes = 1,
    stride: Sizes = 1,
    padding: Counts = 0,
    dilation: Sizes = 1,
    groups: Size = 1,
    bias: bool = True,
) -> Facts:
    """[C, H, W], [2*G*kh*kw, H', W'] -> [channels, H', W']. Convolution with moved taps: torchvision.ops.DeformConv2d.

    Dai et al., 2017. The second input moves each tap down and to the right, for each of G parts of the channels; a third,
    [G*kh*kw, H', W'], weights it (Zhu et al., 2019). Between positions, values are interpolated. torchvision's kernel runs where it is
    installed, else the same in plain torch, so what is kept for backward is not stated.

    channels: how many filters, the channels of the output
    kernel: size of the window
    stride: step of the window
    padding: zeros around the map
    dilation: distance between the taps of the window
    groups: parts that are convolved separately
    bias: whether a bias is added
    """
    if len(x) != 3:
        raise Fault(None, f"deform_conv needs a feature map [C, H, W]; this has shape {list(x)}")
    for what, count in (("input", x.channels), ("output", channels)):
        if count % groups:
            raise Fault("groups", f"{groups} groups do not divide {count} {what} channels", divisors(count, groups, "groups"))
    window = Window(x.space, kernel, stride, padding, dilation)
    out = Shape((channels, *window.out))
    parts = _check_offsets(x, offsets, mask, window, out)
    width = x.channels // groups
    macs = out.values * width * window.taps
    points = x.channels * window.taps * product(window.out)
    weights = (Weight("weight", (channels, width, *window.kernel)), *((Weight("bias", (channels,), "bias"),) if bias else ()))
    options = given(stride=(short(window.stride), 1), padding=(short(window.padding), 0), dilation=(short(window.dilation), 1),
                    groups=(int(groups), 1), parts=(parts, 1), bias=(bias, True))  # fmt: skip
    return Facts(
        out,
        weights=weights,
        macs=macs,
        work=Work(multiply=macs + (5 if mask is not None else 4) * points, add=macs + 3 * points - (0 if bias else out.values)),
        torch=Module(
            "DeformConv2d",
            (int(x.channels), int(channels), short(window.kernel)),
            options,
            "{self}({0}, {1}, {2})" if mask is not None else "{self}({0}, {1})",
            _DEFORM_CONV,
        ),
        classic=f"DEFORM{'x'.join(map(str, window.kernel))}-{channels}",
    )


def _check_offsets(x: Shape, offsets: Shape, mask: Shape | None, window: Window, out: Shape) -> int:
    """How many parts of the channels have offsets of their own; a Fault where offsets and mask do not fit."""
    taps = int(window.taps)
    rows = {"offsets": (offsets, 2 * taps)} | ({"a mask": (mask, taps)} if mask is not None else {})
    found = set()
    for what, (shape, per_part) in rows.items():
        if len(shape) != 3 or shape.space != out.space or shape[0] % per_part:
            wanted = f"[{per_part}, {', '.join(str(int(n)) for n in out.space)}]"
            hint = "or a multiple, for parts of the channels"
            raise Fault(None, f"deform_conv needs {what} of shape {wanted}; this is {list(shape)}", hint)
        found.add(int(shape[0]) // per_part)
    if len(found) > 1 or int(x.channels) % (parts := found.pop()):
        raise Fault(None, f"{list(offsets)} are no offsets for parts of {x.channels} channels", f"write {2 * taps} channels of offsets")
    return parts


_DEFORM_CONV = '''
class DeformConv2d(nn.Module):
    """A convolution whose taps are moved, by torchvision where it is installed."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, dilation=1, groups=1, parts=1, bias=True):
        super().__init__()
        sides = [(one, one) if isinstance(one, int) else one for one in (kernel, stride, padding, dilation)]
        self.kernel_size, self.stride, self.padding, self.dilation = sides
        self.groups, self.parts = groups, parts
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        if bias:
            bound = self.weight[0].numel() ** -0.5
            nn.init.uniform_(self.bias, -bound, bound)
        try:
            from torchvision import ops

            ops.nms(torch.zeros(0, 4, device="cpu"), torch.zeros(0, device="cpu"), 0.5)
            self.kernel = ops.deform_conv2d
        except (ImportError, RuntimeError, AttributeError):
            self.kernel = None

    def forward(self, x, offsets, mask=None):
        if self.kernel is not None and not x.is_meta:
            return self.kernel(x, offsets, self.weight, self.bias, self.stride, self.padding, self.dilation, mask)
        taps = self.kernel_size[0] * self.kernel_size[1]
        space = offsets.shape[2:]
        moved = offsets.unflatten(1, (self.parts, taps, 2))
        steps = [torch.arange(n, device=x.device) * s - p for n, s, p in zip(space, self.stride, self.padding)]
        tap = [torch.arange(k, device=x.device) * d for k, d in zip(self.kernel_size, self.dilation)]
        rows = moved[:, :, :, 0] + steps[0][:, None] + tap[0].repeat_interleave(self.kernel_size[1])[:, None, None]
        columns = moved[:, :, :, 1] + steps[1] + tap[1].repeat(self.kernel_size[0])[:, None, None]
        flat = x.flatten(2).unflatten(1, (self.parts, -1))
        total = 0
        for down in (0, 1):
            for right in (0, 1):
                row, column = rows.floor() + down, columns.floor() + right
                share = (1 - (rows - row).abs()) * (1 - (columns - column).abs())
                inside = (row >= 0) & (row < x.shape[2]) & (column >= 0) & (column < x.shape[3])
                at = row.clamp(0, x.shape[2] - 1).long() * x.shape[3] + column.clamp(0, x.shape[3] - 1).long()
                index = at.flatten(2)[:, :, None].expand(-1, -1, flat.shape[2], -1)
                total = total + flat.gather(3, index).unflatten(3, at.shape[2:]) * (share * inside)[:, :, None]
        if mask is not None:
            total = total * mask.unflatten(1, (self.parts, 1, taps))
        values = total.reshape(x.shape[0], self.groups, -1, space[0] * space[1])
        weight = self.weight.reshape(1, self.groups, self.weight.shape[0] // self.groups, -1)
        made = torch.matmul(weight, values).reshape(x.shape[0], -1, *space)
        return made if self.bias is None else made + self.bias[:, None, None]
'''
