"""Dynamic programming over the layers in order: which atoms, one after the other, make the cheapest plan.

A state is a place between layers, with the storages there that are already kept and may be kept again; a label in it is a sum of kept
bytes and a cost. A label goes that another beats in both. Each atom is checked against the budget as it is put on: what is
kept up to it, and its own needs. So the labels at the end hold the cheapest sequence of atoms whose peak, in the model of `profile`,
is within the budget: no sequence is left out unless a place has more labels than it may, which `exact` tells.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from archc.analysis.recompute.planner.atoms import Atom, Priced
from archc.analysis.recompute.planner.macs import RegionTree

WORK = 1_200_000  # atoms put on labels in one search
FEW = 40  # labels at a place, for a first answer that bounds the cost

_Label = tuple[int, int, Any, Any]  # kept bytes, cost, the label before, the atom
_START: _Label = (0, 0, None, None)
_kept = itemgetter(0)


@dataclass(frozen=True, slots=True)
class FoundPlan:
    """Regions in order, what they cost or their peak, and whether nothing was left out."""

    trees: tuple[RegionTree, ...]
    cost: int
    exact: bool


class Search:
    """Searches over the same atoms, for several budgets."""

    def __init__(self, priced: Priced) -> None:
        self.priced = priced
        self.profile = profile = priced.profile
        self.count = len(priced.starting)
        self.waiting = [0] * (self.count + 1)  # by place, the storages that a later layer reads
        for storage, (made, last) in enumerate(zip(profile.made, profile.last, strict=True)):
            for place in range(made + 1, last + 1):
                self.waiting[place] |= 1 << storage
        self.ahead = [0] * self.count + [profile.loss]
        for place in reversed(range(self.count)):
            # a lower bound: a label that has not even this room left leads to no plan
            self.ahead[place] = min(self._ahead(atom) for atom in priced.starting[place])
        self.atoms = [[(atom, _bits(atom.keeps)) for atom in starting] for starting in priced.starting]
        work = WORK // 4 if priced.pieces.coarse else WORK
        self.most = max(FEW, work // sum(map(len, self.atoms)))

    def _ahead(self, atom: Atom) -> int:
        """The least that is needed above what is kept by then, from an atom on."""
        fresh = sum(self.profile.size[storage] for storage in atom.keeps if self.profile.made[storage] >= atom.start)
        return fresh + max(atom.need, self.ahead[atom.stop])

    def cheapest(self, budget: int) -> FoundPlan | None:
        """The plan with the least that runs again, of those whose peak is within a budget in the model."""
        if self.profile.floor > budget or self.ahead[0] > budget:
            return None
        # a quick answer bounds the cost, so that the thorough search can drop what is dearer
        first = _Run(self, budget, FEW, None).found()
        if first is not None and first.exact:
            return first
        return _Run(self, budget, self.most, first.cost if first is not None else None).found() or first

    def smallest(self) -> FoundPlan:
        """The plan with the smallest peak in the model; its cost is that peak."""
        found = _Run(self, None, self.most, None).found()
        assert found is not None, "without a budget there is always a plan"
        return found


class _Run:
    """One search. Without a budget, the cost of a label is the peak so far. `bound`: what costs more is dropped."""

    def __init__(self, search: Search, budget: int | None, most: int, bound: int | None) -> None:
        self.search, self.budget, self.most, self.bound = search, budget, most, bound
        self.exact = search.priced.pieces.complete
        self.fronts: list[dict[int, list[_Label]]] = [{} for _ in range(search.count + 1)]
        self.fronts[0][0] = [_START]

    def found(self) -> FoundPlan | None:
        for place in range(self.search.count):
            self.exact &= _thin(self.fronts[place], self.most)
            for mask, labels in self.fronts[place].items():
                self._extend(place, mask, labels)
            self.fronts[place] = {}
        return self._end([label for labels in self.fronts[-1].values() for label in labels])

    def _extend(self, place: int, mask: int, labels: list[_Label]) -> None:
        """Puts every atom that starts at a place on every label of a state."""
        size, search = self.search.profile.size, self.search
        # in a state, cost falls as kept bytes grow: both limits are places in the list, found by bisection
        costs = [-label[1] for label in labels]
        for atom, bits in search.atoms[place]:
            # a storage that an atom before keeps as well takes its bytes once
            added = sum(size[storage] for storage in atom.keeps if not mask >> storage & 1)
            above, stop = added + atom.need, atom.stop
            first, last = 0, len(labels)
            if self.budget is not None:
                last = bisect_right(labels, self.budget - max(above, added + search.ahead[stop]), key=_kept)
                if self.bound is not None:  # the more is kept, the less it costs
                    first = _first(costs, self.bound - atom.cost)
            if first >= last:
                continue
            # what no later layer reads cannot be kept again: states that differ in it alone are one
            target = self.fronts[stop].setdefault((mask | bits) & search.waiting[stop], [])
            if self.budget is None:
                target += [(reached[0] + added, max(reached[1], reached[0] + above), reached, atom) for reached in labels]
            else:
                cost = atom.cost
                target += [(reached[0] + added, reached[1] + cost, reached, atom) for reached in labels[first:last]]

    def _end(self, labels: list[_Label]) -> FoundPlan | None:
        loss, floor = self.search.profile.loss, self.search.profile.floor
        if self.budget is None:
            labels = [(kept, max(cost, kept + loss, floor), before, atom) for kept, cost, before, atom in labels]
        else:
            labels = [label for label in labels if label[0] + loss <= self.budget]
        if not labels:
            return None
        best = min(labels, key=lambda label: (label[1], label[0]))
        trees, at = [], best
        while at[2] is not None:
            if at[3].tree is not None:
                trees.append(at[3].tree)
            at = at[2]
        return FoundPlan(tuple(reversed(trees)), best[1], self.exact)


def _first(falling: list[int], most: int) -> int:
    """The first place of a falling list, given with its signs changed, whose number is at most so much."""
    low, high = 0, len(falling)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if -falling[middle] <= most else (middle + 1, high)
    return low


def _thin(states: dict[int, list[_Label]], most: int) -> bool:
    """Drops what is beaten; where too much is left, the dearer of neighbours too. Whether that was not needed."""
    for mask, labels in states.items():
        labels.sort(key=_kept)
        kept: list[_Label] = []
        for label in labels:
            if not kept or label[1] < kept[-1][1]:
                if kept and kept[-1][0] == label[0]:
                    kept.pop()
                kept.append(label)
        states[mask] = kept
    if sum(map(len, states.values())) <= most:
        return True
    share = max(2, most // len(states))
    for mask, labels in states.items():
        states[mask] = _spread(labels, share)
    return False


def _spread(labels: list[_Label], count: int) -> list[_Label]:
    """So many of the labels, the ends among them, evenly by their kept bytes; of neighbours the cheaper."""
    if len(labels) <= count:
        return labels
    low, high = labels[0][0], labels[-1][0]
    step = max(1, (high - low) // (count - 1))
    found = {(label[0] - low) // step: label for label in labels[1:]}  # later ones are cheaper
    return [labels[0], *found.values()]


def _bits(keeps: tuple[int, ...]) -> int:
    return sum(1 << storage for storage in keeps)
