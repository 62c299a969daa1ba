"""Tensors that are computed from weights alone, once for all images: a table of offsets laid out, angles of rotary positions."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Annotated, Any

from archc.ops.facts import DTYPES, OWN, Facts, Module, Weight, Work
from archc.ops.reach import POINT
from archc.ops.registry import op
from archc.ops.shape import MOST_AXES, Shape
from archc.ops.tensors import Sides
from archc.signature import MISSING, Fault, Type, is_int, items, shown

# Functions of torch that a step may call, as a method of a tensor or after `torch.` or `F.`; none draws numbers.
FUNCTIONS = frozenset(
    """
    __add__ __and__ __eq__ __floordiv__ __ge__ __getitem__ __gt__ __iadd__ __imul__ __invert__ __isub__ __itruediv__ __le__
    __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pow__ __radd__ __rmul__ __rpow__ __rsub__ __rtruediv__ __setitem__
    __sub__ __truediv__ __xor__ abs adaptive_avg_pool2d add add_ addmm amax amin arange atan2 avg_pool2d baddbmm batch_norm
    bitwise_and bitwise_not bitwise_or bmm broadcast_to cartesian_prod cat ceil chunk clamp clamp_ clamp_max clamp_min clone
    column_stack complex concat contiguous conv2d copy_ cos cumsum detach dropout diagonal diff div div_ divide einsum eq erf exp exp_
    expand expand_as eye fill_ flatten flip float floor floor_divide full full_like gather ge gelu ger group_norm gt hstack
    index_select interpolate kron layer_norm le leaky_relu linear linspace log log2 log_softmax logical_and logical_not
    logical_or long lt masked_fill masked_fill_ matmul max mean meshgrid min mm moveaxis movedim mul mul_ multiply narrow ne neg
    neg_ negative norm normalize one_hot ones ones_like outer pad permute pixel_shuffle polar pow prod ravel reciprocal relu
    remainder repeat repeat_interleave reshape reshape_as rms_norm roll round rsqrt rsub select sgn sigmoid sigmoid_ sign silu
    sin sinh softmax softplus split sqrt square squeeze stack std sub sub_ subtract sum swapaxes swapdims t tanh tensor tile to
    transpose transpose_ tril triu true_divide unbind unflatten unfold unsqueeze unsqueeze_ var view view_as view_as_complex
    view_as_real vstack where zero_ zeros zeros_like
    """.split()  # noqa: SIM905
)
OTHERS = ("training", "batch")  # names that stand for whether the network is trained, and for the size of the batch
TENSOR = "^"  # before the name of a tensor, or the number of a step before
MOST_STEPS = 1_000
INFINITE = ("inf", "-inf")


def _accept(value: Any) -> Any:
    """Words, numbers and lists of them, as tuples."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else MISSING
    if not isinstance(value, list | tuple):
        return MISSING
    parts = tuple(map(_accept, value))
    return MISSING if any(part is MISSING for part in parts) else parts


Step = Type("step", "a function and what it is given, as in [permute, [^table, [2, 0, 1]]]", _accept, {"type": "array"})
Steps = Annotated[tuple[Any, ...], items(Step)]
_TENSOR = Type("tensor", "a name, sizes, and a dtype if it is another: [index, [49, 49], int64]", _accept, {"type": "array"})
Tensors = Annotated[tuple[Any, ...], items(_TENSOR)]
_RECIPE = Type("recipe", "the name of a tensor, then weights, buffers and steps as of `computed`", _accept, {"type": "array"})
Recipes = Annotated[tuple[Any, ...], items(_RECIPE)]


@op(bare="its arguments want names: {computed: {shape: …, weights: …, steps: …}}")
def computed(*xs: Shape, shape: Sides, steps: Steps, weights: Tensors = (), buffers: Tensors = ()) -> Facts:
    """[…] -> shape. A tensor that is computed from weights alone, the same for each image. Of the input, the batch size alone counts.

    That is work for a batch, and not counted. Each step calls a function of torch on what is listed: numbers, `^table` for a tensor
    of its own, `^0` for what the first step gave, `^0.1` for the second of several, `^batch` for the number of images, `^training` for
    whether the network is trained. The last step gives the tensor.

    shape: its shape, without a batch axis
    steps: the functions: [permute, [^table, [2, 0, 1]]] is a method of the first, [torch.cat, [[^a, ^b]], [[dim, 0]]] a function
    weights: the tensors that it learns: [[table, [169, 4]]]
    buffers: the tensors that it owns and does not learn, with a dtype where that is not the network's: [[index, [49, 49], int64]]
    """
    sizes = tuple(shape)
    if not 1 <= len(sizes) <= MOST_AXES:
        raise Fault("shape", f"{list(sizes)} is not a shape", "one to four sizes, without a batch axis")
    owned = owned_tensors(weights, buffers)
    check_steps(steps, {weight.name for weight in owned})
    return Facts(
        Shape(sizes),
        weights=owned,
        macs=0,
        work=Work(),
        keeps=(),
        keeps_more=True,
        storage=OWN,
        reach=POINT,
        torch=Module("Computed", (told(owned), tuple(steps), tuple(map(int, sizes))), source=_SOURCE),
        classic="COMPUTED",
        reads=0,
    )


def owned_tensors(weights: Any, buffers: Any) -> tuple[Weight, ...]:
    """The tensors that a recipe starts from. Raises Fault where they are no names with shapes."""
    return (*_tensors("weights", weights, "weight"), *_tensors("buffers", buffers, "buffer"))


def told(owned: tuple[Weight, ...]) -> tuple[Any, ...]:
    """Them, as the module is told of them: name, sizes, and the dtype of a buffer."""
    return tuple((weight.name, tuple(map(int, weight.shape)), weight.dtype if weight.role == "buffer" else "") for weight in owned)


def check_steps(steps: tuple[Any, ...], names: set[str]) -> None:
    """Raises Fault where a step calls a function that it may not, or names a tensor that is not there."""
    if not 1 <= len(steps) <= MOST_STEPS:
        raise Fault("steps", f"there are {len(steps):,} steps", f"one to {MOST_STEPS:,}")
    for number, step in enumerate(steps):
        if not isinstance(step, tuple) or len(step) not in (2, 3) or not isinstance(step[0], str) or not isinstance(step[1], tuple):
            raise Fault("steps", f"{shown(step)} is no step", "as in [permute, [^table, [2, 0, 1]]]")
        function = step[0].removeprefix("torch.").removeprefix("F.")
        if function not in FUNCTIONS:
            raise Fault("steps", f"{step[0]} is no function of a step", "moves, arithmetic, products and sums of torch are")
        for name in _named(step[1:]):
            before, _, part = name.partition(".")
            known = int(before) < number if before.isdecimal() else before in (*names, *OTHERS)
            if not known or (part and not part.isdecimal()):
                raise Fault("steps", f"^{name} is no tensor of the layer, and no step before", "write ^0 for what the first step gives")


def _named(value: Any) -> Iterator[str]:
    """The tensors that a step is given."""
    if isinstance(value, str) and value.startswith(TENSOR):
        yield value[len(TENSOR) :]
    elif isinstance(value, tuple):
        for one in value:
            yield from _named(one)


def _tensors(argument: str, tensors: Any, role: str) -> Iterator[Weight]:
    for told in tensors:
        name, sizes, dtype = (*told, "same")[:3] if isinstance(told, tuple) and 2 <= len(told) <= 3 else ("", (), "")
        plain = isinstance(sizes, tuple) and all(is_int(size, 1) for size in sizes)
        if not plain or dtype not in DTYPES or not isinstance(name, str) or not name.isidentifier() or name in OTHERS:
            raise Fault(argument, f"{shown(told)} is no tensor", "a name and sizes, as in [table, [169, 4]]")
        yield Weight(name, sizes, role, dtype)


# What a module that computes tensors has beside its own: it makes those that a recipe starts from, and goes its steps.
METHODS = """
    def hold(self, module, tensors):
        for name, sizes, dtype in tensors:
            if dtype:
                options = {} if dtype == "same" else {"dtype": getattr(torch, dtype)}
                module.register_buffer(name, torch.zeros(sizes, **options))
            else:
                module.register_parameter(name, nn.Parameter(torch.randn(sizes) * 0.02))
        return module

    def compute(self, held, steps, x):
        made, self.batch = [], x.shape[0]
        with x.device:
            for function, given, *options in steps:
                room, _, name = function.rpartition(".")
                where = {"": torch.Tensor, "torch": torch, "F": F}[room]
                named = {key: self.value(one, held, made) for key, one in (options[0] if options else ())}
                made.append(getattr(where, name)(*(self.value(one, held, made) for one in given), **named))
        return made[-1]

    def value(self, told, held, made):
        if isinstance(told, tuple):
            return tuple(self.value(one, held, made) for one in told)
        if not isinstance(told, str):
            return told
        if told.startswith("^"):
            name, _, part = told[1:].partition(".")
            found = made[int(name)] if name.isdecimal() else getattr(self if name in ("training", "batch") else held, name)
            return found[int(part)] if part else found
        if told.startswith("torch."):
            return getattr(torch, told[6:])
        if told in ("inf", "-inf"):
            return float(told)
        if told == "...":
            return ...
        if ":" in told:
            return slice(*(int(one) if one else None for one in told.split(":")))
        return told
"""
_SOURCE = (
    '''
class Computed(nn.Module):
    """A tensor that is computed from weights alone, by functions of torch one after the other; the same for each image."""

    def __init__(self, tensors, steps, shape):
        super().__init__()
        self.hold(self, tensors)
        self.steps, self.shape = steps, shape

    def forward(self, x):
        return self.compute(self, self.steps, x).expand(x.shape[0], *self.shape)
'''
    + METHODS
)
