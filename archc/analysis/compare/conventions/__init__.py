"""What other tools print for a network, and the lines that lie between their figure and archc's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archc.analysis.compare.conventions.form import HookedLayer, forms
from archc.analysis.compare.conventions.rules import Parts
from archc.analysis.compare.conventions.tools import LIBRARY, Rule
from archc.analysis.cost.count import count
from archc.errors import ArgumentError
from archc.graph import Graph
from archc.text.suggest import did_you_mean

TOOLS = tuple(LIBRARY)


@dataclass(frozen=True, slots=True)
class ConventionLine:
    """A kind of layer that the tool counts otherwise, and by how much."""

    what: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """A tool's figures for one image.

    quantity: the tool's own words for `total`
    macs: archc's multiply-accumulates
    counts: what `total` is to be compared with: `macs`, or `parameters` for a tool that prints no operations
    lines: from archc's figure to the tool's; largest first, negative where the tool leaves something out
    parameters, parameter_lines: the same for parameters
    """

    tool: str
    version: str
    quantity: str
    total: int
    macs: int
    counts: str
    lines: tuple[ConventionLine, ...]
    parameters: int
    parameter_lines: tuple[ConventionLine, ...]
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        assert self.ours + sum(line.amount for line in self.lines) == self.total

    @property
    def own_parameters(self) -> int:
        """archc's parameters."""
        return self.parameters - sum(line.amount for line in self.parameter_lines)

    @property
    def ours(self) -> int:
        """archc's figure for what `total` counts."""
        return self.macs if self.counts == "macs" else self.own_parameters


def as_tool(graph: Graph, tool: str) -> Convention:
    """What a tool of TOOLS prints for a network as it is deployed. Raises ValueError for another name."""
    if tool not in LIBRARY:
        raise ArgumentError(f"no tool is called {tool}; {did_you_mean(tool, TOOLS) or 'there are ' + ', '.join(TOOLS)}")
    rules = LIBRARY[tool]
    layers = forms(graph)
    macs = sum(form.macs for form in layers)
    lines, parameter_lines = _lines(layers, rules.rule), _lines(layers, rules.parameters)
    parameters = sum(form.owned for form in layers) + sum(line.amount for line in parameter_lines)
    if rules.counts == "parameters":
        lines, total = parameter_lines, parameters
    else:
        total = macs + sum(line.amount for line in lines)
    notes = (*rules.notes(layers), *_doubts(layers))
    return Convention(
        tool=tool,
        version=rules.version,
        quantity=rules.quantity,
        total=total,
        macs=macs,
        counts=rules.counts,
        lines=lines,
        parameters=parameters,
        parameter_lines=parameter_lines,
        notes=notes,
    )


def _lines(layers: list[HookedLayer], rule: Rule) -> tuple[ConventionLine, ...]:
    """One line for each kind of difference."""
    sums: dict[str, int] = {}
    for form in layers:
        for what, amount in _parts(form, rule):
            sums[what] = sums.get(what, 0) + int(amount)
    ordered = sorted(sums.items(), key=lambda item: -abs(item[1]))
    return tuple(ConventionLine(what, amount) for what, amount in ordered if amount)


def _parts(form: HookedLayer, rule: Rule) -> Parts:
    if form.known:
        yield from rule(form)


def _doubts(layers: list[HookedLayer]) -> Iterable[str]:
    """What cannot be known of operators that are not PyTorch's own."""
    strange = sorted({form.kind for form in layers if not form.known})
    if strange:
        yield f"what the tool makes of {', '.join(strange)} is not known: archc's MACs stand for it"
    open_ended = sorted({form.kind for form in layers if not count(form.node.facts.macs).exact})
    if open_ended:
        yield f"the MACs of {', '.join(open_ended)} are not exactly known: their lower bound stands for them"
