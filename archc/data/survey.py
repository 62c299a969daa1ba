"""What the images of a set have in common, by a sample of them: their size, grey or color, and which value is white."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from archc.data.dataset import Shape
from archc.data.pixels import Unreadable, head, largest, white_for

LOOKED_AT = 200  # images
ANY = (224, 224)  # where sizes differ
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")


def common_shape(images: Iterable[Path | bytes]) -> Shape:
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


def size_bounds(images: Iterable[Path]) -> list[tuple[int, int]] | None:
    """The smallest and the largest height and width among the first images; None where none can be opened."""
    found: list[tuple[int, int]] = []
    for image in islice(images, LOOKED_AT):
        with suppress(Unreadable):
            _, width, height = head(image)
            found.append((height, width))
    highs, wides = [high for high, _ in found], [wide for _, wide in found]
    return [(min(highs), min(wides)), (max(highs), max(wides))] if found else None


SAMPLED_FILES = 2000  # files, spread over the set
MEASURED = 200  # of those with more than 8 bits


def white_of(files: Sequence[Path | bytes], given: int | None) -> tuple[int | None, str]:
    """The value that is white in a set, and a sentence on it; None where no image has more than 8 bits."""
    found: list[int] = []
    step = max(1, len(files) // SAMPLED_FILES)
    for file in files[::step]:
        try:
            most = largest(file)
        except Unreadable:
            continue  # of which is told where it is read
        if most is not None:
            found.append(most)
            if len(found) == MEASURED:
                break
    if not found:
        return given, ""
    white = given or white_for(max(found))
    values = f"16-bit images go up to {max(found):,} (of {len(found):,} looked at)"
    return white, f"{values}; {white:,} is read as white" + ("" if given else ", which `white` in `data` changes")
