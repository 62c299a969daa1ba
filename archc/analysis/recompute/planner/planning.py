"""The plan of checkpointing that makes a training step fit a memory, at the least that runs again.

What is searched: sequences of layers and regions, where a region is any run of segments between cuts, any legal run of layers within
one segment, any block, or a normalization up to its convolution, each plain or with what `atoms` nests in it (normalizations, blocks,
two halves). Of these, dynamic programming finds the plan with the fewest multiply-accumulates that run again, then the fewest layers,
then the fewest regions, whose peak is within the budget by the model of `profile`: what is kept up to a region adds up, and each
region needs beside it what it needs alone. On a chain, where every region is a run of segments, the model is the simulation, so that
no plan of regions beside each other runs less again. This holds where `exact` says so: no sequence had to be left out to bound the
work, and the budget was the whole memory. Else the search over fewer labels comes close, without a bound.

Of a network of thousands of layers, only regions between some of its cuts are searched (`Pieces.coarse`), and what is found is said
to be so.

The simulated step decides: the budget of the model is tightened until the simulation fits, as for fragments of CUDA's allocator, and
widened where it has room. Nothing is claimed of regions nested in other ways, or of regions that cross in and out of branches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from archc.analysis.memory.fit import MOST_PLANNED, length
from archc.analysis.memory.timeline import Options, Timeline, training
from archc.analysis.memory.timeline.bounds import unstated
from archc.analysis.recompute import CheckpointPlan, Region
from archc.analysis.recompute.planner.atoms import MACS, Priced
from archc.analysis.recompute.planner.macs import Recomputed, RegionTree, step_macs
from archc.analysis.recompute.planner.pieces import Pieces
from archc.analysis.recompute.planner.profile import Profile
from archc.analysis.recompute.planner.search import FoundPlan, Search
from archc.errors import ArgumentError
from archc.graph import Graph
from archc.text.diagnostics import printable
from archc.text.quantity import counted

TRIES = 3  # searches with other budgets
TRIALS = 6  # regions that are left out, to see whether it still fits
NEAR = 100  # a plan that leaves less than this part of the memory is near enough

Simulate = Callable[[Graph, Options, CheckpointPlan], Timeline]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A region of a plan: what is kept of it, how many of its layers run again, what that saves, and its multiply-accumulates.

    Bytes are of a batch, from the forward pass until backward, those that several regions keep at the first; multiply-accumulates are
    for one image. Regions in it are counted in.
    """

    region: Region
    layers: int
    kept: int
    recomputed: Recomputed
    saved: int


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Planned:
    """A checkpointing plan, the step without it and with it, and what it recomputes.

    fits: whether the step with the plan fits; if not, the plan is the one with the smallest peak found
    exact: whether no plan of the kind searched fits with less recomputing
    coarse: whether the network is so long that only regions between some of its cuts were searched, with few budgets
    least: the plan with the smallest peak found; the plan itself if nothing had to be planned
    """

    memory: int
    plan: CheckpointPlan
    before: Timeline
    after: Timeline
    fits: bool
    recomputed: Recomputed
    rows: tuple[PlanRow, ...]
    exact: bool
    least: CheckpointPlan

    def __repr__(self) -> str:
        fits = "fits" if self.fits else "does not fit"
        regions = f"{counted(len(self.plan.regions), 'region')}"
        return f"<Planned {printable(self.after.graph.name)}: {regions}, peak {self.after.peak_bytes:,} bytes, {fits}>"

    def _repr_html_(self) -> str:
        from archc.text.notebook import to_html
        from archc.text.table import Column, Table

        table = Table([Column("runs again"), Column("layers", "count"), Column("kept", "bytes"), Column("saved", "bytes")])
        table.rows = [[str(row.region), row.layers, row.kept, row.saved] for row in self.rows]
        peaks = f"peak {self.after.amount_text(self.after.peak_bytes)}, and {self.before.amount_text(self.before.peak_bytes)} without"
        return to_html(f"{self.after.graph.name}: {peaks}", table, ["" if self.fits else "it does not fit"])

    coarse: bool = False

    @property
    def extra(self) -> float:
        """What runs again, as a part of the multiply-accumulates of a step: of forward and twice as many in backward."""
        total = step_macs(self.before.graph)
        return self.recomputed.macs / total if total else 0.0

    def to_dict(self) -> dict[str, object]:
        rows = [
            {
                "region": [row.region.first, row.region.last] if row.region.last else row.region.first,
                "layers": row.layers,
                "kept": row.kept,
                "recomputed": row.recomputed.layers,
                "saved": row.saved,
                "extra_macs": row.recomputed.macs,
            }
            for row in self.rows
        ]
        return {
            "fits": self.fits,
            "bound": self.after.bound.status,
            "reasons": list(self.after.bound.reasons),
            "needed_before": self.before.needed_bytes,
            "needed": self.after.needed_bytes,
            "peak_before": self.before.peak_bytes,
            "peak": self.after.peak_bytes,
            "extra_macs": self.recomputed.macs,
            "extra": self.extra,
            "recomputed": self.recomputed.layers,
            "exact": self.exact,
            "coarse": self.coarse,
            "regions": rows,
        }


def plan(graph: Graph, options: Options, memory: int, simulate: Simulate = training) -> Planned:
    """The plan with the least that runs again with which a training step fits; with the smallest peak if none does.

    Raises ValueError where a layer does not say what it keeps: nothing is known of what a plan would save; and for networks too long.
    """
    if kinds := unstated(graph):
        raise ArgumentError(f"no checkpointing plan: {', '.join(kinds)} does not state what backward keeps (`keeps`)")
    if length(graph) > MOST_PLANNED:
        raise ArgumentError(f"no checkpointing plan: the network has {len(graph.nodes):,} layers, too many to plan for")
    before = simulate(graph, options, CheckpointPlan(()))
    if before.fits(memory):
        return Planned(
            memory=memory,
            plan=CheckpointPlan(()),
            before=before,
            after=before,
            fits=True,
            recomputed=Recomputed(0, 0),
            rows=(),
            exact=True,
            least=CheckpointPlan(()),
        )
    return _Planner(before, memory, simulate).planned()


class _Planner:
    def __init__(self, before: Timeline, memory: int, simulate: Simulate) -> None:
        self.before, self.memory, self.simulate = before, memory, simulate
        self.pieces = Pieces(before.graph)
        self.profile = Profile(before)
        self.search = Search(Priced(self.pieces, self.profile))

    def planned(self) -> Planned:
        found = self._fitting()
        if found is not None:
            trees = found.trees if found.exact or self.pieces.coarse else self._spared(found.trees)
            plan, after = self._run(trees)
            small, least = self._run(self.search.smallest().trees)
            small = small if least.needed_bytes < after.needed_bytes else plan
            return self._report(plan, after, True, trees, found.exact, small)
        plan, after, trees = self.smallest()
        return self._report(plan, after, after.fits(self.memory), trees, False, plan)

    def smallest(self) -> tuple[CheckpointPlan, Timeline, tuple[RegionTree, ...]]:
        """The smallest peak of the model, at the least that runs again for that; by the simulation, which of both is smaller."""
        least = self.search.smallest()
        cheap = self.search.cheapest(least.cost)
        found = [(*self._run(sequence.trees), sequence.trees) for sequence in (cheap, least) if sequence is not None]
        return min(found, key=lambda candidate: candidate[1].needed_bytes)

    def _run(self, trees: Iterable[RegionTree]) -> tuple[CheckpointPlan, Timeline]:
        plan = self._regions(trees)
        return plan, self.simulate(self.before.graph, self.before.options, plan)

    def _regions(self, trees: Iterable[RegionTree]) -> CheckpointPlan:
        return CheckpointPlan(tuple(self.pieces.region(inner.span) for tree in trees for inner in tree.walk()))

    def _fitting(self) -> FoundPlan | None:
        """The cheapest plan that fits by simulation, over some budgets of the model between one that is enough and one that is not."""
        low = self.search.ahead[0]
        top = high = self.memory - self.before.workspace
        beyond = self.before.needed_bytes - self.before.peak_bytes
        budget = min(high, max(low, self.memory - beyond * self.memory // self.before.needed_bytes))
        best: FoundPlan | None = None
        for tried in range(2 * TRIES):
            found = self.search.cheapest(budget)
            if found is None:
                low = max(low, budget)
                budget = (low + high) // 2
                continue
            after = self._run(found.trees)[1]
            spare = self.memory - after.needed_bytes
            if after.fits(self.memory):
                low = budget
                if best is None or found.cost < best.cost:
                    best = replace(found, exact=found.exact and budget == top)
                if not _macs(found) or spare * NEAR < self.memory:
                    break
            else:
                high = budget
                spare = min(2 * spare, -self.memory // NEAR)  # fragments do not shrink as peaks do
            budget = budget + spare if low < budget + spare < high else (low + high) // 2
            enough = 1 if self.pieces.coarse else TRIES
            if (high - low) * NEAR < self.memory or (best is not None and tried >= enough - 1):
                break
        return best

    def _spared(self, trees: tuple[RegionTree, ...]) -> tuple[RegionTree, ...]:
        """Without regions that turn out not to be needed, the dearest first."""
        costs = {tree: self._recomputed(tree).macs for tree in trees}
        for other in sorted((tree for tree in trees if costs[tree]), key=lambda tree: -costs[tree])[:TRIALS]:
            fewer = tuple(tree for tree in trees if tree is not other)
            if self._run(fewer)[1].fits(self.memory):
                trees = fewer
        return trees

    def _recomputed(self, tree: RegionTree) -> Recomputed:
        found = [self.pieces.reruns.of(inner) for inner in tree.walk()]
        return Recomputed(sum(rerun.layers for rerun in found), sum(rerun.macs for rerun in found))

    def _report(
        self, plan: CheckpointPlan, after: Timeline, fits: bool, trees: tuple[RegionTree, ...], exact: bool, least: CheckpointPlan
    ) -> Planned:
        counted: set[int] = set()
        rows = tuple(self._row(tree, trees, counted) for tree in trees)
        recomputed = Recomputed(sum(row.recomputed.layers for row in rows), sum(row.recomputed.macs for row in rows))
        return Planned(
            memory=self.memory,
            plan=plan,
            before=self.before,
            after=after,
            fits=fits,
            recomputed=recomputed,
            rows=rows,
            exact=exact,
            least=least,
            coarse=self.pieces.coarse,
        )

    def _row(self, tree: RegionTree, trees: tuple[RegionTree, ...], counted: set[int]) -> PlanRow:
        inputs = self._inputs(tree).keys() - counted
        counted |= inputs
        saved = self._total([other for other in trees if other is not tree]) - self._total(trees)
        kept = sum(self.profile.size[value] for value in inputs)
        return PlanRow(self.pieces.region(tree.span), len(tree.span), kept, self._recomputed(tree), saved)

    def _inputs(self, tree: RegionTree) -> dict[int, None]:
        reads = (storage for at in tree.span for storage in self.profile.reads[at])
        return dict.fromkeys(storage for storage in reads if self.profile.made[storage] < tree.span.start)

    def _total(self, trees: Iterable[RegionTree]) -> int:
        """All that is kept between the forward pass and backward."""
        inside = {at for tree in trees for at in tree.span}
        kept = {storage for tree in trees for storage in self._inputs(tree)}
        kept.update(storage for at, keeps in enumerate(self.profile.keeps) if at not in inside for storage in keeps)
        return sum(self.profile.size[storage] for storage in kept)


def _macs(found: FoundPlan) -> int:
    return found.cost // MACS
