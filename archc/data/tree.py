"""Folders as they lie on disk, looked into as far as is needed, and drawn small for a terminal."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from archc.data.dataset import DataError
from archc.data.pixels import ENDINGS
from archc.data.roles import RUN_FILES, is_junk
from archc.text.quantity import counted

MOST_DEPTH = 10
MOST_FOLDERS = 200_000  # that are looked into
_LINES, _EACH, _DEEP, _WIDE = 14, 5, 3, 32  # of a drawing: lines, folders of one folder, levels, characters of a name


class Folder:
    """A folder: its own images, its other files by their endings, and the folders in it, without hidden ones and runs of archc.

    links: entries that are symbolic links; runs: folders that `archc train` made
    """

    def __init__(self, path: Path, depth: int = 0, root: Path | None = None, looked: list[int] | None = None) -> None:
        self.path = path
        self.name = path.name or str(path)
        self.root = root or path.resolve()
        self.images: list[str] = []
        self.files: Counter[str] = Counter()
        self.links: list[str] = []
        self.runs: list[str] = []
        self._depth = depth
        self._looked = looked if looked is not None else [0]
        self._looked[0] += 1
        if self._looked[0] > MOST_FOLDERS:
            raise DataError(f"there are more than {MOST_FOLDERS:,} folders in {self.root}")
        self._names = sorted(name for entry in os.scandir(path) if not is_junk(entry.name) and (name := self._take(entry)))
        self.images.sort()

    def _take(self, entry: os.DirEntry[str]) -> str:
        """Counts an entry; the name of a folder that is to be looked into."""
        if entry.is_symlink():
            self.links.append(entry.name)
        if entry.is_dir():
            return entry.name if self._followed(entry) else ""
        if entry.name.lower().endswith(ENDINGS):
            self.images.append(entry.name)
        else:
            self.files[Path(entry.name).suffix.lower() or "without ending"] += 1
        return ""

    def _followed(self, entry: os.DirEntry[str]) -> bool:
        """Links to folders lead on where classes and splits are, and never back into the set."""
        return not entry.is_symlink() or (self._depth < 2 and not Path(entry.path).resolve().is_relative_to(self.root))

    @cached_property
    def folders(self) -> list[Folder]:
        """Those in it, in the order of their names."""
        if self._names and self._depth >= MOST_DEPTH:
            raise DataError(f"{self.path / self._names[0]} lies deeper than {MOST_DEPTH} folders")
        found = [Folder(self.path / name, self._depth + 1, self.root, self._looked) for name in self._names]
        self.runs = [child.name for child in found if child.is_run or child.holds_runs]
        return [child for child in found if child.name not in self.runs]

    @property
    def is_run(self) -> bool:
        return self._depth > 0 and all((self.path / name).is_file() for name in RUN_FILES)

    @property
    def holds_runs(self) -> bool:
        """Whether runs of archc lie in it, and no image beside them."""
        return not self.has_images and bool(self.runs)

    @cached_property
    def has_images(self) -> bool:
        """Whether it has an image, at some depth."""
        return bool(self.images) or any(child.has_images for child in self.folders)

    @cached_property
    def filled(self) -> list[Folder]:
        """The folders in it that have images."""
        return [child for child in self.folders if child.has_images]

    def paths(self, before: str = "") -> Iterator[str]:
        """Each image in it, at any depth, in the order of names: its path from here, after `before`."""
        inner = {child.name: child for child in self.folders}
        for name in sorted([*self.images, *inner]) if inner else self.images:
            if name in inner:
                yield from inner[name].paths(f"{before}{name}/")
            else:
                yield before + name

    def count(self) -> int:
        """How many images it has, at any depth."""
        return len(self.images) + sum(child.count() for child in self.folders)

    def others(self) -> Counter[str]:
        """Files that are none of the images that are read, by their endings."""
        return sum((child.others() for child in self.folders), Counter(self.files))

    def drawn(self) -> str:
        """A few lines that show what it has."""
        lines = list(_lines(self, 1))
        return "\n".join([*lines[:_LINES], *(["  …"] if len(lines) > _LINES else [])])


def _lines(folder: Folder, level: int) -> Iterator[str]:
    parts = [counted(len(folder.images), "image")] if folder.images else []
    parts += [f"{count:,} {ending}" for ending, count in folder.files.most_common(2)]
    parts = parts or ([] if folder.folders else ["empty"])
    yield f"{'  ' * level}{shown(folder.name)}/{'  ' * bool(parts)}{', '.join(parts)}"
    if level > _DEEP:
        return
    for child in folder.folders[:_EACH]:
        yield from _lines(child, level + 1)
    if len(folder.folders) > _EACH:
        yield f"{'  ' * (level + 1)}… and {len(folder.folders) - _EACH:,} more folders"


def shown(name: str, width: int = _WIDE) -> str:
    """A stranger's name in one line of plain characters."""
    plain = "".join(c if c.isprintable() else "?" for c in name)
    return plain if len(plain) <= width else plain[: width - 1] + "…"
