"""Tensors that come from no layer before them: learned, kept, or constant. Of what comes in, the batch alone counts."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Any

from archc.ops.facts import OWN, Expression, Facts, Weight, Work, literal
from archc.ops.reach import POINT
from archc.ops.registry import op
from archc.ops.shape import MOST_AXES, Shape, product
from archc.signature import MISSING, Fault, Positive, Type, integer, items, one_of

MOST_NUMBERS = 1_024  # that are written out one by one
WORDS = {
    "zeros": "zeros",
    "ones": "ones",
    "normal": "random numbers of a normal distribution around 0",
    "range": "0, 1, 2 … along one axis",
    "grid": "[N, *S]: for each of N axes of S, the index along it",
    "sinusoidal": "[T, D]: the positions of Vaswani et al., sines at even and cosines at odd features",
    "causal": "[T, T]: one where a position sees another, at itself and those before it, else zero",
}


def _accept(value: Any) -> Any:
    """A number, one of the words, or numbers in lists of lists, as tuples."""
    if isinstance(value, str):
        return value if value in WORDS else MISSING
    if isinstance(value, bool | int | float):
        return value if isfinite(value) else MISSING
    if not isinstance(value, list | tuple) or not value:
        return MISSING
    parts = tuple(map(_accept, value))
    return MISSING if any(part is MISSING or isinstance(part, str) for part in parts) else parts


_NUMBERS: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"enum": list(WORDS)}, {"type": "array"}]}
Filling = Annotated[Any, Type("numbers", f"a number, lists of numbers, or one of {', '.join(WORDS)}", _accept, _NUMBERS)]
_SIDES = items(integer(1))
Sides = Annotated[tuple[int, ...], Type("shape", "a shape, as in [100, 256]", _SIDES.accept, _SIDES.schema)]
Dtype = Annotated[str, one_of("same", "int64", "bool")]


@op
def parameter(*xs: Shape, shape: Sides, start: Filling = 0, std: Positive = 1.0, batch_axis: bool = False) -> Facts:
    """[…] -> shape. A learned tensor, the same for each image: nn.Parameter. Of the input, the batch size alone counts.

    shape: its shape, without a batch axis
    start: the values at the start: a number, lists of numbers, `zeros`, `ones`, `normal`, `sinusoidal`; rules of `init` go before it
    std: the standard deviation of `normal`
    batch_axis: whether the tensor in the state_dict has a leading axis of size 1, as the tokens of most vision transformers have
    """
    return _tensor(shape, Filled("start", start, float(std), "same"), "parameter", batch_axis)


@op
def buffer(*xs: Shape, shape: Sides, start: Filling = 0, std: Positive = 1.0, dtype: Dtype = "same", batch_axis: bool = False) -> Facts:
    """[…] -> shape. A tensor of the state_dict that is not learned: register_buffer. Of the input, the batch size alone counts.

    shape: its shape, without a batch axis
    start: its values: a number, lists of numbers, `zeros`, `ones`, `normal`, `range`, `grid`, `sinusoidal`, `causal`
    std: the standard deviation of `normal`
    dtype: int64 or bool; same is the network's own
    batch_axis: whether the tensor in the state_dict has a leading axis of size 1
    """
    return _tensor(shape, Filled("start", start, float(std), dtype), "buffer", batch_axis)


@op
def constant(*xs: Shape, values: Filling, shape: Sides = (), dtype: Dtype = "same") -> Facts:
    """[…] -> shape. Numbers that are always the same, and not in the state_dict. Of the input, the batch size alone counts.

    values: lists of numbers, or with `shape` a number, `zeros`, `ones`, `range`, `grid`, `sinusoidal`, `causal`
    shape: their shape, without a batch axis; that of the lists unless it is given
    dtype: int64 or bool; same is the network's own
    """
    if values == "normal":
        hint = "`buffer` keeps its numbers in the state_dict: {buffer: {shape: …, start: normal}}"
        raise Fault("values", "random numbers would be others in each process", hint)
    if isinstance(values, tuple) and not shape:
        shape = _sides(values)
    if not shape:
        raise Fault("values", "the shape is missing", "write it beside the values: {constant: {values: …, shape: [16, 64]}}")
    return _tensor(shape, Filled("values", values, 1.0, dtype), "constant", False)


class Filled:
    """What a tensor holds, as it was written: `argument` is where."""

    def __init__(self, argument: str, values: Any, std: float, dtype: str) -> None:
        self.argument = argument
        self.values = values
        self.std = std
        self.dtype = dtype

    def code(self, shape: Sequence[int]) -> str:
        """The PyTorch expression that makes a tensor of a shape. Raises Fault where the values have another."""
        sizes = ", ".join(map(str, shape))
        typed = f", dtype=torch.{self.dtype}" if self.dtype != "same" else ""
        values = self.values
        if isinstance(values, tuple):
            return f"torch.tensor({self._listed(shape)}{typed})"
        if not isinstance(values, str):
            return self._number(values, shape, sizes, typed)
        if values in ("zeros", "ones"):
            return f"torch.{values}({sizes}{typed})"
        if values == "normal":
            if typed:
                raise Fault("dtype", f"random numbers are no {self.dtype}", "leave `dtype` out")
            return f"torch.randn({sizes})" + (f" * {self.std!r}" if self.std != 1 else "")
        return self._generated(values, shape, sizes, typed)

    def _number(self, value: bool | int | float, shape: Sequence[int], sizes: str, typed: str) -> str:
        if value in (0, 1):
            return f"torch.{'ones' if value else 'zeros'}({sizes}{typed})"
        return f"torch.full({literal(tuple(shape))}, {self._plain(value)}{typed})"

    def _plain(self, value: bool | int | float) -> str:
        """A number in the form of the dtype."""
        if self.dtype == "same":
            return repr(float(value))
        if (self.dtype == "bool" and value not in (0, 1)) or value != int(value):
            raise Fault(self.argument, f"{value} is no {self.dtype}", "true and false" if self.dtype == "bool" else "whole numbers")
        return repr(bool(value)) if self.dtype == "bool" else repr(int(value))

    def _listed(self, shape: Sequence[int]) -> str:
        own = _sides(self.values)
        if own != tuple(shape):
            raise Fault(
                self.argument, f"the numbers have the shape {list(own)}, not {list(shape)}", "leave `shape` out, or make them equal"
            )
        if product(own) > MOST_NUMBERS:
            hint = "generate them: range, grid, sinusoidal, or keep them in a buffer that is loaded"
            raise Fault(self.argument, f"{product(own):,} numbers, of which at most {MOST_NUMBERS:,} are written out", hint)
        return self._rows(self.values)

    def _rows(self, values: Any) -> str:
        return f"[{', '.join(map(self._rows, values))}]" if isinstance(values, tuple) else self._plain(values)

    def _generated(self, word: str, shape: Sequence[int], sizes: str, typed: str) -> str:
        whole = self.dtype == "int64"
        if self.dtype == "bool" and word != "causal":
            raise Fault("dtype", f"{word} makes numbers, and no bool", "leave `dtype` out, or write int64")
        if word == "range" and len(shape) == 1:
            return f"torch.arange({shape[0]})" if whole else f"torch.arange({float(shape[0])})"
        if word == "grid" and len(shape) > 1 and shape[0] == len(shape) - 1:
            axes = ", ".join(f"torch.arange({size if whole else float(size)})" for size in shape[1:])
            return f'torch.stack(torch.meshgrid({axes}, indexing="ij"))'
        if word == "causal" and len(shape) == 2 and shape[0] == shape[1]:
            return f"torch.ones({sizes}{typed}).tril()"
        if word == "sinusoidal" and len(shape) == 2 and not whole:
            return f"sinusoids({sizes})"  # a function that stands in the source beside it
        raise Fault("shape", f"{word} does not have the shape {list(shape)}" + " of whole numbers" * whole, f"{word} is {WORDS[word]}")


def _sides(values: Any) -> tuple[int, ...]:
    """The shape of numbers in lists of lists."""
    if not isinstance(values, tuple):
        return ()
    inner = {_sides(part) for part in values}
    if len(inner) > 1:
        raise Fault(None, "lists of different lengths side by side", "write as many numbers in each")
    return (len(values), *inner.pop())


def _tensor(shape: Sequence[int], filled: Filled, kind: str, batch_axis: bool) -> Facts:
    """The facts of a tensor: it is there once, and seen once for each image, without a copy."""
    sizes = tuple(shape)
    if not 1 <= len(sizes) <= MOST_AXES:
        raise Fault("shape", f"{list(sizes)} is not a shape", "one to four sizes, without a batch axis")
    start = filled.code(tuple(map(int, sizes)))
    if batch_axis:
        start = f"({start}).unsqueeze(0)" if " * " in start else f"{start}.unsqueeze(0)"
    stored = (1, *sizes) if batch_axis else sizes
    text = f"{{self}}.expand({{0}}.shape[0]{', -1' * len(sizes)})"
    weight = Weight("", stored, "weight" if kind == "parameter" else "buffer", filled.dtype)
    return Facts(
        Shape(sizes),
        weights=(weight,),
        macs=0,
        work=Work(),
        keeps=(),
        storage=OWN,
        reach=POINT,
        torch=Expression(text, start, kind),
        classic=kind.upper(),
        dtypes=(filled.dtype,) if filled.dtype != "same" else (),
        reads=0,
    )
