"""Compares published figures of a network with those of its spec."""

from __future__ import annotations

from dataclasses import dataclass

from archc.analysis.cost.lecture import is_volume
from archc.analysis.cost.report import Layer, Report, analyze, totals
from archc.elaborate.compiler import variant
from archc.language.citation import COUNTED, PRINTED, VALUE_BYTES, Claim, in_bytes, leading
from archc.language.spec import Spec
from archc.text.diagnostics import Diagnostic

EXACT, ROUNDS, CUT, DIFFERS, QUOTED = "exact", "rounds", "cut off", "differs", "quoted"


@dataclass(slots=True)
class Comparison:
    """One printed figure. `ours` is None for what no analysis can tell (accuracies), and bytes where bytes were printed.

    verdict: `exact`; `rounds` where ours rounds to the printed digits; `cut off` where its further digits were dropped;
        `differs`; `quoted` where there is nothing to compare
    """

    claim: Claim
    metric: str
    printed: int | float | str
    ours: int | None
    verdict: str

    @property
    def off(self) -> float:
        """By how much the printed figure exceeds ours, as a part of ours."""
        return leading(self.printed)[0] / self.ours - 1 if self.ours else 0.0


def compare(spec: Spec, own: Report | None = None) -> tuple[list[Comparison], list[Diagnostic]]:
    """All figures of a spec's `published`, and what is wrong with the claims themselves (a part or parameter that is not there).

    `own` is the analysis of the network as the spec has it, where that is known.
    """
    rows: list[Comparison] = []
    wrong: list[Diagnostic] = []
    reports: dict[str, Report] = {} if own is None else {"": own}
    for claim in spec.published:
        report = _report(spec, claim, reports, wrong)
        if report is None:
            continue
        layers = _layers(report, claim, wrong)
        for metric, printed in claim.figures.items():
            if metric not in COUNTED and metric not in PRINTED:
                rows.append(Comparison(claim, metric, printed, None, QUOTED))
                continue
            ours = _figure(metric, report, layers, of_network=not (claim.of or claim.only))
            if in_bytes(printed):
                ours *= VALUE_BYTES
            rows.append(Comparison(claim, metric, printed, ours, _verdict(printed, ours)))
    return rows, wrong


def _figure(metric: str, report: Report, layers: list[Layer], of_network: bool) -> int:
    """A figure of some layers; the network's input is a volume where they are all of them."""
    if metric == "dense":
        return sum(layer.dense or 0 for layer in layers)
    if metric == "volumes":
        inputs = report.graph.inputs.values() if of_network else ()
        return sum(value.shape.values for value in inputs) + sum(layer.values for layer in layers if is_volume(layer))
    return totals(layers)[metric].low


def _report(spec: Spec, claim: Claim, known: dict[str, Report], wrong: list[Diagnostic]) -> Report | None:
    """The analysis of the network as the claim has it; the same settings are analyzed once."""
    key = "; ".join(f"{name}={tree.source.text[tree.start : tree.end]}" for name, tree in claim.set.items())
    if key not in known:
        model = variant(spec, claim.set)
        if model.graph is None:
            wrong.extend(model.diagnostics)
            return None
        known[key] = analyze(model.graph.deployed())
    return known[key]


def _layers(report: Report, claim: Claim, wrong: list[Diagnostic]) -> list[Layer]:
    """The layers that a claim is about."""
    chosen = report.layers
    if claim.of:
        for part in claim.of:
            if not any(_in(layer, part) for layer in chosen):
                wrong.append(Diagnostic("A304", f'{report.name} has no layer or part "{part}"', claim.span, None, ()))
        chosen = [layer for layer in chosen if any(_in(layer, part) for part in claim.of)]
    if claim.only:
        chosen = [layer for layer in chosen if layer.kind == claim.only]
    return chosen


def _in(layer: Layer, part: str) -> bool:
    return layer.name == part or layer.name.startswith(part + ".")


def _verdict(printed: int | float | str, ours: int) -> str:
    value, half = leading(printed)
    if value == ours:
        return EXACT
    if abs(value - ours) <= half:
        return ROUNDS
    return CUT if value < ours < value + 2 * half else DIFFERS
