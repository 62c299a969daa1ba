"""What axes mean: those of an output, by what a layer does with those of its input; and what is said where others are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from archc.ops.facts import VIEW, Doubt, Facts
from archc.ops.layout import Axes, Entry, Merge, Move, Sized, Stretch, Unseen
from archc.ops.reach import Along, Joined
from archc.ops.shape import CHANNELS, FEATURES, SPACE, TOKENS, Shape, product
from archc.signature import Fault, one_of

Names = tuple[str, ...]
LastAxis = Annotated[str, one_of("features", "last")]


def name_outputs(facts: Facts, shapes: Sequence[Shape]) -> Facts:
    """The facts with a meaning for the axes of each output that states none."""
    for index, out in enumerate(facts.outputs):
        if isinstance(out, Shape) and not out.axes:
            out.axes = _named(facts, index, out, shapes)
    return facts


def _named(facts: Facts, index: int, out: Shape, shapes: Sequence[Shape]) -> Names:
    if not shapes:
        return ("",) * len(out)
    x, reach = shapes[0], facts.reach
    if facts.storage == VIEW and facts.moves[index : index + 1]:
        found = _moved(x, facts.moves[index])
    elif type(reach) is Along and reach.gone and len(out) == len(x) - len(reach.axes):
        found = tuple(name for axis, name in enumerate(x.names) if axis not in reach.axes)
    else:
        found = x.names
    if len(found) != len(out):
        found = (FEATURES,) if len(out) == 1 else ("",) * len(out)
    if type(reach) is tuple and len(found) > 1 and not any(found):  # a window slides along all axes but the first
        return (CHANNELS, *(SPACE,) * (len(out) - 1))
    return _last_features(found) if type(reach) is Joined and reach.before else found


def _last_features(names: Names) -> Names:
    """Tokens of features, where nothing is known of two axes."""
    return (TOKENS, FEATURES) if names == ("", "") else names


def _moved(x: Shape, moves: Sequence[Move]) -> Names:
    """After moves, whose axes are counted with the batch."""
    sizes, names = tuple(x), x.names
    for move in moves:
        if isinstance(move, Axes):
            order = [axis - 1 for axis in move.order if axis]
            sizes, names = tuple(sizes[axis] for axis in order), tuple(names[axis] for axis in order)
        elif isinstance(move, Merge):
            first, last = move.first - 1, move.last % (len(sizes) + 1)
            names = (*names[:first], merged(names[first:last]), *names[last:])
            sizes = (*sizes[:first], product(sizes[first:last]), *sizes[last:])
        elif isinstance(move, Sized):
            sizes, names = move.shape, regrouped(sizes, names, move.shape)
        elif isinstance(move, Entry):
            at = move.axis - 1
            sizes, names = sizes[:at] + sizes[at + 1 :], names[:at] + names[at + 1 :]
        elif isinstance(move, Stretch):
            sizes = move.sizes
        elif isinstance(move, Unseen):
            sizes, names = move.sizes, ("",) * len(move.sizes)
    return names


def merged(names: Sequence[str]) -> str:
    """What several axes mean as one: all positions of a map are tokens, positions within windows and the windows a side of it."""
    kinds = set(names)
    if len(names) == 1 or kinds == {SPACE, ""}:
        return SPACE if kinds == {SPACE, ""} else names[0]
    if len(kinds) == 1:
        return TOKENS if kinds == {SPACE} else names[0]
    return FEATURES if kinds & {FEATURES, CHANNELS} else ""


def regrouped(sizes: Sequence[int], names: Names, new: Sequence[int]) -> Names:
    """What axes mean after the same values were given other sizes: axes that are cut or merged on their own are followed."""
    found: list[str] = []
    i = j = 0
    while j < len(new):
        if i < len(sizes) and sizes[i] == 1 != new[j]:
            i += 1
            continue
        if i == len(sizes) or (new[j] == 1 != sizes[i]):
            found.append("")
            j += 1
            continue
        last, end, held, wanted = i + 1, j + 1, sizes[i], new[j]
        while held != wanted:
            if held < wanted:
                held, last = held * sizes[last], last + 1
            else:
                wanted, end = wanted * new[end], end + 1
        found += _regroup(names[i:last], end - j)
        i, j = last, end
    return tuple(found)


def _regroup(names: Names, count: int) -> Names:
    if count == 1:
        return (merged(names),)
    if len(names) > 1:
        return ("",) * count
    if names[0] in (TOKENS, SPACE):
        return (SPACE,) * count
    return ("",) * (count - 1) + names


def positions_last(x: Shape, what: str, hint: str) -> tuple[Doubt, ...]:
    """A doubt where the last axis of a layer's input are positions of a map."""
    if x.names[-1] != SPACE:
        return ()
    side = "width" if len(x) > 2 else "length"
    return (Doubt("", f"{what} works on the last axis, here the {side} of a map of shape {list(x)}", hint),)


def channels_first(x: Shape, what: str) -> None:
    """A Fault where the channels of a map are known to be last."""
    if len(x) > 2 and x.names[0] == SPACE and x.names[-1] == CHANNELS:
        order = [len(x) - 1, *range(len(x) - 1)]
        raise Fault(None, f"{what} works on maps with the channels first; those of shape {list(x)} are last", f"`permute: {order}` first")
