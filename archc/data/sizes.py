"""What images are, by their heads alone: the shape in which a set is shown where no network asks for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from archc.data.dataset import Shape
from archc.data.pixels import Unreadable, head

LOOKED_AT = 200  # images
ANY = (224, 224)  # where sizes differ
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")


def of_files(images: Iterable[Path | bytes]) -> Shape:
    """Their size where the first ones have the same, up to 224 x 224; one channel where all of them are grey."""
    found: Counter[tuple[int, int]] = Counter()
    grey = True
    for image in islice(images, LOOKED_AT):
        try:
            mode, width, height = head(image)
        except Unreadable:
            continue
        found[height, width] += 1
        grey &= mode in GREY
    same = next(iter(found)) if len(found) == 1 else ANY
    return 1 if grey and found else 3, min(same[0], ANY[0]), min(same[1], ANY[1])


def bounds(images: Iterable[Path]) -> list[tuple[int, int]] | None:
    """The smallest and the largest height and width among the first images; None where none can be opened."""
    found: list[tuple[int, int]] = []
    for image in islice(images, LOOKED_AT):
        with suppress(Unreadable):
            _, width, height = head(image)
            found.append((height, width))
    highs, wides = [high for high, _ in found], [wide for _, wide in found]
    return [(min(highs), min(wides)), (max(highs), max(wides))] if found else None
