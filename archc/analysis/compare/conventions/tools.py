"""The tools that are compared, by name: version, what they print, and their rules of counting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from archc.analysis.compare.conventions import rules
from archc.analysis.compare.conventions.form import HookedLayer
from archc.graph import Node
from archc.ops.shape import product

Rule = Callable[[HookedLayer], rules.Parts]
Notes = Callable[[list[HookedLayer]], Iterable[str]]


class Tool(NamedTuple):
    """`counts` is what the tool's figure is to be compared with: archc's MACs or its parameters."""

    version: str
    quantity: str
    rule: Rule
    parameters: Rule = rules.nothing
    notes: Notes = lambda forms: ()
    counts: str = "macs"


def sum_of(rule: Rule, forms: Iterable[HookedLayer]) -> int:
    return sum(form.macs + sum(amount for _, amount in rule(form)) for form in forms)


def readable(number: int) -> str:
    """`4.13 G`."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if abs(number) >= size:
            return f"{number / size:.2f} {unit}"
    return str(number)


def _torchinfo(forms: list[HookedLayer]) -> Iterable[str]:
    if any(form.family == "Linear" and len(form.out) > 1 for form in forms):
        yield "1.8.0 counts a linear layer once, its main branch (since November 2024) for every token"
    if any(form.node.shared is not None for form in forms):
        yield "of layers used more than once, 1.8.0 may count parameters again, by how the modules are nested"


def _fvcore(forms: list[HookedLayer]) -> Iterable[str]:
    yield "fvcore writes flops for multiply-accumulates"
    if any(form.family == "BatchNorm" for form in forms):
        yield "in evaluation mode; in training mode a batchnorm counts 5 per value"


def _ptflops(forms: list[HookedLayer]) -> Iterable[str]:
    yield f"backend='pytorch', the default; backend='aten' prints {readable(sum_of(rules.ptflops_aten, forms))}"


def _aten(forms: list[HookedLayer]) -> Iterable[str]:
    yield f"backend='aten'; backend='pytorch', the default, prints {readable(sum_of(rules.ptflops, forms))}"


def _thop(forms: list[HookedLayer]) -> Iterable[str]:
    yield f"who doubles it writes {readable(2 * sum_of(rules.thop, forms))}FLOPs"


def _calflops(forms: list[HookedLayer]) -> Iterable[str]:
    yield f"beside it, `fwd FLOPs`: {readable(sum_of(rules.calflops_flops, forms))}, see calflops-flops"
    yield from _uneven(forms)


def _calflops_flops(forms: list[HookedLayer]) -> Iterable[str]:
    yield f"beside it, `fwd MACs`: {readable(sum_of(rules.calflops, forms))}"
    yield from _uneven(forms)


def _uneven(forms: list[HookedLayer]) -> Iterable[str]:
    if any(form.family == "Upsample" and isinstance(form.options.get("scale_factor"), tuple) for form in forms):
        yield "on an upsample by unequal factors, 0.3.2 stops with a TypeError"


def _torchvision(forms: list[HookedLayer]) -> Iterable[str]:
    yield "the `_ops` of a weight's metadata: multiply-accumulates / 1e9 to three decimals, called GFLOPS in its tables"


def _keras(form: HookedLayer) -> rules.Parts:
    if form.node.shared is None:
        moving = sum(int(weight.values) for weight in form.node.facts.owned if weight.role == "buffer" and weight.dtype == "same")
        yield f"{form.kind}: moving mean and variance, not trained", moving


def _keras_notes(forms: list[HookedLayer]) -> Iterable[str]:
    yield "summary() prints no operations"


def _papers(forms: list[HookedLayer]) -> Iterable[str]:
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


BETWEEN = ("BatchNorm", "ReLU")


def strides(forms: list[HookedLayer]) -> Iterable[str]:
    """A note where 3x3 convolutions have a stride that the paper of 2015 gives to the 1x1 convolution before."""
    by_node = {form.node: form for form in forms}
    pairs = [(before, form) for form in forms if (before := _reducing(form, by_node))]
    if not pairs:
        return
    saved = sum(before.macs - before.macs // product(form.on_axes("stride", 1)) for before, form in pairs)
    macs = sum(form.macs for form in forms)
    yield (
        f"the stride of {len(pairs)} bottlenecks is on the 3x3 convolution (v1.5, {macs / 1e9:.2f} G);"
        f" on the 1x1 before it, as in the first ResNets, it is {(macs - saved) / 1e9:.2f} G"
    )


def _reducing(form: HookedLayer, by_node: dict[Node, HookedLayer]) -> HookedLayer | None:
    """The 1x1 convolution before a 3x3 one with a stride."""
    if form.family != "Conv" or form.groups > 1 or set(_kernel(form)) != {3} or product(form.on_axes("stride", 1)) == 1:
        return None
    node = form.node.inputs[0].node
    while node in by_node and by_node[node].family in BETWEEN:
        node = node.inputs[0].node
    before = by_node.get(node) if node else None
    if before is None or before.family != "Conv" or set(_kernel(before)) != {1} or product(before.on_axes("stride", 1)) > 1:
        return None
    return before


def _kernel(form: HookedLayer) -> tuple[int, ...]:
    return form.node.facts.owned[0].shape[2:]
