"""Layers that leave open sizes no other value: weights whose shapes follow the input, and equations that one size alone fulfils."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archc.graph import Graph, Node
from archc.symbolic.conditions import Conditions, Equation
from archc.symbolic.forms import Forms
from archc.symbolic.polynomial import Polynomial
from archc.symbolic.recorded import Recorded
from archc.symbolic.writing import text
from archc.text.diagnostics import Diagnostics
from archc.text.source import Span

MOST_TRIED = 4096  # sizes on either side of one, whether they come to the same
MOST_TOLD = 3
FREE = "; `global_avgpool` or `adaptive_avgpool` before it leaves the size open"


def find_fixed(graph: Graph, forms: Forms, conditions: Conditions, witness: Mapping[str, int]) -> Diagnostics:
    """A mistake for each of the first layers that fix a size."""
    found = Diagnostics()
    for node, form in _grown(graph, forms):
        if node.written is not None and len(found) < MOST_TOLD:
            what = f"{form.value(witness):,} features" if node.kind == "linear" else f"weights for {form.value(witness):,}"
            message = f"{node.name} fixes the size of the input: it needs {what}, and gets {text(form)}"
            hint = f"{_only(form, witness)}{FREE if node.kind == 'linear' else ''}"
            found.error("A504", node.written.kind, message, hint, node.written.uses)
    for equation in conditions.fixing:
        if len(found) < MOST_TOLD and equation.place is not None:
            _report(found, equation, witness)
    if conditions.fixing and not found.failed:
        _report_elsewhere(found, graph, conditions.fixing[0], witness)
    return found


def _grown(graph: Graph, forms: Forms) -> Iterator[tuple[Node, Polynomial]]:
    """The layers whose learned weights have an axis that depends on an open size, and the first such axis."""
    for node in graph.nodes:
        owned = [weight for weight in node.facts.owned if weight.role != "buffer"] if node.shared is None else []
        sizes = [size for weight in owned for size in weight.shape if isinstance(size, Recorded)]
        grown = [form for size in sizes if (form := forms.of(size.at)) is not None and form.open_terms]
        if grown:
            yield node, grown[0]


def _report(found: Diagnostics, equation: Equation, witness: Mapping[str, int]) -> None:
    layer, _, span = equation.place
    message = f"{layer} fixes the size of the input: {text(equation.left)} must be {text(equation.right)}"
    found.error("A504", span, message, _only(equation.formula, witness))


def _report_elsewhere(found: Diagnostics, graph: Graph, equation: Equation, witness: Mapping[str, int]) -> None:
    """An equation of an expression, of which the layers before it are all that is known."""
    node = next((node for node in graph.nodes if node.written is not None), None)
    if node is None or node.written is None:
        return
    message = f"an expression fixes the size of the input: {text(equation.left)} must be {text(equation.right)}"
    found.error("A504", Span(node.written.kind.source, 0, 1), message, _only(equation.formula, witness))


def _only(formula: Polynomial, witness: Mapping[str, int]) -> str:
    """The sizes, one at a time, that come to the same: `H can only be 32 to 35`."""
    wanted = formula.value(witness)
    parts = []
    for name in sorted(formula.symbols):
        least = most = witness[name]
        while least > 1 and witness[name] - least < MOST_TRIED and formula.value({**witness, name: least - 1}) == wanted:
            least -= 1
        while most - witness[name] < MOST_TRIED and formula.value({**witness, name: most + 1}) == wanted:
            most += 1
        parts.append(f"{name} can only be {least}" + (f" to {most}" if most > least else ""))
    return ", ".join(parts)
