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
from archc.ops.reach import (
    MOVED,
    POINT,
    WHOLE,
    Along,
    Behavior,
    Each,
    EachOutput,
    Folded,
    Inserted,
    Joined,
    Reach,
    Rule,
    Unfolded,
    rules_of,
)
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


def compose(facts: Facts, output: int, inputs: Sequence[Given], pixels: Sequence[int]) -> State:
    """What one output of a layer sees. `pixels` are the sizes of the input's axes. Raises Unfollowed."""
    out, leading = facts.outputs[output], facts.joined
    if not leading:
        return _compose(facts, output, out, inputs, pixels)
    # a layer sees one entry of the axes that are in the batch: what positions lie along these is as it was
    inner = [(_shifted(state, -leading) if state else None, shape.inner) for state, shape in inputs]
    made = _shifted(_compose(facts, output, out.inner, inner, pixels), leading)
    outer = [[state[k] for state, _ in inputs if state and 0 <= state[k].axis < leading] for k in range(len(pixels))]
    return tuple([_union(column, size) if column else seen for column, seen, size in zip(outer, made, pixels, strict=True)])


def _shifted(state: State, by: int) -> State:
    """With other numbers of axes; positions along axes that are not there any more are seen everywhere alike."""
    return tuple([one if one.axis < 0 else one._replace(axis=max(one.axis + by, -1)) for one in state])


def _compose(facts: Facts, output: int, out: Shape, inputs: Sequence[Given], pixels: Sequence[int]) -> State:
    reach = facts.reach.of[output] if type(facts.reach) is EachOutput else facts.reach
    if type(reach) is Joined:
        return _join(reach, inputs, pixels)
    moves = facts.moves[output] if reach == MOVED else ()
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
        return state if shape == out else _stretch(state, shape, out)
    if rule == MOVED:
        return _move(state, shape, moves, pixels)
    if type(rule) is Unfolded:
        places = Shape((out[0], *rule.space))
        return _move(_slid(state, shape, places, rule.rules, pixels), places, (Merge(2),), pixels)
    if type(rule) is Folded:
        places = Shape((shape[0], *rule.space))
        return _slid(_move(state, shape, (Sized(tuple(places)),), pixels), places, out, rule.rules, pixels)
    if type(rule) is Inserted:
        return tuple([one._replace(axis=one.axis + (one.axis >= rule.axis)) for one in state])
    if type(rule) is Along:
        return _stretch(_mix(state, rule, pixels), shape, out)
    return tuple([cover_all(carried, size, rule == WHOLE) for carried, size in zip(state, pixels, strict=True)])


def cover_all(carried: Carried, pixels: int, exact: bool = True) -> Carried:
    """All positions together; the whole axis where that is no more than a bound."""
    if not exact:
        return Carried(Always(0, pixels - 1), exact=False)
    return carried if type(carried.seen) is Always else Carried(carried.seen.everywhere(pixels), exact=carried.exact)


def _slid(state: State, shape: Shape, out: Shape, rules: tuple[Rule | str, ...], pixels: Sequence[int]) -> State:
    """Windows, or rules like them. Without a rule for the first axis, the channels, these are mixed."""
    made: list[Carried] = []
    more = len(shape) - len(rules)
    before: tuple[object, ...] = ()
    for carried, size in zip(state, pixels, strict=True):
        axis, seen = carried.axis, carried.seen
        if type(seen) is Always:
            made.append(carried)
            continue
        if axis < more:  # in groups, perhaps
            made.append(cover_all(carried, size, exact=False))
            continue
        rule = rules[axis - more]
        if isinstance(rule, str):
            made.append(cover_all(carried, size) if rule == WHOLE else carried)
            continue
        task = (seen, carried.stride, rule, shape[axis], out[axis])
        if task == before:  # height and width are mostly alike
            made.append(made[-1]._replace(axis=axis))
        else:
            made.append(Carried(_spread(carried, shape[axis]).through(rule, out[axis]), axis, 1, carried.exact))
        before = task
    return tuple(made)


def _spread(carried: Carried, size: int) -> PositionLine | Positions:
    """What each entry of the axis that carries it sees."""
    seen = carried.seen
    assert not isinstance(seen, Always)
    if carried.stride == 1 and seen.positions == size:
        return seen
    return seen.picked([i // carried.stride % seen.positions for i in range(size)])


def _mix(state: State, along: Along, pixels: Sequence[int]) -> State:
    """All entries along some axes together."""
    made = []
    for carried, size in zip(state, pixels, strict=True):
        if type(carried.seen) is Always or carried.axis in along.axes:
            made.append(cover_all(carried, size))
        else:
            made.append(carried._replace(axis=carried.axis - sum(axis < carried.axis for axis in along.axes)) if along.gone else carried)
    return tuple(made)


def _stretch(state: State, shape: Shape, out: Shape) -> State:
    """An axis of size 1 that is stretched is seen everywhere alike."""
    if len(shape) != len(out):
        return state
    return tuple([_first(carried) if carried.axis >= 0 and shape[carried.axis] == 1 != out[carried.axis] else carried for carried in state])


def _first(carried: Carried, entry: int = 0) -> Carried:
    """One entry of the axis that carries it."""
    if type(carried.seen) is PositionLine:
        raise Unfollowed
    i = entry // carried.stride % carried.seen.positions if type(carried.seen) is Positions else 0
    return Carried(Always(*carried.seen.span(i)), exact=carried.exact)


def _union(several: Sequence[Carried], pixels: int) -> Carried:
    """What any of them sees."""
    first = several[0]
    if all(carried is first for carried in several):
        return first
    for carried in several:
        if type(carried.seen) is Always and carried.exact and carried.seen.covers(pixels):
            return carried
    places = {(carried.axis, carried.stride, carried.seen.positions) for carried in several if not isinstance(carried.seen, Always)}
    exact = all(carried.exact for carried in several) and len(places) < 2
    if len(places) > 1:  # a value for each pair of positions: no less than what all pairs see
        several = [cover_all(carried, pixels) for carried in several]
    seen = several[0].seen
    for carried in several[1:]:
        seen = seen.union(carried.seen)
    axis, stride, _ = places.pop() if len(places) == 1 else (-1, 1, 1)
    return Carried(seen, axis, stride, exact)


def _join(joined: Joined, inputs: Sequence[Given], pixels: Sequence[int]) -> State:
    """Values one after the other along an axis."""
    known = [state for state, _ in inputs if state is not None]
    made: list[Carried] = []
    for k, size in enumerate(pixels):
        column = [state[k] for state in known]
        if not joined.before and all(carried.axis != joined.axis for carried in column):
            made.append(_union(column, size))
        elif any(carried.axis not in (joined.axis, -1) for carried in column):
            made.append(cover_all(column[0], size, exact=False))
        else:
            parts = [_each_entry(state[k] if state else None, shape[joined.axis]) for state, shape in inputs]
            own = NOWHERE.each(joined.before)
            firsts, lasts = (sum([part[end] for part in parts], own[end]) for end in (0, 1))
            made.append(Carried(Positions(firsts, lasts), joined.axis, 1, all(carried.exact for carried in column)))
    return tuple(made)


def _each_entry(carried: Carried | None, size: int) -> Positions:
    """What each entry of an axis sees, one by one."""
    if carried is None:
        return NOWHERE.each(size)
    if isinstance(carried.seen, Always):
        return carried.seen.each(size)
    seen = _spread(carried, size)
    if isinstance(seen, PositionLine):
        raise Unfollowed
    return seen


def _move(state: State, shape: Shape, moves: Sequence[Move], pixels: Sequence[int]) -> State:
    """The same values, seen otherwise. Sizes and axes of moves begin with the batch."""
    sizes: tuple[int, ...] = (1, *shape)
    for move in moves:
        if isinstance(move, Axes):
            state = tuple(
                [carried if carried.axis < 0 else carried._replace(axis=move.order.index(carried.axis + 1) - 1) for carried in state]
            )
            sizes = tuple(sizes[axis] for axis in move.order)
        elif isinstance(move, Merge):
            last = move.last % len(sizes)
            state = tuple([_merge(carried, move.first - 1, sizes[1 : last + 1]) for carried in state])
            sizes = (*sizes[: move.first], product(sizes[move.first : last + 1]), *sizes[last + 1 :])
        elif isinstance(move, Sized):
            flat = [_merge(carried, 0, sizes[1:]) for carried in state]
            state = tuple([_divide(carried, move.shape, size) for carried, size in zip(flat, pixels, strict=True)])
            sizes = (1, *move.shape)
        elif isinstance(move, Part):
            rule = Reach(move.step, move.start, move.start)
            state = tuple(
                [_cut(carried, sizes[move.axis], rule, move.size) if carried.axis == move.axis - 1 else carried for carried in state]
            )
            sizes = (*sizes[: move.axis], move.size, *sizes[move.axis + 1 :])
        elif isinstance(move, Entry):
            state = tuple([_taken(carried, move.axis - 1, move.at % sizes[move.axis]) for carried in state])
            sizes = (*sizes[: move.axis], *sizes[move.axis + 1 :])
    return state


def _merge(carried: Carried, first: int, sizes: tuple[int, ...]) -> Carried:
    """The axes from `first` to the last of `sizes` as one."""
    last = len(sizes) - 1
    if carried.axis < first or type(carried.seen) is Always:
        return carried
    if carried.axis > last:
        return carried._replace(axis=carried.axis - (last - first))
    return carried._replace(axis=first, stride=carried.stride * product(sizes[carried.axis + 1 :]))


def _divide(carried: Carried, shape: tuple[int, ...], pixels: int) -> Carried:
    """A single axis as several: the one that holds the positions, whole and in order, if there is one."""
    if isinstance(carried.seen, Always):
        return carried
    after = 1
    for axis in range(len(shape) - 1, -1, -1):
        through = after * shape[axis]
        if carried.stride % after == 0 and through % (carried.stride * carried.seen.positions) == 0:
            return carried._replace(axis=axis, stride=carried.stride // after)
        after = through
    return cover_all(carried, pixels, exact=False)


def _cut(carried: Carried, size: int, rule: Reach, out: int) -> Carried:
    return carried if type(carried.seen) is Always else Carried(_spread(carried, size).through(rule, out), carried.axis, 1, carried.exact)


def _taken(carried: Carried, axis: int, entry: int) -> Carried:
    if type(carried.seen) is Always or carried.axis < axis:
        return carried
    return _first(carried, entry) if carried.axis == axis else carried._replace(axis=carried.axis - 1)
