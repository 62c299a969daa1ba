"""The longest common subsequence of two sequences."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

MOST_CELLS = 1_000_000  # of the exact table; longer sequences are aligned by their longest common runs


def common(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of positions of equal items, both increasing, as many as there can be."""
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    middle = _middle(old[first : len(old) - last], new[first : len(new) - last])
    head = [(i, i) for i in range(first)]
    tail = [(len(old) - i, len(new) - i) for i in range(last, 0, -1)]
    return [*head, *((first + i, first + j) for i, j in middle), *tail]


def _middle(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    if len(old) * len(new) > MOST_CELLS:
        blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
        return [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]
    lengths = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]  # of the best subsequence from (i, j) on
    for i in reversed(range(len(old))):
        row, below = lengths[i], lengths[i + 1]
        for j in reversed(range(len(new))):
            row[j] = below[j + 1] + 1 if old[i] == new[j] else max(below[j], row[j + 1])
    pairs, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        if old[i] == new[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
