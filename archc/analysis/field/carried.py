"""Where the positions of the network's input lie in a value, and what becomes of them in a layer.

An axis of the input is carried by an axis of a value: in a map by the axis itself; among the tokens of a map, both height and width
by the tokens. Layers that reorder values move it to another axis; a mean, a softmax or a matrix over that axis ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archc.analysis.field.positions import NOWHERE, Always, PositionLine, Positions, Seen, Unfollowed
from archc.ops.facts import Facts
from archc.ops.layout import Axes, Entry, Merge, Move, Part, Sized
from archc.ops.reach import MOVED, POINT, WHOLE, Along, Behavior, Each, Joined, Reach, Rule, rules_of
from archc.ops.shape import Shape, product


class Carried(NamedTuple):
    """An axis of the input in a value.

    axis: the axis of the value along which its positions lie; -1 where every value sees the same of it
    stride: entry i of that axis stands at position i // stride % count
    exact: whether what is seen is so, or no more than a bound
    """

    seen: Seen
    axis: int = -1
    stride: int = 1
    exact: bool = True


State = tuple[Carried, ...]  # one for each axis of the network's input
Given = tuple[State | None, Shape]  # an input of a layer; None where the network's input does not reach it


def composed(facts: Facts, output: int, inputs: Sequence[Given], pixels: Sequence[int]) -> State:
    """What one output of a layer sees. `pixels` are the sizes of the input's axes. Raises Unfollowed."""
    reach = facts.reach
    if type(reach) is Joined:
        return _joined(reach, inputs, pixels)
    out, moves = facts.outputs[output], facts.moves[output] if reach == MOVED else ()
    rules = reach.of if type(reach) is Each else (reach,) * len(inputs)
    found = [_behind(state, shape, out, rule, moves, pixels) for (state, shape), rule in zip(inputs, rules, strict=True) if state]
    if len(found) == 1:
        return found[0]
    return tuple([_union(column, size) for *column, size in zip(*found, pixels, strict=True)])


def _behind(state: State, shape: Shape, out: Shape, rule: Behavior, moves: Sequence[Move], pixels: Sequence[int]) -> State:
    """What is seen of one input."""
    rules = rules_of(rule)
    if rules is not None and len(shape) - 1 <= len(rules) <= len(shape):
        return _slid(state, shape, out, rules, pixels)
    if rule == POINT:
        return state if shape == out else _stretched(state, shape, out)
    if rule == MOVED:
        return _moved(state, shape, moves, pixels)
    if type(rule) is Along:
        return _stretched(_mixed(state, rule, pixels), shape, out)
    return tuple([whole(one, size, rule == WHOLE) for one, size in zip(state, pixels, strict=True)])


def whole(one: Carried, pixels: int, exact: bool = True) -> Carried:
    """All positions together; the whole axis where that is no more than a bound."""
    if not exact:
        return Carried(Always(0, pixels - 1), exact=False)
    return one if type(one.seen) is Always else Carried(one.seen.everywhere(pixels), exact=one.exact)


def _slid(state: State, shape: Shape, out: Shape, rules: tuple[Rule | str, ...], pixels: Sequence[int]) -> State:
    """Windows, or rules like them. Without a rule for the first axis, the channels, these are mixed."""
    made: list[Carried] = []
    more = len(shape) - len(rules)
    before: tuple[object, ...] = ()
    for one, size in zip(state, pixels, strict=True):
        axis, seen = one.axis, one.seen
        if type(seen) is Always:
            made.append(one)
            continue
        if axis < more:  # in groups, perhaps
            made.append(whole(one, size, exact=False))
            continue
        rule = rules[axis - more]
        if isinstance(rule, str):
            made.append(whole(one, size) if rule == WHOLE else one)
            continue
        task = (seen, one.stride, rule, shape[axis], out[axis])
        if task == before:  # height and width are mostly alike
            made.append(made[-1]._replace(axis=axis))
        else:
            made.append(Carried(_spread(one, shape[axis]).through(rule, out[axis]), axis, 1, one.exact))
        before = task
    return tuple(made)


def _spread(one: Carried, size: int) -> PositionLine | Positions:
    """What each entry of the axis that carries it sees."""
    seen = one.seen
    assert not isinstance(seen, Always)
    if one.stride == 1 and seen.positions == size:
        return seen
    return seen.picked([i // one.stride % seen.positions for i in range(size)])


def _mixed(state: State, along: Along, pixels: Sequence[int]) -> State:
    """All entries along some axes together."""
    made = []
    for one, size in zip(state, pixels, strict=True):
        if type(one.seen) is Always or one.axis in along.axes:
            made.append(whole(one, size))
        else:
            made.append(one._replace(axis=one.axis - sum(axis < one.axis for axis in along.axes)) if along.gone else one)
    return tuple(made)


def _stretched(state: State, shape: Shape, out: Shape) -> State:
    """An axis of size 1 that is stretched is seen everywhere alike."""
    if len(shape) != len(out):
        return state
    return tuple([_first(one) if one.axis >= 0 and shape[one.axis] == 1 != out[one.axis] else one for one in state])


def _first(one: Carried, entry: int = 0) -> Carried:
    """One entry of the axis that carries it."""
    if type(one.seen) is PositionLine:
        raise Unfollowed
    i = entry // one.stride % one.seen.positions if type(one.seen) is Positions else 0
    return Carried(Always(*one.seen.span(i)), exact=one.exact)


def _union(several: Sequence[Carried], pixels: int) -> Carried:
    """What any of them sees."""
    first = several[0]
    if all(one is first for one in several):
        return first
    for one in several:
        if type(one.seen) is Always and one.exact and one.seen.covers(pixels):
            return one
    places = {(one.axis, one.stride, one.seen.positions) for one in several if not isinstance(one.seen, Always)}
    exact = all(one.exact for one in several) and len(places) < 2
    if len(places) > 1:  # a value for each pair of positions: no less than what all pairs see
        several = [whole(one, pixels) for one in several]
    seen = several[0].seen
    for one in several[1:]:
        seen = seen.union(one.seen)
    axis, stride, _ = places.pop() if len(places) == 1 else (-1, 1, 1)
    return Carried(seen, axis, stride, exact)


def _joined(joined: Joined, inputs: Sequence[Given], pixels: Sequence[int]) -> State:
    """Values one after the other along an axis."""
    known = [state for state, _ in inputs if state is not None]
    made: list[Carried] = []
    for k, size in enumerate(pixels):
        column = [state[k] for state in known]
        if not joined.before and all(one.axis != joined.axis for one in column):
            made.append(_union(column, size))
        elif any(one.axis not in (joined.axis, -1) for one in column):
            made.append(whole(column[0], size, exact=False))
        else:
            parts = [_listed(state[k] if state else None, shape[joined.axis]) for state, shape in inputs]
            own = NOWHERE.each(joined.before)
            firsts, lasts = (sum([part[end] for part in parts], own[end]) for end in (0, 1))
            made.append(Carried(Positions(firsts, lasts), joined.axis, 1, all(one.exact for one in column)))
    return tuple(made)


def _listed(one: Carried | None, size: int) -> Positions:
    """What each entry of an axis sees, one by one."""
    if one is None:
        return NOWHERE.each(size)
    if isinstance(one.seen, Always):
        return one.seen.each(size)
    seen = _spread(one, size)
    if isinstance(seen, PositionLine):
        raise Unfollowed
    return seen


def _moved(state: State, shape: Shape, moves: Sequence[Move], pixels: Sequence[int]) -> State:
    """The same values, seen otherwise. Sizes and axes of moves begin with the batch."""
    sizes: tuple[int, ...] = (1, *shape)
    for move in moves:
        if isinstance(move, Axes):
            state = tuple([one if one.axis < 0 else one._replace(axis=move.order.index(one.axis + 1) - 1) for one in state])
            sizes = tuple(sizes[axis] for axis in move.order)
        elif isinstance(move, Merge):
            last = move.last % len(sizes)
            state = tuple([_merged(one, move.first - 1, sizes[1 : last + 1]) for one in state])
            sizes = (*sizes[: move.first], product(sizes[move.first : last + 1]), *sizes[last + 1 :])
        elif isinstance(move, Sized):
            flat = [_merged(one, 0, sizes[1:]) for one in state]
            state = tuple([_divided(one, move.shape, size) for one, size in zip(flat, pixels, strict=True)])
            sizes = (1, *move.shape)
        elif isinstance(move, Part):
            rule = Reach(1, move.start, move.start)
            state = tuple([_cut(one, sizes[move.axis], rule, move.size) if one.axis == move.axis - 1 else one for one in state])
            sizes = (*sizes[: move.axis], move.size, *sizes[move.axis + 1 :])
        elif isinstance(move, Entry):
            state = tuple([_taken(one, move.axis - 1, move.at % sizes[move.axis]) for one in state])
            sizes = (*sizes[: move.axis], *sizes[move.axis + 1 :])
    return state


def _merged(one: Carried, first: int, sizes: tuple[int, ...]) -> Carried:
    """The axes from `first` to the last of `sizes` as one."""
    last = len(sizes) - 1
    if one.axis < first or type(one.seen) is Always:
        return one
    if one.axis > last:
        return one._replace(axis=one.axis - (last - first))
    return one._replace(axis=first, stride=one.stride * product(sizes[one.axis + 1 :]))


def _divided(one: Carried, shape: tuple[int, ...], pixels: int) -> Carried:
    """A single axis as several: the one that holds the positions, whole and in order, if there is one."""
    if isinstance(one.seen, Always):
        return one
    after = 1
    for axis in range(len(shape) - 1, -1, -1):
        through = after * shape[axis]
        if one.stride % after == 0 and through % (one.stride * one.seen.positions) == 0:
            return one._replace(axis=axis, stride=one.stride // after)
        after = through
    return whole(one, pixels, exact=False)


def _cut(one: Carried, size: int, rule: Reach, out: int) -> Carried:
    return one if type(one.seen) is Always else Carried(_spread(one, size).through(rule, out), one.axis, 1, one.exact)


def _taken(one: Carried, axis: int, entry: int) -> Carried:
    if type(one.seen) is Always or one.axis < axis:
        return one
    return _first(one, entry) if one.axis == axis else one._replace(axis=one.axis - 1)
