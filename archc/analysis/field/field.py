"""Receptive fields, on any graph: what of the network's input one position of a layer depends on.

The field of an axis is the span from the first to the last pixel that can reach a position, at the position where it is widest.
A layer is a rule from its positions to those of its inputs (archc/ops/reach.py); rules are followed from the input onwards, and
where paths meet, the field is what any of them sees. A map goes on past its borders, as papers state fields (Araujo, Norris & Sim,
"Computing receptive fields of convolutional neural networks", Distill 2019), as long as one step leads from each position to the
next. Where none does, as after resampling by an uneven ratio, or where a layer joins, cuts or reorders positions, the field is what
the positions that are there see, cut at the borders. What cannot be followed is bounded by the whole input, and marked so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from archc.analysis.field.carried import Carried, State, compose, cover_all
from archc.analysis.field.positions import Always, PositionLine, Positions, Seen, Unfollowed
from archc.graph import Graph, Node, Value
from archc.ops.reach import MOVED, POINT, WHOLE, Along, Each, EachOutput, Joined, rules_of
from archc.ops.shape import Shape

MOST_PLACES = 2_000_000  # positions that are written down one by one, for a network


class Axis(NamedTuple):
    """One axis of a field. `pixels` is the input's size along it; what is not `exact` is no more than a bound."""

    seen: Seen
    pixels: int
    exact: bool = True
    axis: int = -1  # of the layer's output, along which the positions lie

    @property
    def size(self) -> int:
        """Pixels from the first to the last that one position sees, where they are most."""
        return max(self.seen.widest(), 0)

    @property
    def covers_input(self) -> bool:
        """Whether every position sees the axis from end to end, wherever it lies."""
        return type(self.seen) is Always and self.seen.covers(self.pixels)

    @property
    def jump(self) -> int | None:
        """Pixels from one position's field to the next one's; None where that differs from position to position."""
        return self.seen.shift if type(self.seen) is PositionLine and len(self.seen.firsts) == 1 else None

    @property
    def offset(self) -> int | None:
        """The first pixel that position 0 sees, negative in the padding; None where there is no jump."""
        return None if self.jump is None else self.seen.span(0)[0]

    def span(self, i: int) -> tuple[int, int]:
        """The first and last pixel that position `i` sees; the first is beyond the last where it sees none."""
        return self.seen.span(i)

    def widest(self) -> int:
        """The position with the widest field, the nearest to the middle of them."""
        count = 1 if isinstance(self.seen, Always) else self.seen.positions
        if self.jump is not None:
            return count // 2
        return max(range(count), key=lambda i: (self.span(i)[1] - self.span(i)[0], -abs(2 * i + 1 - count)))


class Field(NamedTuple):
    """A receptive field: `axes` one for each axis of the input along which there are positions."""

    axes: tuple[Axis, ...]

    @property
    def covers_input(self) -> bool:
        return all(axis.covers_input for axis in self.axes)

    @property
    def exact(self) -> bool:
        return all(axis.exact for axis in self.axes)

    @property
    def size(self) -> tuple[int, ...]:
        return tuple([axis.size for axis in self.axes])

    @property
    def jump(self) -> tuple[int | None, ...]:
        return tuple([axis.jump for axis in self.axes])

    @property
    def offset(self) -> tuple[int | None, ...]:
        return tuple([axis.offset for axis in self.axes])

    def __str__(self) -> str:
        """`7x7`; `all` where every position sees the whole input; with `≤` before it where it is a bound."""
        text = "all" if self.covers_input else "x".join(map(str, self.size))
        return text if self.exact else f"≤{text}"


NO_FIELD = Field(())


Fields = dict[str, Field]  # on each input of the network that reaches a value, by name


def fields(graph: Graph) -> dict[Value, Fields]:
    """The fields of each input of the network and of each layer's outputs."""
    found: dict[Value, Fields] = {}
    for name, source in graph.inputs.items():
        for value, field in _FieldWalk(graph, source).fields().items():
            found.setdefault(value, {})[name] = field
    return found


def list_positions(graph: Graph, node: Node, name: str = "") -> Field:
    """The field of a layer's first output position by position, cut at the borders, on one input; the first unless it is named."""
    walk = _FieldWalk(graph, graph.inputs[name or next(iter(graph.inputs))])
    walk.fields()
    return walk.field_of(walk.listed(node, node.read)[0], node.output.shape)


def text(found: Fields) -> str:
    """One field where those on all inputs are alike, else each with the input's name."""
    texts = {name: str(field) for name, field in found.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{name} {field}" for name, field in texts.items()) or "none"


class _FieldWalk:
    """From one input through the network. `known` is what each value sees; `places` the same, cut, for each position on its own."""

    def __init__(self, graph: Graph, source: Value) -> None:
        self.graph = graph
        axes = _space(graph, source)
        self.pixels = tuple([int(source.shape[axis]) for axis in axes])
        pairs = list(zip(axes, self.pixels, strict=True))
        self.known: dict[Value, State] = {source: tuple([Carried(PositionLine(1, (0,), (0,), size, True), axis) for axis, size in pairs])}
        self.places: dict[Value, State] = {}
        self.room = MOST_PLACES - sum(self.pixels)
        if self.room >= 0:
            self.places[source] = tuple([Carried(Positions(tuple(range(size)), tuple(range(size))), axis) for axis, size in pairs])
        self.shown = {source: self.field_of(self.known[source], source.shape)}
        self.order: dict[Node, int] = {}

    def fields(self) -> dict[Value, Field]:
        """Of every value that the input reaches."""
        known, shown = self.known, self.shown
        for node in self.graph.nodes:
            read, output = node.read, node.output
            if len(read) == 1 and node.facts.reach == POINT and read[0] in shown:
                known[output], shown[output] = known[read[0]], shown[read[0]]
            elif any(value in known for value in read):
                try:
                    states = self._followed(node, read)
                    field = self.field_of(states[0], output.shape)
                except Unfollowed:
                    states = self.listed(node, read)
                    field = self.field_of(states[0], output.shape)
                known[output], shown[output] = states[0], field
                for value, state in zip(node.outputs[1:], states[1:], strict=True):
                    known[value], shown[value] = state, field if state is states[0] else self.field_of(state, value.shape)
        return shown

    def _followed(self, node: Node, read: Sequence[Value]) -> list[State]:
        """From what its inputs see, as they are known."""
        states = self._composed(node, read, self.known)
        kinds = [type(state.seen) for state in states[0]]
        if Positions in kinds:
            if PositionLine in kinds:
                raise Unfollowed
            self.places.update(zip(node.outputs, states, strict=True))
        return states

    def _composed(self, node: Node, read: Sequence[Value], known: Mapping[Value, State]) -> list[State]:
        given = [(known.get(value), value.shape) for value in read]
        count = len(node.outputs)
        if count == 1 or not (node.facts.reach == MOVED or type(node.facts.reach) is EachOutput):
            return [compose(node.facts, 0, given, self.pixels)] * count
        return [compose(node.facts, i, given, self.pixels) for i in range(count)]

    def listed(self, node: Node, read: Sequence[Value]) -> list[State]:
        """Position by position, from the input to this layer."""
        needed: dict[Node, Sequence[Value]] = {node: read}
        waiting = list(read)
        while waiting:
            before = waiting.pop()
            if before in self.known and before not in self.places and before.node is not None and before.node not in needed:
                needed[before.node] = before.node.read
                waiting += needed[before.node]
        for scanned in sorted(needed, key=self.graph.positions.__getitem__):
            self.room -= _cost(scanned, needed[scanned])
            try:
                if self.room < 0:
                    raise Unfollowed
                states = self._composed(scanned, needed[scanned], self.places)
            except Unfollowed:
                states = [tuple([Carried(Always(0, size - 1), exact=False) for size in self.pixels])] * len(scanned.outputs)
            self.places.update(zip(scanned.outputs, states, strict=True))
        return states

    def field_of(self, state: State, shape: Shape) -> Field:
        """The field of a value; a vector is one position, which sees what all its entries see. Raises Unfollowed."""
        if len(shape) == 1:
            state = tuple([cover_all(carried, size) for carried, size in zip(state, self.pixels, strict=True)])
        rows = zip(state, self.pixels, strict=True)
        return Field(tuple([Axis(part.seen, size, part.exact, part.axis if part.stride == 1 else -1) for part, size in rows]))


def _cost(node: Node, read: Sequence[Value]) -> int:
    """Positions to write down for a layer, and for large windows those to look through."""
    shapes = [value.shape for value in (*read, *node.outputs)]
    places = sum([sum(shape[1:] if len(shape) > 2 else shape) for shape in shapes])
    pairs = zip(reversed(node.output.shape), reversed(rules_of(node.facts.reach) or ()), strict=False)
    return places + sum([out * len(rule.at(0)) // 16 for out, rule in pairs if not isinstance(rule, str)])


def _space(graph: Graph, source: Value) -> Sequence[int]:
    """The axes of an input along which there are positions.

    All but the first of a map. Of two axes, [C, L] or [T, D], it is for the first layer that treats them differently to tell.
    """
    rank = len(source.shape)
    if rank != 2:
        return range(min(rank - 1, 1), rank)
    pixels = source.shape[1:]
    followed: dict[Value, State] = {source: (Carried(PositionLine(1, (0,), (0,), pixels[0], True), 1),)}
    for node in graph.nodes:
        read = node.read
        axes = {followed[value][0].axis for value in read if value in followed}
        if len(axes) != 1:
            continue
        axis, reach = axes.pop(), node.facts.reach
        reach = reach.of[0] if type(reach) is EachOutput else reach
        if type(reach) is Each:
            reach = next((rule for rule, value in zip(reach.of, read, strict=True) if value in followed), None)
        if type(reach) is tuple and len(reach) == 2 and reach[1] == WHOLE:  # along a sequence, whose features are mixed
            return (1,) if axis == 0 else (0,)
        if type(reach) is tuple:
            return (1,) if axis == 1 else (0,)
        if type(reach) is Along or (type(reach) is Joined and reach.before):
            mixed = reach.axes[0] if type(reach) is Along else 1
            return (1,) if axis == 1 - mixed else (0,)
        try:
            state = compose(node.facts, 0, [(followed.get(value), value.shape) for value in read], pixels)
        except Unfollowed:
            continue
        if state is not None and state[0].axis >= 0:
            followed[node.output] = state
    return (1,)
