"""Checks of a plan: what makes it impossible or wrong for a network."""

from __future__ import annotations

from archc.analysis.recompute.plan import CheckpointPlan, NetworkPlaces, PlanMistake, Region
from archc.graph import Graph
from archc.ops.facts import OWN

NORMS = ("batchnorm", "frozen_batchnorm")  # whose buffers a second run leaves as they are


def mistakes(graph: Graph, plan: CheckpointPlan) -> list[PlanMistake]:
    """What makes a plan impossible or wrong for a network, in the order of its regions."""
    places = NetworkPlaces(graph)
    found: list[PlanMistake] = []
    known: list[tuple[range, int]] = []
    for at, region in enumerate(plan.regions):
        span = places.span(region)
        wrong = span if isinstance(span, PlanMistake) else wrong_with(places, region, span)
        if wrong is None and isinstance(span, range):
            wrong = next(filter(None, (_crossing(span, other, plan.regions[i]) for other, i in known)), None)
            known.append((span, at))
        if wrong is not None:
            found.append(PlanMistake(at, wrong.message, wrong.hint))
    return found


def spans(graph: Graph, plan: CheckpointPlan) -> list[range]:
    """The places of the layers of each region, those around others first. The plan has to be a legal one."""
    places = NetworkPlaces(graph)
    found = [span for span in map(places.span, plan.regions) if isinstance(span, range)]
    return sorted(found, key=lambda span: (span.start, -span.stop))


def _crossing(a: range, b: range, other: Region) -> PlanMistake | None:
    if a == b:
        return PlanMistake(0, f"the same layers as {other}", "remove one of them")
    apart = a.stop <= b.start or b.stop <= a.start
    nested = (a.start <= b.start and b.stop <= a.stop) or (b.start <= a.start and a.stop <= b.stop)
    return (
        None if apart or nested else PlanMistake(0, f"overlaps {other}", "let one end before the other begins, or put one inside the other")
    )


def wrong_with(places: NetworkPlaces, region: Region, span: range) -> PlanMistake | None:
    found = _in_place(places, span) or _of_copies(places, span) or _stateful(places, span) or _half_trained(places, region, span)
    return found or (_escaping(places, span) if region.last else None)


def _in_place(places: NetworkPlaces, span: range) -> PlanMistake | None:
    """The inputs have to be as they were when the layers run again."""
    for value in places.taken(span):
        at = places.written.get(places.roots[value], -1)
        if at >= span.start:
            name = places.graph.nodes[at].name
            return PlanMistake(
                0, f"{name} overwrites the input of the region", f"begin before the layer that {name} overwrites, or leave out `inplace`"
            )
    return None


def _of_copies(places: NetworkPlaces, span: range) -> PlanMistake | None:
    """A part that is applied again runs as the first does, so regions belong to the first, and end where it does."""
    for copy, original in places.copies.items():
        mine, theirs = places.parts[copy], places.parts.get(original)
        within = mine.start <= span.start and span.stop <= mine.stop
        if (within and mine != span) or _partly(span, mine):
            return PlanMistake(0, f"{copy} applies {original} again", f"name layers of {original} instead: that covers both")
        if theirs is not None and _partly(span, theirs):
            return PlanMistake(0, f"crosses the edge of {original}, which is applied again as {copy}", f"begin and end in {original}")
    return None


def _half_trained(places: NetworkPlaces, region: Region, span: range) -> PlanMistake | None:
    """Layers that are there in training alone run under a condition, which a region has to be within or around."""
    nodes = places.graph.nodes[span.start : span.stop]
    alone = [node for node in nodes if node.train_only]
    if not alone or len(alone) == len(nodes):
        return None
    waited = any(value.node is not None and value.node.train_only for value in places.taken(span))
    if region.last or waited:
        return PlanMistake(0, f"{alone[0].name} exists only in training", "put only such layers in a region, or none of them")
    return None


def _partly(a: range, b: range) -> bool:
    common = min(a.stop, b.stop) - max(a.start, b.start)
    return 0 < common < min(len(a), len(b))


def _stateful(places: NetworkPlaces, span: range) -> PlanMistake | None:
    for node in places.graph.nodes[span.start : span.stop]:
        changes = node.kind not in NORMS and node.facts.storage != OWN
        if changes and any(weight.role == "buffer" for weight in node.facts.owned):
            return PlanMistake(0, f"{node.name} has state, which would change twice", "leave it out")
    return None


def _escaping(places: NetworkPlaces, span: range) -> PlanMistake | None:
    """What is used outside is kept there: only the last layer of a range may give such a value."""
    for node in places.graph.nodes[span.start : span.stop - 1]:
        if any(places.last.get(value, -1) >= span.stop for value in node.outputs):
            return PlanMistake(0, f"the value of {node.name} is used after the region", f"end with {node.name}, or begin after it")
    return None
