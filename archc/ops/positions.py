"""Positions of tokens, told to attention: turned into queries and keys, or added to the scores."""

from __future__ import annotations

from math import ceil, floor, log, tau
from typing import Annotated, Any

from archc.ops.facts import Facts, Module, Weight, Work, given, new
from archc.ops.layout import CONTIGUOUS, ELEMENTWISE, TURNED
from archc.ops.reach import POINT, Paired
from archc.ops.registry import op
from archc.ops.shape import Shape, product
from archc.ops.tracked import plain
from archc.signature import Counts, Fault, Positive, Size, Sizes, one_of

Pairs = Annotated[str, one_of("half", "interleaved")]
Scaling = Annotated[str, one_of("none", "linear", "llama3", "yarn")]
_TURNS = {"llama3": (1.0, 4.0), "yarn": (1.0, 32.0)}  # how often pairs turn over `original` tokens, from all stretched to none


@op(bare="its argument wants a name: {rotary: {base: 10000}}, or {rotary: {pairs: interleaved}}")
def rotary(
    x: Shape,
    *,
    base: Positive = 10000.0,
    pairs: Pairs = "half",
    scaling: Scaling = "none",
    factor: Positive = 1.0,
    original: Size | None = None,
    low: Positive | None = None,
    high: Positive | None = None,
    magnitude: Positive = 1.0,
) -> Facts:
    """[*, T, D] -> [*, T, D]. Rotary positions (Su et al., RoFormer, 2021): pairs of features, turned by angles that grow with the token.

    Token t turns its i-th pair of D/2 by t / base^(2i/D). The sines and cosines, which depend on no image, are not part of the work.
    With `scaling`, longer texts are read than those of `original` tokens that were trained on, as transformers does: pairs turn `factor`
    times as slowly. `linear` slows all of them (Chen et al., Position Interpolation, 2023); `llama3` those that turn less than `low` times
    over `original` tokens, and fewer the more they turn, up to `high` times; `yarn` does so by the place of the pair (Peng et al., 2023).

    base: how slowly the last pairs turn
    pairs: `half` pairs feature i with i + D/2, as Llama and GPT-NeoX; `interleaved` 2i with 2i + 1, as RoFormer and GPT-J
    scaling: how angles are made smaller
    factor: how many times smaller
    original: tokens of the texts that were trained on, for llama3 and yarn
    low: pairs that turn less often are slowed in full: 1 unless given
    high: pairs that turn more often stay as they are: 4 for llama3, 32 for yarn unless given
    magnitude: what sines and cosines are multiplied by: 0.1 ln(factor) + 1 in most models with yarn
    """
    if len(x) < 2:
        raise Fault(None, f"rotary needs tokens [T, D], or heads of them; this has shape {list(x)}")
    if x.features % 2:
        raise Fault(None, f"rotary turns pairs, and {x.features} features are an odd number", "queries and keys have an even number")
    options = given(base=(float(base), 10000.0), interleaved=(pairs == "interleaved", False))
    if scaling != "none":
        half = int(x.features) // 2
        options |= _scaled(scaling, factor, original=original, low=low, high=high, half=half, base=base) | given(
            magnitude=(float(magnitude), 1.0)
        )
    table = new(x[-2] * (x.features // 2), per_image=False)._replace(wanted_by=(0,))
    return Facts(
        x,
        weights=(),
        macs=0,
        work=Work(multiply=2 * x.values, add=x.values),
        keeps=(table, table),
        reach=(*(POINT,) * (len(x) - 1), Paired(int(x.features) // 2 if pairs == "half" else 1)),
        torch=Module("Rotary", (), options, source=_ROTARY) if scaling == "none" else Module("ScaledRotary", (), options, source=_SCALED),
        classic="ROTARY",
        layout=TURNED if pairs == "half" else CONTIGUOUS,
    )


def _scaled(
    scaling: str, factor: float, *, original: int | None, low: float | None, high: float | None, half: int, base: float
) -> dict[str, Any]:
    """The arguments of the module: how often pairs turn, or, for yarn, the first pair that is slowed and that from which all are."""
    options: dict[str, Any] = {"factor": float(factor)}
    if scaling == "linear":
        return options
    if original is None:
        hint = "original: 8192, the tokens of the texts that were trained on"
        raise Fault("original", f"{scaling} wants to know how long texts were before", hint, code="A403")
    slow, fast = (float(one) if one is not None else default for one, default in zip((low, high), _TURNS[scaling], strict=True))
    if not 0 < slow < fast:
        raise Fault("low", f"low is {slow:g}, and high {fast:g}", "low is the smaller one, above 0")
    if scaling == "llama3":
        return options | {"original": plain(original), "low": slow, "high": fast}
    if base <= 1:
        raise Fault("base", f"at base {base:g} no pair turns less than another", "the base is above 1")
    first, last = (half * log(original / (times * tau)) / log(base) for times in (fast, slow))
    return options | {"first": max(floor(first), 0), "last": min(ceil(last), 2 * half - 1)}


@op
def relative_position_bias(x: Shape, *, window: Sizes) -> Facts:
    """[H, T, T] -> [H, T, T]. A learned number for each head and each offset between two tokens of a window, added to the scores.

    Swin (Liu et al., 2021): the table has a row for each of the (2h - 1)(2w - 1) offsets, of which a buffer tells that of each pair.

    window: height and width, of which T is the product, or as many sizes as there are axes; one number for a square
    """
    if len(x) != 3 or x[1] != x[2]:
        raise Fault(None, f"relative_position_bias needs scores [H, T, T]; this has shape {list(x)}", "the product of queries and keys")
    heads, tokens = x[0], x[1]
    sizes = (window, window) if isinstance(window, int) else window
    if product(sizes) != tokens:
        raise Fault("window", f"a window of {' x '.join(map(str, sizes))} has {product(sizes)} tokens, and the scores have {tokens}")
    offsets = product(2 * size - 1 for size in sizes)
    return Facts(
        x,
        weights=(
            Weight("relative_position_bias_table", (offsets, heads)),
            Weight("relative_position_index", (tokens, tokens), "buffer", "int64"),
        ),
        macs=0,
        work=Work(add=x.values),
        keeps=(),
        reach=POINT,
        torch=Module("RelativePositionBias", (tuple(map(plain, sizes)), plain(heads)), source=_RELATIVE_POSITION_BIAS),
        classic="BIAS",
        layout=ELEMENTWISE,
        operand_shape=x,
        operand_strides=(1, tokens * heads, heads),  # looked up, a row for each pair of tokens
    )


_RELATIVE_POSITION_BIAS = '''
class RelativePositionBias(nn.Module):
    """A learned number for each head and each offset between two tokens of a window, added to the scores."""

    def __init__(self, window, heads):
        super().__init__()
        offsets = 1
        for size in window:
            offsets *= 2 * size - 1
        self.relative_position_bias_table = nn.Parameter(torch.randn(offsets, heads) * 0.02)
        index = torch.zeros(1, 1, dtype=torch.int64)
        for size in window:
            apart = torch.arange(size)[:, None] - torch.arange(size) + size - 1
            index = torch.kron(index, torch.ones_like(apart)) * (2 * size - 1) + apart.repeat(index.shape)
        self.register_buffer("relative_position_index", index)

    def forward(self, scores):
        return scores + self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
'''


@op(bare="all three want a name: {shift_mask: {size: [56, 56], window: 7, shift: 3}}")
def shift_mask(x: Shape, *, size: Sizes, window: Sizes, shift: Counts) -> Facts:
    """[W, H, T, T] -> [W, H, T, T]. In windows of a map that was rolled, what was not side by side before does not see each other.

    Swin (Liu et al., 2021): -100 is added to the scores of such pairs. Windows and their tokens are counted row by row.

    size: height and width of the map
    window: height and width of a window, of which T is the product
    shift: by how much the map was rolled; 0 along an axis that was not
    """
    if len(x) != 4 or x[2] != x[3]:
        raise Fault(None, f"shift_mask needs scores [W, H, T, T] of all windows; this has shape {list(x)}")
    sizes, windows, shifts = (_pair(value, name) for value, name in ((size, "size"), (window, "window"), (shift, "shift")))
    if any(n % w for n, w in zip(sizes, windows, strict=True)):
        raise Fault("window", f"windows of {list(windows)} do not divide a map of {list(sizes)}")
    if any(s >= w for s, w in zip(shifts, windows, strict=True)):
        raise Fault("shift", f"a shift of {list(shifts)} is no part of a window of {list(windows)}", "Swin shifts by half a window")
    tokens, count = product(windows), product(n // w for n, w in zip(sizes, windows, strict=True))
    if (count, tokens) != (x[0], x[2]):
        given = f"{count} windows of {tokens} tokens, and the scores are of {x[0]} with {x[2]}"
        raise Fault("window", f"a map of {list(sizes)} has {given}")
    return Facts(
        x,
        weights=(Weight("attn_mask", (count, tokens, tokens), "buffer"),),
        macs=0,
        work=Work(add=x.values),
        keeps=(),
        reach=POINT,
        torch=Module("ShiftMask", tuple(tuple(map(plain, pair)) for pair in (sizes, windows, shifts)), source=_SHIFT_MASK),
        classic="MASK",
        layout=ELEMENTWISE,
        operand_shape=x,
        operand_strides=(tokens * tokens, 0, tokens, 1),
    )


def _pair(value: int | tuple[int, ...], name: str) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise Fault(name, f"{list(value)} is not a height and a width")
    return value[0], value[1]


_SHIFT_MASK = '''
class ShiftMask(nn.Module):
    """In windows of a map that was rolled, what was not side by side before does not see each other."""

    def __init__(self, size, window, shift):
        super().__init__()
        rows, columns = (
            (torch.arange(n) >= n - w).long() + (torch.arange(n) >= n - s) for n, w, s in zip(size, window, shift)
        )
        regions = (rows[:, None] * 3 + columns).unflatten(1, (-1, window[1])).unflatten(0, (-1, window[0]))
        regions = regions.transpose(1, 2).flatten(2).flatten(0, 1)
        self.register_buffer("attn_mask", (regions[:, None] != regions[:, :, None]) * -100.0)

    def forward(self, scores):
        return scores + self.attn_mask.unsqueeze(1)
'''


_ROTARY = '''
class Rotary(nn.Module):
    """Rotary positions: pairs of features, turned by angles that grow with the token."""

    def __init__(self, base=10000.0, interleaved=False):
        super().__init__()
        self.base, self.interleaved = base, interleaved

    def forward(self, x):
        cos, sin = self.table(x)
        if self.interleaved:
            a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
            return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def table(self, x):
        tokens, half = x.shape[-2], x.shape[-1] // 2
        turns = self.base ** (torch.arange(half, device=x.device) / -half)
        angles = torch.outer(torch.arange(tokens, device=x.device), turns)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)
'''


_SCALED = '''
class ScaledRotary(nn.Module):
    """Rotary positions for longer texts than those trained on: angles are made smaller by `factor`, of fast pairs less or not at all."""

    def __init__(self, factor, original=None, low=1.0, high=4.0, first=None, last=None, magnitude=1.0, base=10000.0, interleaved=False):
        super().__init__()
        self.factor, self.original, self.low, self.high, self.first, self.last = factor, original, low, high, first, last
        self.magnitude, self.base, self.interleaved = magnitude, base, interleaved

    def forward(self, x):
        cos, sin = self.table(x)
        if self.interleaved:
            a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
            return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def table(self, x):
        tokens, half = x.shape[-2], x.shape[-1] // 2
        pairs = torch.arange(half, device=x.device)
        turns = self.base ** (pairs / -half)
        kept = self.kept(pairs, turns)
        angles = torch.outer(torch.arange(tokens, device=x.device), turns * (kept + (1 - kept) / self.factor))
        return (angles.cos() * self.magnitude).to(x.dtype), (angles.sin() * self.magnitude).to(x.dtype)

    def kept(self, pairs, turns):
        """How much of its own speed each pair keeps."""
        if self.original is not None:
            often = self.original * turns / (2 * torch.pi)
            return ((often - self.low) / (self.high - self.low)).clamp(0, 1)
        if self.first is not None:
            return 1 - ((pairs - self.first) / max(self.last - self.first, 0.001)).clamp(0, 1)
        return torch.zeros_like(turns)
'''
