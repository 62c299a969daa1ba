"""Rules that rename the original's tensors to a spec's, as few as there can be, and each right for all tensors of the network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

MOST_TRIED = 400  # pairs for which general rules are looked for; a rule for one tensor alone is always right


def rules_of(renames: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Rules `s/pattern/replacement/` from the original's names to the spec's.

    renames: the original's names by the spec's, where they differ; names: all tensors of the spec
    """
    wanted = {renames.get(name, name): name for name in names}
    left = {theirs: ours for theirs, ours in wanted.items() if theirs != ours}
    rules: list[str] = []
    for count, (theirs, ours) in enumerate(list(left.items())):
        if theirs not in left:
            continue
        candidates = [*(_candidates(theirs, ours) if count < MOST_TRIED else ()), (f"^{re.escape(theirs)}$", ours)]
        pattern, replacement = next((old, new) for old, new in candidates if _is_right(old, new, wanted))
        rules.append(f"s/{pattern}/{_escaped(replacement)}/")
        done = re.compile(pattern)
        left = {name: new for name, new in left.items() if not done.search(name)}
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


def _is_right(pattern: str, replacement: str, wanted: Mapping[str, str]) -> bool:
    """Whether a rule makes of every name it matches the spec's."""
    found = re.compile(pattern)
    return all(not found.search(theirs) or found.sub(lambda _: replacement, theirs, count=1) == ours for theirs, ours in wanted.items())


def _escaped(replacement: str) -> str:
    return replacement.replace("\\", r"\\").replace("&", r"\&").replace("/", r"\/")
