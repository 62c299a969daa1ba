"""The parts that plans are put together from: single layers, and regions with what lies in them, each with its cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from archc.analysis.recompute.planner.macs import RegionTree
from archc.analysis.recompute.planner.pieces import Pieces
from archc.analysis.recompute.planner.profile import Profile

REGION, LAYER = 1, 2**12  # between plans of equal MACs, layers that run again decide, then regions
MACS = 2**32


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Atom:
    """A layer that is run once (no `tree`), or a region.

    keeps: the storages that it keeps until its backward; need: what is there beside what it and those before it keep, at most
    cost: multiply-accumulates and layers that run again, and regions, as one number; names: what its first run needs beside what is kept
    """

    start: int
    stop: int
    tree: RegionTree | None
    keeps: tuple[int, ...]
    need: int
    cost: int
    names: int


class Priced:
    """Atoms at one way of training, by the place where they start."""

    def __init__(self, pieces: Pieces, profile: Profile) -> None:
        self.pieces, self.profile = pieces, profile
        self.known: dict[tuple[range, bool], Atom] = {}
        self.layers = [self._layer(at) for at in range(len(pieces.graph.nodes))]
        found: dict[range, list[Atom]] = {}
        for start, stops in pieces.stops.items():
            for atom in self._from(start, stops):
                found.setdefault(range(atom.start, atom.stop), []).append(atom)
        self.starting = [[layer] for layer in self.layers]
        for span, atoms in sorted(found.items(), key=lambda pair: len(pair[0])):
            atoms += self._halves(span, found)
            self.starting[span.start] += _best(atoms)

    def _layer(self, at: int) -> Atom:
        profile = self.profile
        need = max(profile.backward[at], profile.forward[at] + profile.base)
        return Atom(start=at, stop=at + 1, tree=None, keeps=profile.keeps[at], need=need, cost=0, names=profile.forward[at])

    def _from(self, start: int, stops: set[int]) -> Iterator[Atom]:
        """The regions from a layer: plain, with the norms in them, with the blocks in them, with both."""
        pieces = self.pieces
        yield from self._grown(start, stops, {})
        norms = {span.start: self._atom_of(span) for span in pieces.norms.values() if span.start >= start}
        large = {span.start: span for span in pieces.largest(start)}
        if norms:
            yield from self._grown(start, stops, norms)
        if large:
            yield from self._grown(start, stops, {at: self._atom_of(span) for at, span in large.items()})
        if large and norms:
            yield from self._grown(start, stops, {**norms, **{at: self._atom_of(span, True) for at, span in large.items()}})

    def _atom_of(self, span: range, norms: bool = False) -> Atom:
        """A region that may lie in another."""
        key = (span, norms)
        if key not in self.known:
            inner = {norm.start: self._atom_of(norm) for norm in self.pieces.norms_in(span)} if norms else {}
            (self.known[key],) = self._grown(span.start, {span.stop}, inner)
        return self.known[key]

    def _grown(self, start: int, stops: set[int], inner: Mapping[int, Atom]) -> Iterator[Atom]:
        """The regions from a layer that end at some places, with inner ones wherever they fit."""
        walk, end = _RegionWalk(self, start), max(stops)
        at = start
        while at < end:
            child = inner.get(at)
            if child is None or child.stop > end:
                walk.put(self.layers[at])
                at += 1
            else:
                if any(at < stop < child.stop or (at == start and stop == child.stop) for stop in stops):
                    yield from self._partly(walk, at, child.stop, stops)
                walk.put(child)
                at = child.stop
            if at in stops and (child is None or child.start > start or at > child.stop) and (walk.inner or not inner):
                yield walk.atom(at)

    def _partly(self, walk: _RegionWalk, at: int, stop: int, stops: set[int]) -> Iterator[Atom]:
        """The regions that end within an inner one, or with it and are no other."""
        if not walk.inner:
            return
        fork = walk.copy()
        for place in range(at, stop - 1):
            fork.put(self.layers[place])
            if place + 1 in stops:
                yield fork.atom(place + 1)

    def _halves(self, span: range, found: Mapping[range, list[Atom]]) -> list[Atom]:
        """A region of two: as cheap, and as small, as can be."""
        middle = self.pieces.middle(span)
        halves = [found.get(range(span.start, middle)), found.get(range(middle, span.stop))] if middle else []
        first, second = halves or (None, None)
        if not first or not second:
            return []
        pairs = {(min(first, key=by), min(second, key=by)): None for by in (_cost, _need)}
        return [self._joined(pair, span.stop) for pair in pairs]

    def _joined(self, parts: tuple[Atom, ...], stop: int) -> Atom:
        walk = _RegionWalk(self, parts[0].start)
        for part in parts:
            walk.put(part)
        return walk.atom(stop)


def _cost(atom: Atom) -> int:
    return atom.cost


def _need(atom: Atom) -> int:
    return atom.need


class _RegionWalk:
    """A region as it grows, part by part.

    kept: what is kept in the second run; largest: the most in it so far; rerun: the most where it ends with the last part that keeps
        something
    backward: the most in backward, above what is kept before the region; names: the most in the first run
    """

    def __init__(self, priced: Priced, start: int) -> None:
        self.priced, self.profile, self.reruns, self.start = priced, priced.profile, priced.pieces.reruns, start
        self.kept = self.largest = self.rerun = self.backward = self.names = self.cost = self.inner_cost = 0
        self.seen: set[int] = set()
        self.inputs: dict[int, None] = {}
        self.inner: list[RegionTree] = []

    def copy(self) -> _RegionWalk:
        made = _RegionWalk(self.priced, self.start)
        for name in ("kept", "largest", "rerun", "backward", "names", "cost", "inner_cost"):
            setattr(made, name, getattr(self, name))
        made.seen, made.inputs, made.inner = {*self.seen}, dict(self.inputs), [*self.inner]
        return made

    def put(self, part: Atom) -> None:
        """Lets the region go on to the end of a part."""
        reads = part.keeps if part.tree is not None else self.profile.reads[part.start]
        size, made, start = self.profile.size, self.profile.made, self.start
        for storage in part.keeps:
            if storage not in self.seen and made[storage] >= start:
                self.seen.add(storage)
                self.kept += size[storage]
        passing = part.names
        for storage in reads:
            if made[storage] < start:
                self.inputs[storage] = None
            else:
                passing += size[storage]
        self._second(part)
        self.backward = max(self.backward, self.kept + part.need)
        self.names = max(self.names, passing)

    def _second(self, part: Atom) -> None:
        """The second run, which ends where the last part has kept what it keeps."""
        at, reruns = part.start, self.reruns
        largest = max(self.largest, self.kept + part.names)
        if part.tree is not None or reruns.keeps[at]:
            ahead = part.tree is not None or reruns.ahead(at)
            self.rerun = max(self.largest, self.kept) if ahead else largest
            macs = reruns.before[at] - reruns.before[self.start] + (0 if part.tree is not None else reruns.last[at])
            self.cost = macs * MACS + (at - self.start + (not ahead)) * LAYER
        if part.tree is not None:
            self.inner.append(part.tree)
            self.inner_cost += part.cost
        self.largest = largest

    def atom(self, stop: int) -> Atom:
        need = max(self.backward, self.rerun + self.profile.grads[stop], self.names + self.profile.base)
        tree = RegionTree(range(self.start, stop), tuple(self.inner))
        return Atom(
            start=self.start,
            stop=stop,
            tree=tree,
            keeps=tuple(self.inputs),
            need=need,
            cost=self.cost + self.inner_cost + REGION,
            names=self.names,
        )


def _best(atoms: Iterable[Atom]) -> list[Atom]:
    """Of ways to run the same layers again, those that no other beats in both cost and need."""
    found: list[Atom] = []
    for candidate in sorted(atoms, key=lambda atom: (atom.cost, atom.need)):
        if not found or candidate.need < found[-1].need:
            found.append(candidate)
    return found
