"""How three totals of one network follow from one another: a lecture's volumes, the activations, and what backward keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from archc.analysis.cost.lecture import bytes_of, is_volume
from archc.analysis.cost.report import Report
from archc.analysis.memory.storages import Storage, run
from archc.catalog.dtypes import NETWORK
from archc.ops.facts import NEW


class AccountEntry(NamedTuple):
    """One term of a sum: how much, and of what."""

    amount: int
    what: str


def activations_from_volumes(report: Report) -> list[AccountEntry]:
    """The terms, in values of one image, that lead from the volumes of a lecture's table to the activations.

    The table has the network's inputs, which no layer makes, and leaves out layers that keep a size; a layer in place, and a view,
    make no activation of their own.
    """
    volumes = [layer for layer in report.layers if is_volume(layer)]
    inputs = sum(value.shape.values for value in report.graph.inputs.values())
    terms = [AccountEntry(inputs + sum(layer.values for layer in volumes), "volumes"), AccountEntry(-inputs, "of the input")]
    others = Counter[str]()
    for layer in report.layers:
        others[layer.kind] += layer.activations - (layer.values if is_volume(layer) else 0)
    return terms + [AccountEntry(amount, f"of {kind}") for kind, amount in others.most_common() if amount]


def saved_from_activations(report: Report) -> list[AccountEntry]:
    """The terms, in bytes at the report's batch and dtype, that lead from the activations to what backward keeps.

    Autograd keeps what some gradient reads: not the output of a layer whose reader needs it no more, but also the network's input
    and what layers note for themselves (indices of maxima, masks, statistics). Where a layer's output lies in more memory than
    its values take, as in blocks of a vector's width, the rest counts as noted.
    """
    memory = report.memory
    done = run(report.graph, memory.batch, memory.dtype)
    kept = dict.fromkeys(storage for step in done.steps for storage in step.kept)
    made: dict[Storage, int] = {}  # an output's storage -> the bytes that `activations` counts of it
    item = NETWORK[memory.dtype]
    terms: Counter[str] = Counter()
    for step in done.steps:
        if step.node.facts.storage != NEW:
            continue
        for value in step.node.outputs:
            size = step.node.facts.item(value.index, item) * memory.batch * value.shape.values
            storage = done.tensors[value].storage
            made[storage] = made.get(storage, 0) + size
            if storage not in kept:
                terms[f"of {step.node.kind}, not read in backward"] -= size
    for storage in kept:
        if storage in made:
            terms[f"around the output of {_kind(storage)}"] += storage.bytes - made[storage]
        elif storage.made_by is None:
            terms["of the input"] += storage.bytes
        else:
            terms[f"noted or copied by {_kind(storage)}"] += storage.bytes
    start = AccountEntry(memory.activations, "of activations")
    return [start, *(AccountEntry(size, what) for what, size in sorted(terms.items(), key=lambda pair: -abs(pair[1])) if size)]


def account_lines(report: Report) -> list[str]:
    """Both sums in words: one line each."""
    lines = [f"activations: {_sum_text(activations_from_volumes(report), '{:,}'.format)} values an image"]
    silent = [node.name for node in report.graph.nodes if node.facts.keeps is None]
    if silent:
        return [*lines, f"kept for backward: unknown, since {', '.join(silent[:3])}{' …' if silent[3:] else ''} states nothing"]
    return [*lines, f"kept for backward: {_sum_text(saved_from_activations(report), bytes_of)}"]


def _sum_text(terms: list[AccountEntry], shown: Callable[[int], str]) -> str:
    """`a of x - b of y = c`; all but the largest terms are one."""
    rest = sum(term.amount for term in terms[MOST_TERMS:])
    terms = [*terms[:MOST_TERMS], *([AccountEntry(rest, "of others")] if rest else [])]
    words = [f"{'-' if term.amount < 0 else '+'} {shown(abs(term.amount))} {term.what}" for term in terms]
    return f"{' '.join(words).removeprefix('+ ')} = {shown(sum(term.amount for term in terms))}"


MOST_TERMS = 6


def _kind(storage: Storage) -> str:
    assert storage.made_by is not None
    return storage.made_by.kind
