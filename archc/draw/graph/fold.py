"""What a picture of a graph shows: layers as boxes, blocks as groups, repeats as one, small layers drawn into their neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from archc.draw.graph.fold_fuse import fuse_items
from archc.draw.graph.fold_marks import Edge, GraphBox, Group, Item, Marks, ranks
from archc.graph import Graph, Node, Scope, Value
from archc.graph.structure import is_within_block

MOST_BOXES, MOST_RANKS = 72, 48  # what a reader takes in at once, and how many of it one below the other
MOST_IN_BLOCK = 24
MOST_DEPTH = 12
FULL = 10**6  # deeper than any spec nests


@dataclass(slots=True)
class View:
    """What a picture shows: boxes and groups in the order in which they run, numbered, and the edges between the boxes."""

    items: list[Item]
    edges: list[Edge] = field(default_factory=list)

    def boxes(self) -> Iterator[GraphBox]:
        yield from _boxes(self.items)


@dataclass(frozen=True, slots=True)
class Folding:
    """How much is shown: levels of blocks opened (None: as many as stay legible), whether repeats are one, and small layers fused."""

    depth: int | None = None
    repeats: bool = True
    fuse: bool = True


def view(graph: Graph, folding: Folding) -> View:
    """The picture of a network."""
    entering = [(value, name) for name, value in graph.inputs.items()]
    leaving = [(value, name) for name, value in {**graph.outputs, **graph.heads}.items()]
    builder = _Builder(graph, folding, {value for value, _ in leaving})

    def made(depth: int) -> View:
        return _wire_view(builder.items([graph.root], depth), graph.nodes, entering, leaving, folding.repeats)

    return _legible(folding, made, MOST_BOXES)


def block_view(graph: Graph, scope: Scope, folding: Folding, place: str = "") -> View:
    """The picture of one block: its inputs, what is in it, its outputs. `place` stands beside its name."""
    own = {id(node) for node in scope.walk()}
    nodes = [node for node in graph.nodes if id(node) in own]
    outputs = [value for value in scope.outputs if value.node is not None and id(value.node) in own]
    leaving = [(value, "output" if len(outputs) == 1 else f"output {i + 1}") for i, value in enumerate(outputs)]
    builder = _Builder(graph, folding, set(outputs))

    def made(depth: int) -> View:
        return _wire_view(
            [Group(scope, builder.items([scope], depth), place=place or scope.name)],
            nodes,
            _entering(scope, nodes, own),
            leaving,
            folding.repeats,
        )

    return _legible(folding, made, MOST_IN_BLOCK)


Ends = list[tuple[Value, str]]  # values that enter or leave a picture, with their names


def _legible(folding: Folding, made: Callable[[int], View], most: int) -> View:
    """The picture at the depth that is asked for, or else at the greatest at which it is legible."""
    if folding.depth is not None:
        return made(folding.depth)
    found = made(0)
    for depth in range(1, MOST_DEPTH):
        if not any(box.closed for box in found.boxes()):
            break
        deeper = made(depth)
        if sum(1 for _ in deeper.boxes()) > most or ranks(deeper.edges) > MOST_RANKS:
            break
        found = deeper
    return found


def _wire_view(items: list[Item], nodes: list[Node], entering: Ends, leaving: Ends, once: bool) -> View:
    """A view of items, with boxes for its ends, its boxes numbered, and its edges."""
    ends = [GraphBox([[]], name, "input", value.shape) for value, name in entering]
    sinks = [GraphBox([[]], name, "output", value.shape) for value, name in leaving]
    found = View([*ends, *items, *sinks])
    for i, box in enumerate(found.boxes()):
        box.index = i
    starts = {id(value): box for (value, _), box in zip(entering, ends, strict=True)}
    places = _places(found)
    found.edges = _edges(places, nodes, starts, once)
    for box, (value, _) in zip(sinks, leaving, strict=True):
        tail = places[id(value.node)][0] if value.node is not None else starts[id(value)]
        found.edges.append(Edge(tail, box, [value.shape], value.node))
    return found


def _entering(scope: Scope, nodes: Iterable[Node], own: set[int]) -> Ends:
    """The values from outside that a block's layers take, in order, by the block's names for them."""
    found: dict[int, Value] = {}
    for node in nodes:
        for value in node.inputs:
            if value.node is None or id(value.node) not in own:
                found.setdefault(id(value), value)
    named = {id(value): name for value, name in zip(scope.inputs, scope.names, strict=False)}
    return [(value, named.get(id(value), "input" if len(found) == 1 else f"input {i + 1}")) for i, value in enumerate(found.values())]


class _Builder:
    """Makes the items of scopes. `kept` are the values that leave: what makes one is not fused with what follows."""

    def __init__(self, graph: Graph, folding: Folding, kept: set[Value]) -> None:
        self.folding = folding
        self.nodes = {id(node) for node in graph.nodes}
        self.marks = Marks(self.nodes)
        self.uses = graph.uses
        self.kept = kept

    def items(self, copies: list[Scope], depth: int) -> list[Item]:
        """The items of a scope that stands for its copies."""
        rows = [self.children(scope) for scope in copies]
        found: list[Item] = []
        i = 0
        while i < len(rows[0]):
            child = rows[0][i]
            if isinstance(child, Node):
                found.append(GraphBox([[node] for row in rows if isinstance(node := row[i], Node)], child.label))
                i += 1
                continue
            stop = self.run(rows[0], i)
            group = [scope for row in rows for scope in row[i:stop] if isinstance(scope, Scope)]
            found += self.section(group, stop - i, depth)
            i = stop
        return fuse_items(found, self.uses, self.kept) if self.folding.fuse else found

    def section(self, group: list[Scope], times: int, depth: int) -> list[Item]:
        """A scope as the box that its layers fuse to, as a closed box, as a group, or as its items where it is a mere level of names."""
        first = group[0]
        inner = self.items(group, depth - 1 if _counts(first) else depth)
        if len(inner) == 1 and isinstance(box := inner[0], GraphBox) and self.folding.fuse:
            box.name, box.times = first.label, times * box.times
            return [box]
        if times == 1 and not (_counts(first) and self.says(first, inner)):
            return inner
        if depth <= 0 and _counts(first):
            return [GraphBox([list(self.layers(scope)) for scope in group], first.label, closed=first, last=group[times - 1], times=times)]
        return [Group(first, inner, times, group[times - 1])]

    def says(self, scope: Scope, inner: list[Item]) -> bool:
        """Whether a frame around these items says more than theirs: not where a part is one block."""
        return bool(scope.block) or not self.folding.fuse or len(inner) > 1 or isinstance(inner[0], GraphBox)

    def layers(self, scope: Scope) -> Iterator[Node]:
        return (node for node in scope.walk() if id(node) in self.nodes)

    def children(self, scope: Scope) -> list[Scope | Node]:
        """What is in a scope, without what is left out."""
        return [child for child in scope.children if (id(child) in self.nodes if isinstance(child, Node) else any(self.layers(child)))]

    def run(self, children: list[Scope | Node], start: int) -> int:
        """Where the copies end that follow each other from here, each fed by the one before it."""
        stop = start + 1
        mark = self.marks.of(children[start]) if self.folding.repeats else None
        while mark is not None and stop < len(children) and self.marks.of(children[stop]) == mark:
            if not _feeds(children[stop - 1], children[stop]):
                break
            stop += 1
        return stop


def _feeds(before: Scope | Node, after: Scope | Node) -> bool:
    """Whether a part takes what the part before it makes."""
    if isinstance(before, Node) or isinstance(after, Node):
        return False
    made = set(map(id, before.walk()))
    return any(id(value.node) in made for node in after.walk() for value in node.inputs)


def _counts(scope: Scope) -> bool:
    """Whether a scope is a level that a reader opens: a block, or a part of the network; not the names within a block."""
    return bool(scope.block) or not is_within_block(scope)


def _boxes(items: Iterable[Item]) -> Iterator[GraphBox]:
    for item in items:
        if isinstance(item, GraphBox):
            yield item
        else:
            yield from _boxes(item.items)


Copy = tuple[tuple[int, int], ...]  # for each repeat around a layer: which repeat, which copy


def _places(found: View) -> dict[int, tuple[GraphBox, Copy]]:
    """For each layer, its box and the copies that it is in."""
    places: dict[int, tuple[GraphBox, Copy]] = {}

    def walk(items: Iterable[Item], repeats: tuple[tuple[int, int], ...]) -> None:
        for item in items:
            within = (*repeats, (id(item), item.times)) if item.times > 1 else repeats
            if isinstance(item, Group):
                walk(item.items, within)
                continue
            for i, nodes in enumerate(item.copies):
                copy = _digits(i, within)
                places.update((id(node), (item, copy)) for node in nodes)

    walk(found.items, ())
    return places


def _digits(i: int, repeats: tuple[tuple[int, int], ...]) -> Copy:
    """Copy `i` of nested repeats, the innermost counted fastest."""
    found = []
    for which, times in reversed(repeats):
        found.append((which, i % times))
        i //= times
    return tuple(reversed(found))


def _edges(places: dict[int, tuple[GraphBox, Copy]], nodes: list[Node], starts: dict[int, GraphBox], once: bool) -> list[Edge]:
    """Edges between boxes. Where repeats are folded (`once`), edges between copies are left out, and equal edges are one."""
    edges: list[Edge] = []
    seen: dict[tuple[int, int], Edge] = {}
    for node in nodes:
        head, head_copy = places[id(node)]
        for value in node.inputs:
            tail, tail_copy = (starts[id(value)], ()) if id(value) in starts else places[id(value.node)]
            if tail is head or _other_copy(dict(tail_copy), head_copy):
                continue
            edge = seen.get((id(tail), id(head))) if once else None
            if edge is None:
                edge = seen[id(tail), id(head)] = Edge(tail, head, [], value.node)
                edges.append(edge)
            if value.shape not in edge.shapes:
                edge.shapes.append(value.shape)
    return edges


def _other_copy(tail: dict[int, int], head: Copy) -> bool:
    return any(tail.get(which, copy) != copy for which, copy in head)
