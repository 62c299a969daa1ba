"""`budget`: what a network may cost at most, or must at least. Read here; archc/analysis/budget.py compares."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from archc.language.citation import COUNTED
from archc.language.values import Mistake
from archc.signature import shown
from archc.text import tree as t
from archc.text.quantity import BYTES, COMPARISONS, COUNT, Quantity, QuantityParts, parts, slack_of
from archc.text.source import Span
from archc.text.suggest import did_you_mean

MEMORY = "train_memory"
FIGURES = {
    **{name: COUNTED[name] for name in ("parameters", "macs", "flops", "activations")},
    MEMORY: 'bytes at the peak of a training step: "<= 8GiB @ batch 64, optimizer adam, amp bf16"',
}
OPTIONS = {"batch": "batch 64", "optimizer": "optimizer adam", "amp": "amp bf16"}
MOST_BATCH = 1_000_000
_EXAMPLES = dict.fromkeys(FIGURES, "5_000_000, or <= 5M") | {MEMORY: "<= 8GiB @ batch 64"}


class Limit(NamedTuple):
    """A bound on a figure, as it was written and where. The rest is for `train_memory`."""

    figure: str
    sign: str
    value: float
    text: str
    span: Span
    batch: int = 1
    optimizer: str = "sgd"
    amp: bool = False

    slack: float = 0.0

    def allows(self, low: float, high: float | None) -> bool:
        """Whether all from `low` to `high` is within the bound; None is without end."""
        return Quantity(self.sign, self.value, self.slack).allows(low, high)


def read_limit(figure: str, value: Any, tree: t.Tree) -> Limit:
    """The bound that was written; a number alone means at most. Raises Mistake."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return Limit(figure, "<=", value, f"<= {value:_}", tree.span)
    if not isinstance(value, str):
        raise Mistake("A402", tree.span, f"{figure}: {shown(value)} is not a limit", _EXAMPLES[figure])
    bound, at, options = value.partition("@")
    found = parts(bound)
    if found is None:
        raise Mistake("A402", _part(tree, bound.strip()), f"{figure}: {shown(bound.strip())} is not a limit", _EXAMPLES[figure])
    sign = found.sign or ("<=" if not found.slack else "==")
    if sign not in COMPARISONS:
        raise Mistake("A402", _part(tree, sign), f'"{sign}" is not a comparison', f"there are {', '.join(COMPARISONS)}")
    number, slack = _amounts(figure, found._replace(sign=sign), tree)
    written = " ".join(value.strip().removeprefix(found.sign).split())
    limit = Limit(figure, sign, number, written if found.slack and not found.sign else f"{sign} {written}", tree.span, slack=slack)
    return _with_options(limit, options, tree) if at else limit


def _amounts(figure: str, found: QuantityParts, tree: t.Tree) -> tuple[float, float]:
    """The number that was written, and its slack; of bytes, one byte is meant where no unit is named."""
    units = BYTES if figure == MEMORY else COUNT
    for unit in (found.unit, found.slack_unit.removesuffix("%")):
        if unit and units.scale(unit) is None:
            hint = "KiB, MiB, GiB, TiB; KB, MB, GB, TB" if figure == MEMORY else "K, M, G, B and T are powers of 1,000"
            raise Mistake("A402", _part(tree, unit), f'"{unit}" is not a unit for {figure}', hint)
    scale = (units.scale(found.unit) if found.unit else None) or 1.0
    return found.amount(scale), slack_of(found, scale, units) or 0.0


def _with_options(limit: Limit, text: str, tree: t.Tree) -> Limit:
    """`batch 64, optimizer adam, amp bf16`."""
    if limit.figure != MEMORY:
        raise Mistake("A402", _part(tree, "@"), f"{limit.figure} is always for one image", f"only {MEMORY} takes a batch")
    for part in text.split(","):
        name, _, value = " ".join(part.split()).partition(" ")
        if name not in OPTIONS:
            hint = did_you_mean(name, OPTIONS) or f"as in {', '.join(OPTIONS.values())}"
            raise Mistake("A402", _part(tree, name), f'"{name}" is not a condition of {MEMORY}', hint)
        limit = _with_option(limit, name, value, tree)
    return limit


def _with_option(limit: Limit, name: str, value: str, tree: t.Tree) -> Limit:
    if name == "batch" and value.isdecimal() and value.isascii() and len(value) < 8 and 1 <= int(value) <= MOST_BATCH:
        return limit._replace(batch=int(value))
    if name == "amp" and value.lower() in ("bf16", "bfloat16"):
        return limit._replace(amp=True)
    if name == "optimizer" and re.fullmatch(r"[a-z_]{1,32}", value):
        return limit._replace(optimizer=value)  # archc/analysis/budget.py knows which there are
    raise Mistake("A402", _part(tree, value), f'"{value}" is not a valid {name}', OPTIONS[name])


def _part(tree: t.Tree, words: str) -> Span:
    """Where some words of a text stand, if they stand there once."""
    if not isinstance(tree, t.Scalar) or not isinstance(tree.value, str) or not words or tree.value.count(words) != 1:
        return tree.span
    at = tree.value.index(words)
    return tree.inner(at, at + len(words))
