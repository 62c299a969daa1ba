"""The nearest right names for a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

MOST_NAMES = 500  # that are compared; comparing takes time


def nearest(wrong: str, right: Iterable[str], most: int = 3) -> list[str]:
    """At most three names near to `wrong`, the nearest first; none when nothing is near."""
    from difflib import get_close_matches

    names = sorted({name for name in islice(right, MOST_NAMES) if name})
    wrong = wrong[:80]
    folded = {_fold(name): name for name in reversed(names)}
    if _fold(wrong) in folded:
        return [folded[_fold(wrong)]]
    return get_close_matches(wrong, names, n=most, cutoff=0.6)


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
