"""What an operator says of one layer: shapes, weights, work, what backward keeps, and its form in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from archc.catalog.dtypes import BYTES
from archc.ops.layout import CONTIGUOUS, Move
from archc.ops.reach import POINT, Along, Behavior
from archc.ops.shape import Shape, product

if TYPE_CHECKING:
    from archc.ops.syntax import Tree


class Between(NamedTuple):
    """A count known within bounds alone; `high` None means that nothing is known above `low`."""

    low: int
    high: int | None = None


Known = int | Between | None  # exact, bounded, unknown


class Work(NamedTuple):
    """Floating-point operations of one layer for one image, by kind."""

    multiply: int = 0
    add: int = 0
    compare: int = 0
    special: int = 0  # a division, a root, a power, exp, log, erf, tanh …: one each

    @property
    def flops(self) -> int:
        return self.multiply + self.add + self.compare + self.special


class Weight(NamedTuple):
    """A tensor that the layer owns. An empty `name` means that the layer itself is the tensor, under the layer's name."""

    name: str
    shape: tuple[int, ...]
    role: str = "weight"  # weight, bias or buffer
    dtype: str = "same"  # the network's own, or a fixed one (int64)
    tied: bool = False  # whether it is another layer's, where it counts

    @property
    def values(self) -> int:
        return product(self.shape)

    def bytes(self, size: int) -> int:
        """Its bytes, where a value of the network's own dtype has `size`."""
        own = DTYPES[self.dtype]
        return self.values * (size if own is None else own)


class Kept(NamedTuple):
    """What autograd keeps until backward: an input's or output's storage, or a new tensor of `values` for one image.

    wanted_by: inputs, one of which must need a gradient; where none is named, any gradient will do
    moves: what input `which` goes through first; where that takes a copy, the copy is kept, else the input. `what` is then
        what happens to a contiguous input
    """

    what: str  # input, output or new
    which: int = 0
    values: int = 0
    dtype: str = "same"  # same, float32, int64, or mask: as wide as a value on the CPU, a byte on CUDA
    per_image: bool = True
    wanted_by: tuple[int, ...] = ()
    moves: tuple[Move, ...] = ()


INPUT = Kept("input")
OUTPUT = Kept("output")


def new(values: int, dtype: str = "same", per_image: bool = True) -> Kept:
    return Kept("new", 0, values, dtype, per_image)


CALLED = "{self}({0})"  # a module on its input


class Module(NamedTuple):
    """A submodule of the layer: `nn.Conv2d(64, 128, kernel_size=3)`; `call` applies it, `source` defines its class if torch has none."""

    name: str
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = {}
    call: str = CALLED
    source: str = ""

    @property
    def tree(self) -> Tree:
        """The call as an expression."""
        return _parse_template(self.call)

    @property
    def added_border(self) -> tuple[int, ...]:
        """What the call adds around the input before the module sees it: the sides, in the order of torch.nn.functional.pad."""
        from archc.ops.syntax import Input, Items, calls, flat

        pads = next((call.arguments for call in calls(self.tree, "F.pad") if call.arguments[:1] == (Input(0),)), ())
        sides = [flat(side) for side in pads[1].items] if len(pads) > 1 and isinstance(pads[1], Items) else []
        return tuple(map(int, sides)) if all(side.removeprefix("-").isdecimal() for side in sides) else ()

    @property
    def pads_apart(self) -> bool:
        """Whether a border is made in a step of its own, before the module sees the input or within it."""
        return self.pads_before or self.options.get("padding_mode", "zeros") != "zeros"

    @property
    def pads_before(self) -> bool:
        """Whether the call makes a border before the module sees the input."""
        return _names_pad(self.call)

    def construction(self) -> str:
        """The text that makes the module."""
        options = [f"{key}={literal(value)}" for key, value in self.options.items()]
        return f"{self.name}({', '.join([*map(literal, self.args), *options])})"


class Expression(NamedTuple):
    """A layer that is an expression of its inputs `{0}`, `{1}`, … and of its own tensor `{self}`, made by `start`.

    holds: what the tensor is: a parameter, a buffer, or a constant, which is a buffer that is not in the state_dict
    """

    text: str
    start: str = ""
    holds: str = "parameter"

    @property
    def tree(self) -> Tree:
        return _parse_template(self.text)


@lru_cache(maxsize=256)
def _names_pad(template: str) -> bool:
    from archc.ops.syntax import names

    return "F.pad" in names(_parse_template(template))


def _parse_template(template: str) -> Tree:
    from archc.ops.template import parse  # forms are needed for source alone, and most commands write none

    return parse(template)


class FormOptions(dict[str, Any]):
    """The options that are written, and the defaults of those that are not: another layer of the class may differ there."""

    __slots__ = ("defaults",)

    def __init__(self, written: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        super().__init__(written)
        self.defaults = defaults

    def __or__(self, more: Mapping[str, Any]) -> FormOptions:  # type: ignore[override]
        return FormOptions({**self, **more}, self.defaults)

    def __ror__(self, more: Mapping[str, Any]) -> FormOptions:  # type: ignore[override]
        return FormOptions({**more, **self}, self.defaults)


def given(**options: tuple[Any, Any]) -> FormOptions:
    """The options that differ from PyTorch's defaults, each written as (value, default)."""
    return FormOptions(
        {name: value for name, (value, default) in options.items() if value != default},
        {name: default for name, (_, default) in options.items()},
    )


def literal(value: Any) -> str:
    """A number, word, bool or tuple as Python text. Nothing else may enter emitted source."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int):
        return repr(int(value))
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        plain = [c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value]
        return '"' + "".join(plain) + '"'
    if isinstance(value, tuple):
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    raise TypeError(f"{type(value).__name__} is not a literal")


class Doubt(NamedTuple):
    """A value that an operator takes and that is hardly meant: a warning where the argument was written."""

    argument: str
    message: str
    hint: str


# Dtypes of outputs, with the bytes of a value; `same` is the network's own.
DTYPES: dict[str, int | None] = {"same": None} | {name: size for name, size in BYTES.items() if name != "tf32"}


NEW = "new"
VIEW = "view"  # the output shares the input's storage
INPLACE = "in place"  # the output overwrites the input
OWN = "own"  # the output is the layer's own tensor, seen once for each image


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a layer. Counts are for one image, in the forward pass; what is not stated is unknown.

    out: the output's shape, or a tuple of shapes
    weights: the tensors that the layer owns
    macs: multiply-accumulates of convolution, linear, attention and matmul, without bias
    work: floating-point operations by kind
    keeps: what autograd keeps for backward
    storage: whether the output is new, a view of input 0, written over it, or a view of the layer's own tensor
    reach: what an output position sees of the inputs, for the receptive field; nothing is known where it is None.
        A tuple has a rule for each axis; without one for the first axis, channels are mixed
    torch: the form in PyTorch
    dense: parameters of the fully-connected layer that would do the same
    classic: the name in a lecture's table: CONV3-64
    identity_in_eval: whether it hands its input on in the deployed network, as dropout does
    layout: how new outputs lie in their storage
    layout_no_grad: the same where no input needs a gradient, if that differs
    operand_shape: the shape of a contiguous tensor that the input is combined with, in the place of weights
    operand_strides: those of that tensor, where it is not contiguous and the same for each image
    moves: for each output, how it is seen from the input that it is a view of, or from the new storage; nothing is the same tensor
    multi_output_view: whether the views come from one call, as those of torch.chunk, over which autograd lets nothing be written
    keeps_more: whether that is no more than a part of what is kept, as of a kernel with a workspace of its own
    keeps_alike: what autograd keeps where all inputs are one and the same tensor, if that differs
    unfused: what autograd keeps of attention where its kernel does not take the inputs; the output is contiguous then
    min_storage_values: values that the output's storage holds for one image at least
    takes: the dtype of the inputs, or of each of them
    dtypes: the dtype of each output, where that is not the network's
    reads: how many of the inputs are read, where others give their shape alone
    stops: the inputs to which no gradient goes
    doubts: arguments that are hardly meant as they stand
    joined: how many leading axes of the outputs are in the batch; all else but counts is stated for one entry of these
    min_batch: the images of a training step with fewer of which PyTorch refuses it
    """

    out: Shape | tuple[Shape, ...]
    weights: tuple[Weight, ...] | None = None
    macs: Known = None
    work: Work | Between | None = None
    keeps: tuple[Kept, ...] | None = None
    storage: str = NEW
    reach: Behavior = None
    torch: Module | Expression | None = None
    dense: int | None = None
    classic: str = ""
    identity_in_eval: bool = False
    layout: str = CONTIGUOUS
    layout_no_grad: str = ""
    operand_shape: tuple[int, ...] | None = None
    operand_strides: tuple[int, ...] = ()
    moves: tuple[tuple[Move, ...], ...] = ()
    multi_output_view: bool = False
    keeps_alike: tuple[Kept, ...] | None = None
    keeps_more: bool = False
    unfused: tuple[Kept, ...] | None = None
    min_storage_values: int = 0
    takes: str | tuple[str, ...] = "same"
    dtypes: tuple[str, ...] = ()
    reads: int | None = None
    stops: tuple[int, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    min_batch: int = 1
    joined: int = 0
    outputs: tuple[Shape, ...] = field(init=False)

    def __post_init__(self) -> None:
        out = tuple(self.out) if isinstance(self.out, tuple | list) and not isinstance(self.out, Shape) else (self.out,)
        object.__setattr__(self, "outputs", out)

    def item(self, index: int, size: int) -> int:
        """Bytes of a value of output `index`, where those of the network's own dtype are `size`."""
        own = DTYPES[self.dtypes[index]] if self.dtypes else None
        return size if own is None else own

    def taken(self, index: int) -> str:
        """The dtype of input `index`."""
        return self.takes if isinstance(self.takes, str) else self.takes[index]

    def is_integer(self, index: int) -> bool:
        """Whether output `index` holds whole numbers or truth values, which carry no gradient."""
        return bool(self.dtypes) and ("int" in self.dtypes[index] or self.dtypes[index] == "bool")

    @property
    def pointwise(self) -> bool:
        """Whether it works position by position: on values, or on all that stand at one position."""
        return self.reach == POINT or type(self.reach) is Along

    @property
    def tensors(self) -> tuple[Weight, ...]:
        """The weights that are known, also those that are another layer's."""
        return self.weights or ()

    @property
    def owned(self) -> tuple[Weight, ...]:
        """The weights that are known and its own."""
        weights = self.weights or ()
        for weight in weights:
            if weight.tied:
                return tuple([other for other in weights if not other.tied])
        return weights

    @property
    def learns(self) -> bool:
        """Whether it computes with a tensor that is learned, its own or another layer's."""
        return any(weight.role != "buffer" for weight in self.tensors)


def weightless(out: Shape | tuple[Shape, ...], *, work: Work | Between, keeps: tuple[Kept, ...], **rest: Any) -> Facts:
    """The facts of a layer that owns no weights and has no MACs."""
    return Facts(out, weights=(), macs=0, work=work, keeps=keeps, **rest)
