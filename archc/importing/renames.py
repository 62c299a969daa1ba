"""Rules that rename the original's tensors to a spec's, as few as there can be, and each right for all tensors of the network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

AMPERSAND = r"\&"  # in a replacement, & is the match
MOST_TRIED = 400  # pairs for which general rules are looked for; a rule for one tensor alone is always right


def rules_of(renames: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Rules `s/pattern/replacement/` from the original's names to the spec's.

    renames: the original's names by the spec's, where they differ; names: all tensors of the spec
    """
    wanted = {renames.get(name, name): name for name in names}
    now = {theirs: theirs for theirs in wanted}
    rules: list[str] = []
    for count, (theirs, ours) in enumerate(wanted.items()):
        if now[theirs] == ours:
            continue
        candidates = [*(_candidates(theirs, ours) if count < MOST_TRIED else ()), (f"^{re.escape(theirs)}$", ours)]
        for pattern, replacement in candidates:
            after = _after(re.compile(pattern), replacement, now)
            if all(after[one] in (now[one], wanted[one]) for one in now):
                break
        now = after
        rules.append(f"s/{_delimited(pattern)}/{_delimited(replacement.replace('&', AMPERSAND))}/")
    return rules


def _candidates(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    """The parts in which two names differ, with one part on each side of them, then with all before them."""
    a, b = theirs.split("."), ours.split(".")
    start = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    most = min(len(a), len(b)) - start
    tail = next((at for at, (x, y) in enumerate(zip(a[::-1], b[::-1], strict=False)) if x != y), most)
    tail = min(tail, most)
    for first in (max(start - 1, 0), 0):
        for rest in (max(tail - 1, 0), 0):
            old, new = ".".join(a[first : len(a) - rest]), ".".join(b[first : len(b) - rest])
            if not old or not new:
                continue
            before, after = (r"\." if first else "^"), (r"\." if rest else "$")
            yield f"{before}{re.escape(old)}{after}", f"{'.' if first else ''}{new}{'.' if rest else ''}"


def _after(pattern: re.Pattern[str], replacement: str, names: Mapping[str, str]) -> dict[str, str]:
    return {theirs: pattern.sub(lambda _: replacement, name, count=1) for theirs, name in names.items()}


def _delimited(text: str) -> str:
    return text.replace("/", r"\/")
