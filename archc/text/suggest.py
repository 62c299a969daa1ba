"""The nearest right names for a wrong one."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice

MOST_NAMES = 1000  # that are compared; comparing takes time
MOST_COMPARED = 500_000  # characters of a wrong name times those of right ones, for all mistakes of one spec
CUTOFF = 0.6


class _Reserve(threading.local):
    """What is left of those comparisons: past them, thousands of mistakes have no hints. Filled where a spec begins."""

    left = MOST_COMPARED


_reserve = _Reserve()


def fill() -> None:
    """Makes room for the hints of another spec."""
    _reserve.left = MOST_COMPARED


def nearest(wrong: str, right: Iterable[str], most: int = 3) -> list[str]:
    """At most three names near to `wrong`, the nearest first; none when nothing is near."""
    from difflib import get_close_matches

    names = sorted({name for name in islice(right, MOST_NAMES) if name})
    wrong = wrong[:80]
    folded = {_fold(name): name for name in reversed(names)}
    if _fold(wrong) in folded:
        return [folded[_fold(wrong)]]
    if _reserve.left < 0:
        return []
    letters = set(wrong)
    near = [name for name in names if _may_be_near(wrong, name, letters)]
    _reserve.left -= len(wrong) * sum(map(len, near)) + 10 * len(names)
    found = get_close_matches(wrong, near, n=max(len(near), 1), cutoff=CUTOFF)
    swapped = sorted(wrong)
    return sorted(found, key=lambda name: sorted(name) != swapped)[:most]  # letters that changed places are the commonest slip


def _may_be_near(word: str, other: str, letters: set[str]) -> bool:
    """Whether two names have letters enough in common: what difflib would find out with more work."""
    together = len(word) + len(other)
    alone = len(letters ^ set(other))  # each stands in one of the two at least once
    return together - max(alone, abs(len(word) - len(other))) >= CUTOFF * together


def did_you_mean(wrong: str, right: Iterable[str]) -> str | None:
    """`did you mean "conv"?`, or None."""
    names = nearest(wrong, right)
    if not names:
        return None
    quoted = [f'"{name}"' for name in names]
    return f"did you mean {' or '.join(quoted)}?"


def _fold(name: str) -> str:
    """A name without what people write differently: case, `_`, `-` and a final `2d`."""
    plain = name.lower().replace("_", "").replace("-", "")
    return plain[:-2] if plain[-2:] in ("1d", "2d", "3d") else plain
