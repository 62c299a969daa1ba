"""Axes that join the batch axis, as windows do, and leave it again."""

from __future__ import annotations

from archc.ops.facts import VIEW, Expression, Facts, Work, weightless
from archc.ops.layout import Merge, Unmerge
from archc.ops.reach import POINT
from archc.ops.registry import op
from archc.ops.shape import CHANNELS, WINDOWS, Shape
from archc.ops.tracked import plain
from archc.signature import Fault, Size
from archc.text.quantity import counted


@op(whole=True)
def join_batch(x: Shape, *, axes: Size = 1) -> Facts:
    """[W, *] -> [W, *]. The first axes become part of the batch axis, so that the layers after it work on each of their entries alone.

    Shapes show them as before. `leave_batch` gives them back; a network's outputs must have none.

    axes: how many axes join
    """
    joined, count = x.joined, int(axes)
    if count >= len(x) - joined:
        raise Fault("axes", f"{counted(count, 'axis', 'axes')} of {list(x.inner)} cannot join the batch", "one must be left for the layers")
    left = x.names[joined + count :] if CHANNELS not in x.names[joined : joined + count] else ("",) * (len(x) - joined - count)
    out = Shape(x).named((WINDOWS,) * (joined + count) + left)
    torch, moves = Expression(f"{{0}}.flatten(0, {count})"), ((Merge(0, count),),)
    return weightless(out, work=Work(), keeps=(), storage=VIEW, reach=POINT, torch=torch, moves=moves, classic="WINDOWS")


@op(whole=True)
def leave_batch(x: Shape) -> Facts:
    """[W, *] -> [W, *]. The axes that joined the batch are axes of each image again."""
    count = x.joined
    if not count:
        raise Fault(None, f"no axis of {list(x)} is in the batch", "`join_batch` puts one there")
    sizes = tuple(x[:count])
    torch = Expression(f"{{0}}.unflatten(0, (-1, {', '.join(map(str, map(plain, sizes)))}))")
    out = Shape(x).named(("",) * count + x.names[count:])
    return weightless(out, work=Work(), keeps=(), storage=VIEW, reach=POINT, torch=torch, moves=((Unmerge(sizes),),), classic="WINDOWS")
