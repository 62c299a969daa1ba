"""The tools, by name: version, the tool's own words, and its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from archc.analysis.compare.conventions import rules
from archc.analysis.compare.conventions.form import Form
from archc.analysis.compare.conventions.papers import strides

Rule = Callable[[Form], rules.Parts]
Notes = Callable[[list[Form]], Iterable[str]]


class Tool(NamedTuple):
    """`counts` is what the tool's figure is to be compared with: archc's MACs or its parameters."""

    version: str
    quantity: str
    rule: Rule
    parameters: Rule = rules.nothing
    notes: Notes = lambda forms: ()
    counts: str = "macs"


def sum_of(rule: Rule, forms: Iterable[Form]) -> int:
    return sum(form.macs + sum(amount for _, amount in rule(form)) for form in forms)


def readable(number: int) -> str:
    """`4.13 G`."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if abs(number) >= size:
            return f"{number / size:.2f} {unit}"
    return str(number)


def _torchinfo(forms: list[Form]) -> Iterable[str]:
    if any(form.family == "Linear" and len(form.out) > 1 for form in forms):
        yield "1.8.0 counts a linear layer once, its main branch (since November 2024) for every token"
    if any(form.node.shared is not None for form in forms):
        yield "of layers used more than once, 1.8.0 may count parameters again, by how the modules are nested"


def _fvcore(forms: list[Form]) -> Iterable[str]:
    yield "fvcore writes flops for multiply-accumulates"
    if any(form.family == "BatchNorm" for form in forms):
        yield "in evaluation mode; in training mode a batchnorm counts 5 per value"


def _ptflops(forms: list[Form]) -> Iterable[str]:
    yield f"backend='pytorch', the default; backend='aten' prints {readable(sum_of(rules.ptflops_aten, forms))}"


def _aten(forms: list[Form]) -> Iterable[str]:
    yield f"backend='aten'; backend='pytorch', the default, prints {readable(sum_of(rules.ptflops, forms))}"


def _thop(forms: list[Form]) -> Iterable[str]:
    yield f"who doubles it writes {readable(2 * sum_of(rules.thop, forms))}FLOPs"


def _calflops(forms: list[Form]) -> Iterable[str]:
    yield f"beside it, `fwd FLOPs`: {readable(sum_of(rules.calflops_flops, forms))}, see calflops-flops"
    yield from _uneven(forms)


def _calflops_flops(forms: list[Form]) -> Iterable[str]:
    yield f"beside it, `fwd MACs`: {readable(sum_of(rules.calflops, forms))}"
    yield from _uneven(forms)


def _uneven(forms: list[Form]) -> Iterable[str]:
    if any(form.family == "Upsample" and isinstance(form.options.get("scale_factor"), tuple) for form in forms):
        yield "on an upsample by unequal factors, 0.3.2 stops with a TypeError"


def _torchvision(forms: list[Form]) -> Iterable[str]:
    yield "the `_ops` of a weight's metadata: multiply-accumulates / 1e9 to three decimals, called GFLOPS in its tables"


def _keras(form: Form) -> rules.Parts:
    if form.node.shared is None:
        moving = sum(int(weight.values) for weight in form.node.facts.owned if weight.role == "buffer" and weight.dtype == "same")
        yield f"{form.kind}: moving mean and variance, not trained", moving


def _keras_notes(forms: list[Form]) -> Iterable[str]:
    yield "summary() prints no operations"


def _papers(forms: list[Form]) -> Iterable[str]:
    yield "papers write FLOPs for multiply-accumulates, from ResNet on"
    yield from strides(forms)


LIBRARY = {
    "torchinfo": Tool("1.8.0", "Total mult-adds", rules.torchinfo, notes=_torchinfo),
    "fvcore": Tool("0.1.5", "#flops", rules.fvcore, notes=_fvcore),
    "ptflops": Tool("0.7.5", "Computational complexity", rules.ptflops, notes=_ptflops),
    "ptflops-aten": Tool("0.7.5", "Computational complexity", rules.ptflops_aten, notes=_aten),
    "thop": Tool("0.1.1", "macs", rules.thop, rules.thop_parameters, _thop),
    "calflops": Tool("0.3.2", "fwd MACs", rules.calflops, notes=_calflops),
    "calflops-flops": Tool("0.3.2", "fwd FLOPs", rules.calflops_flops, notes=_calflops_flops),
    "torchvision": Tool("0.15 and later", "GFLOPS", rules.nothing, notes=_torchvision),
    "keras": Tool("2 and 3", "Total params", rules.nothing, _keras, _keras_notes, "parameters"),
    "papers": Tool("", "FLOPs", rules.nothing, notes=_papers),
}
