"""A step that no operator describes: what was seen of it, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from archc.ops.facts import NEW, VIEW, Facts, Weight
from archc.ops.layout import Merge, Move, Unmerge, Unseen
from archc.ops.registry import op
from archc.ops.shape import MOST_OUTPUTS, WINDOWS, Shape
from archc.signature import ANY, MISSING, Fault, Type, integer, is_int, items, shown

MOST_MACS = 2**62
ORIGIN = frozenset({"place", "why"})  # arguments that say where a layer comes from, and not what it is
MACS = Type(
    "int", "a whole number from 0 up", lambda v: v if type(v) is int and 0 <= v < MOST_MACS else MISSING, {"type": "integer", "minimum": 0}
)
Shapes = Annotated[tuple[Any, ...], items(ANY)]
NAMED_SHAPES = Type(
    "mapping",
    "names with shapes, as in {weight: [64, 3, 7, 7]}",
    lambda v: v if isinstance(v, dict) or v == () else MISSING,
    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer", "minimum": 0}}},
)
Tensors = Annotated[Any, NAMED_SHAPES]


@op(bare="name its outputs: {opaque: {outputs: [[96, 56, 56]]}}", whole=True)
def opaque(
    *xs: Shape,
    outputs: Shapes,
    name: str = "",
    weights: Tensors = (),
    buffers: Tensors = (),
    macs: Annotated[int | None, MACS] = None,
    dtypes: Annotated[tuple[Any, ...], items(ANY)] = (),
    view: bool = False,
    joined: Annotated[int, integer(0)] = 0,
    place: str = "",
    why: str = "",
) -> Facts:
    """[*], … -> [*]. A step of an imported model that no operator describes. Its work, and what backward keeps, are unknown.

    It has no form in PyTorch, so a network with such a step is not built.

    outputs: the shape of each output
    name: what it is called where it comes from: `rot90`, `mypkg.Attention`
    weights: the tensors that it learns: {qkv.weight: [288, 96]}
    buffers: the tensors that it owns and does not learn
    macs: multiply-accumulates for one image, if they are known
    dtypes: the dtype of each output, where that is not the network's
    view: whether its outputs share the storage of its first input
    joined: how many leading axes of the outputs are in the batch
    place: where it is called: `model.py:33`
    why: what keeps it from being an operator
    """
    if len(outputs) > MOST_OUTPUTS:
        raise Fault("outputs", f"outputs names {len(outputs):,} shapes", f"at most {MOST_OUTPUTS:,}")
    shapes = tuple(_shape("outputs", sizes) for sizes in outputs)
    if not shapes:
        raise Fault("outputs", "outputs names no shape", "as in [[96, 56, 56]]")
    if dtypes and len(dtypes) != len(shapes):
        raise Fault("dtypes", f"{len(dtypes)} dtypes for {len(shapes)} outputs", "one for each")
    if view and not xs:
        raise Fault("view", "there is no input to share its storage with")
    owned = (*_tensors("weights", weights, "weight"), *_tensors("buffers", buffers, "buffer"))
    if any(joined >= len(shape) for shape in shapes):
        raise Fault("joined", f"{joined} axes in the batch leave nothing of an output", "one must be left")
    count = int(joined)
    shapes = tuple(shape.named((WINDOWS,) * count + ("",) * (len(shape) - count)) for shape in shapes)
    return Facts(
        shapes if len(shapes) > 1 else shapes[0],
        weights=owned,
        macs=macs,
        dtypes=tuple(map(str, dtypes)),
        storage=VIEW if view else NEW,
        moves=tuple(_seen(xs[0], shape) for shape in shapes) if view else (),
        classic=(name or "opaque").upper()[:24],
    )


def _seen(x: Shape, out: Shape) -> tuple[Move, ...]:
    """Some view of an input, of which the sizes alone are known."""
    apart: tuple[Move, ...] = (Unmerge(tuple(map(int, x[: x.joined]))),) if x.joined else ()
    return (*apart, Unseen(tuple(map(int, out))), *((Merge(0, out.joined),) if out.joined else ()))


def stated(args: Mapping[str, Any]) -> dict[str, Any]:
    """Of an opaque layer's arguments, those that say what it is."""
    return {name: value for name, value in args.items() if name not in ORIGIN and value not in ("", (), {}, None, False)}


def describe(args: Mapping[str, Any]) -> str:
    """What an opaque layer is, where it is called, and why no operator says it: `roll at model.py:33 (no operator says it)`."""
    place, why = (str(args.get(name, "")) for name in ("place", "why"))
    return f"{args.get('name') or 'a step'}{f' at {place}' if place else ''}{f' ({why})' if why else ''}"


def _shape(argument: str, sizes: Any) -> Shape:
    if not isinstance(sizes, list | tuple) or not sizes or not all(is_int(size, 0) for size in sizes):
        raise Fault(argument, f"{shown(sizes)} is no shape", "sizes, without the batch")
    return Shape(sizes)


def _tensors(argument: str, tensors: Any, role: str) -> tuple[Weight, ...]:
    if not tensors:
        return ()
    if not isinstance(tensors, dict):
        raise Fault(argument, f"{argument} is {shown(tensors)}, not names with shapes", "as in {weight: [64, 3, 7, 7]}")
    return tuple(Weight(str(name), tuple(_shape(argument, sizes)), role) for name, sizes in tensors.items())
