"""Images of more than 8 bits: which value is white. Scanners and microscopes write 10 or 12 bits into files of 16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archc.data.pixels import Unreadable, largest, white_for

LOOKED_AT = 2000  # files, spread over the set
MEASURED = 200  # of those with more than 8 bits


def white_of(files: Sequence[Path | bytes], given: int | None) -> tuple[int | None, str]:
    """The value that is white in a set, and a sentence on it; None where no image has more than 8 bits."""
    found: list[int] = []
    step = max(1, len(files) // LOOKED_AT)
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
