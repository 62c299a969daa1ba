"""`budget`: what a network may cost at most, or must at least. Read here; archc/analysis/budget.py compares."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from archc.language.citation import COUNTED
from archc.language.values import Mistake
from archc.signature import shown
from archc.text import tree as t
from archc.text.sizes import unit_bytes
from archc.text.source import Span
from archc.text.suggest import did_you_mean

MEMORY = "train_memory"
FIGURES = {
    **{name: COUNTED[name] for name in ("parameters", "macs", "flops", "activations")},
    MEMORY: 'bytes at the peak of a training step: "<= 8GiB @ batch 64, optimizer adam, amp bf16"',
}
OPTIONS = {"batch": "batch 64", "optimizer": "optimizer adam", "amp": "amp bf16"}
SIGNS = ("<=", ">=", "<", ">", "==")
MOST_BATCH = 1_000_000
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
_LIMIT = re.compile(r"(?P<sign>[<>=!~]*)\s*(?P<number>[0-9][0-9_,]*(?:\.[0-9]+)?)\s*(?P<unit>[^\W\d_]*)\Z")
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

    def allows(self, low: float, high: float | None) -> bool:
        """Whether all from `low` to `high` is within the bound; None is without end."""
        if self.sign in ("<=", "<", "=="):
            below = high is not None and (high < self.value if self.sign == "<" else high <= self.value)
            return below and (self.sign != "==" or low >= self.value)
        return low > self.value if self.sign == ">" else low >= self.value


def read_limit(figure: str, value: Any, tree: t.Tree) -> Limit:
    """The bound that was written; a number alone means at most. Raises Mistake."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return Limit(figure, "<=", value, f"<= {value:_}", tree.span)
    if not isinstance(value, str):
        raise Mistake("A402", tree.span, f"{figure}: {shown(value)} is no limit", _EXAMPLES[figure])
    bound, at, options = value.partition("@")
    match = _LIMIT.match(bound.strip())
    if match is None:
        raise Mistake("A402", _part(tree, bound.strip()), f"{figure}: {shown(bound.strip())} is no limit", _EXAMPLES[figure])
    sign = match["sign"] or "<="
    if sign not in SIGNS:
        raise Mistake("A402", _part(tree, sign), f'"{sign}" is no comparison', f"there are {', '.join(SIGNS)}")
    number = float(match["number"].replace("_", "").replace(",", "")) * _unit(figure, match["unit"], tree)
    text = f"{sign} {' '.join(value.strip().removeprefix(match['sign']).split())}"
    limit = Limit(figure, sign, round(number, 6), text, tree.span)
    return _with_options(limit, options, tree) if at else limit


def _unit(figure: str, unit: str, tree: t.Tree) -> int:
    """How much one of the unit is: of bytes, 1 where none is named."""
    one = (unit_bytes(unit) if unit else 1) if figure == MEMORY else _COUNTS.get(unit.lower())
    if one is not None:
        return one
    hint = "KiB, MiB, GiB, TiB; KB, MB, GB, TB" if figure == MEMORY else "K, M, G, B and T are powers of 1,000"
    raise Mistake("A402", _part(tree, unit), f'"{unit}" is no unit of {figure}', hint)


def _with_options(limit: Limit, text: str, tree: t.Tree) -> Limit:
    """`batch 64, optimizer adam, amp bf16`."""
    if limit.figure != MEMORY:
        raise Mistake("A402", _part(tree, "@"), f"{limit.figure} is counted for one image", f"only {MEMORY} has a batch")
    for part in text.split(","):
        name, _, value = " ".join(part.split()).partition(" ")
        if name not in OPTIONS:
            hint = did_you_mean(name, OPTIONS) or f"as in {', '.join(OPTIONS.values())}"
            raise Mistake("A402", _part(tree, name), f'"{name}" is nothing that {MEMORY} depends on', hint)
        limit = _with_option(limit, name, value, tree)
    return limit


def _with_option(limit: Limit, name: str, value: str, tree: t.Tree) -> Limit:
    if name == "batch" and value.isdecimal() and value.isascii() and len(value) < 8 and 1 <= int(value) <= MOST_BATCH:
        return limit._replace(batch=int(value))
    if name == "amp" and value.lower() in ("bf16", "bfloat16"):
        return limit._replace(amp=True)
    if name == "optimizer" and re.fullmatch(r"[a-z_]{1,32}", value):
        return limit._replace(optimizer=value)  # archc/analysis/budget.py knows which there are
    raise Mistake("A402", _part(tree, value), f'"{value}" is no {name}', OPTIONS[name])


def _part(tree: t.Tree, words: str) -> Span:
    """Where some words of a text stand, if they stand there once."""
    if not isinstance(tree, t.Scalar) or not isinstance(tree.value, str) or not words or tree.value.count(words) != 1:
        return tree.span
    at = tree.value.index(words)
    return tree.inner(at, at + len(words))
