"""What did not fit, in lists that are cut where they are long; and the rule that would rename it, where one is easily found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from archc.errors import Argument
from archc.runtime.weights.renaming import RenameRule, parse_rule, shown
from archc.text.names import fold_names
from archc.text.quantity import counted
from archc.text.suggest import nearest

LONGEST_NAME = 200  # characters of a tensor's name
_MOST_LINES = 12  # of one list
_MOST_FOLDED = 5000  # names of one list: folding takes time
_MOST_TRIED = 400  # names that hints are drawn from
_MOST_NAMES = 20_000  # of a file for which a rule is sought
_PLAIN = re.compile(r"[\w.-]+", re.ASCII)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A tensor that was not loaded: its shape, or its dtype where that is at fault, on both sides; empty where there is none."""

    name: str
    file: str
    network: str


def shape_text(shape: Iterable[int]) -> str:
    """`64x3x7x7`."""
    return "x".join(map(str, shape)) or "scalar"


def sections(skipped: Iterable[Skipped]) -> list[str]:
    """Three lists: what only one side has, and what differs."""
    kept = list(skipped)
    lines = list_tensors("in the network, not in the file", [(tensor.name, tensor.network) for tensor in kept if not tensor.file])
    lines += list_tensors("in the file, not in the network", [(tensor.name, tensor.file) for tensor in kept if not tensor.network])
    different = [
        (tensor.name, f"{tensor.file} in the file, {tensor.network} in the network") for tensor in kept if tensor.file and tensor.network
    ]
    return lines + list_tensors("different", different)


def list_tensors(title: str, entries: list[tuple[str, str]]) -> list[str]:
    """A title with a count, and names with what is told of them."""
    if not entries:
        return []
    groups: dict[str, list[str]] = {}
    for name, text in entries[:_MOST_FOLDED]:
        groups.setdefault(text, []).append(shown(name, LONGEST_NAME))
    rows = [(name, text) for text, names in groups.items() for name in fold_names(names)]
    width = max((len(name) for name, _ in rows[:_MOST_LINES] if len(name) <= 44), default=0)
    lines = [_row(name, text, width) for name, text in rows[:_MOST_LINES]]
    more = len(rows) - _MOST_LINES
    if more > 0 or len(entries) > _MOST_FOLDED:
        lines.append(f"  … and {max(more, 1):,} more {'lines' if more > 1 else 'line'}")
    return [f"{title}: {len(entries):,}", *lines]


def _row(name: str, text: str, width: int) -> str:
    return f"  {shown(name, LONGEST_NAME).ljust(width)}  {text}"


def hints(theirs: Shapes, ours: Shapes, skipped: Iterable[Skipped]) -> list[str | Argument]:
    """What the person may have meant, each line ended: rules that make names fit, else the nearest names."""
    rules, fitting = find_rules(theirs, ours)
    if rules:
        effect = (
            f"would make all {len(ours):,} tensors fit"
            if fitting == len(ours) == len(theirs)
            else f"would make {counted(fitting, 'tensor')} fit"
        )
        return [part for rule in rules for part in (Argument("rename", rule.text), f" {effect}" if rule is rules[-1] else "", "\n")]
    kept = list(skipped)
    missing = [tensor for tensor in kept if not tensor.file]
    lines: list[str] = []
    if missing and list(theirs.values()) == list(ours.values()):
        lines = ["both hold the same shapes in the same order; only names differ"]
    return [f"{line}\n" for line in (*lines, *_near(missing, [tensor for tensor in kept if not tensor.network]))]


def _near(missing: list[Skipped], unexpected: list[Skipped]) -> list[str]:
    """For a few names of the network the nearest of the file, those of the same shape first."""
    lines = []
    for tensor in missing[:3]:
        same = [other.name for other in unexpected if other.file == tensor.network and len(other.name) < 200]
        near = nearest(tensor.name, same, 1) or nearest(tensor.name, [other.name for other in unexpected if len(other.name) < 200], 1)
        lines += [f"nearest to {shown(tensor.name, 30)} in the file: {shown(name, 30)}" for name in near]
    return lines


def find_rules(theirs: Shapes, ours: Shapes) -> tuple[list[RenameRule], int]:
    """At most three rules that make names of a file fit a network, and how many tensors then fit.

    A rule is tried on all names, so what is said of it is true. None where less than half of the names that do not fit would.
    """
    if max(len(theirs), len(ours)) > _MOST_NAMES:
        return [], 0
    start = best = _fitting(theirs, ours)
    found: list[RenameRule] = []
    while len(found) < 3:
        tried = [(rule, _apply_rules(theirs, rule)) for rule in _candidates(theirs, ours)]
        scored = [(_fitting(names, ours), -at, rule, names) for at, (rule, names) in enumerate(tried) if names is not None]
        top = max(scored, key=lambda candidate: candidate[:2], default=None)
        if top is None or top[0] <= best:
            break
        best, theirs = top[0], top[3]
        found.append(top[2])
    unfit = len(theirs) - start
    return (found, best) if 2 * (best - start) >= unfit else ([], start)


def _fitting(theirs: Shapes, ours: Shapes) -> int:
    return sum(ours.get(name) == shape for name, shape in theirs.items())


def _apply_rules(theirs: Shapes, rule: RenameRule) -> dict[str, tuple[int, ...]] | None:
    """The file's tensors under their new names; None where two names become one."""
    new = {rule(name): shape for name, shape in theirs.items() if len(name) < 200}
    return new if len(new) == len(theirs) else None


def _candidates(theirs: Shapes, ours: Shapes) -> list[RenameRule]:
    """The likelier rules: prefixes of one side, then parts in which names of the same shape differ most often."""
    lone = [name for name, shape in theirs.items() if ours.get(name) != shape][:_MOST_TRIED]
    wanted = [name for name, shape in ours.items() if theirs.get(name) != shape][:_MOST_TRIED]
    texts = Counter(_prefixes(lone, theirs, ours))
    texts.update(f"s/^/{prefix}/" for prefix in _prefix_hints(wanted, theirs, ours))
    for mine, other in _pairs(lone, wanted, theirs, ours):
        texts.update(_substitution(mine, other))
    return [parse_rule(text) for text, _ in texts.most_common(12)]


def _prefixes(lone: list[str], theirs: Shapes, ours: Shapes) -> Iterator[str]:
    for name in lone:
        for prefix, rest in _splits(name):
            if ours.get(rest) == theirs[name]:
                yield f"s/^{_escape(prefix)}//"


def _prefix_hints(wanted: list[str], theirs: Shapes, ours: Shapes) -> Iterator[str]:
    for name in wanted:
        for prefix, rest in _splits(name):
            if theirs.get(rest) == ours[name]:
                yield prefix


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """`a.`, `b.c` and `a.b.`, `c` of `a.b.c`."""
    if _PLAIN.fullmatch(name) and len(name) < 200:
        for dot in re.finditer(r"\.", name):
            yield name[: dot.end()], name[dot.end() :]


def _pairs(lone: list[str], wanted: list[str], theirs: Shapes, ours: Shapes) -> Iterator[tuple[str, str]]:
    """Names of equal shapes, in their order: the first 64x64x3x3 of the file with the first of the network."""
    queues: dict[tuple[int, ...], list[str]] = {}
    for name in reversed(wanted):
        queues.setdefault(ours[name], []).append(name)
    for name in lone:
        if queue := queues.get(theirs[name]):
            yield name, queue.pop()


def _substitution(mine: str, other: str) -> list[str]:
    """The rule that replaces the middle in which two names differ, part by part; not where numbers alone differ."""
    if not (_PLAIN.fullmatch(mine) and _PLAIN.fullmatch(other)) or max(len(mine), len(other)) > 100:
        return []
    a, b = mine.split("."), other.split(".")
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    end = next((i for i, (x, y) in enumerate(zip(a[start:][::-1], b[start:][::-1], strict=False)) if x != y), min(len(a), len(b)) - start)
    if start and start == len(a) - end:
        start -= 1  # nothing to replace: take the part before it along
    old, new = a[start : len(a) - end], b[start : len(b) - end]
    if not old or not (new or start or end) or all(part.isdigit() for part in old + new):
        return []
    pattern = (r"\." if start else "^") + _escape(".".join(old)) + (r"\." if end else "$")
    if not new:
        return [f"s/{pattern}/{'.' if start and end else ''}/"]
    return [f"s/{pattern}/{'.' if start else ''}{'.'.join(new)}{'.' if end else ''}/"]


def _escape(text: str) -> str:
    return text.replace(".", r"\.")
