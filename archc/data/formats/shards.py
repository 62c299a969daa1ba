"""Shards: .tar files in webdataset's layout, streamed. A sample is the entries of one name: 0001.jpg with 0001.cls or 0001.txt.

Only images and labels are read from them; nothing is unpickled, unpacked or executed.
"""

from __future__ import annotations

import random
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO, Any

from archc.data.dataset import Corrupt, DataError, Images, Shape
from archc.data.pixels import ENDINGS, Unreadable, decode
from archc.data.roles import TRAIN, find_role
from archc.data.splits import place
from archc.text.diagnostics import printable
from archc.text.extras import how_to_install
from archc.text.files import open_regular

MOST_BYTES = 1 << 28  # of a sample
MOST_ENTRIES = 32  # of a sample
MOST_CLASSES = 100_000
LABELS = ("cls", "txt")
SHUFFLED = 1000  # samples among which the next is drawn
KINDS = tuple(ending[1:] for ending in ENDINGS)


def find(path: Path) -> dict[str, list[Path]]:
    """The shards of each split: DIR/train-000.tar or DIR/train/000.tar; shards whose names tell of none are for training."""
    if path.is_file():
        return {"train": [path]}
    found: dict[str, list[Path]] = {}
    for file in sorted([*path.glob("*.tar"), *path.glob("*/*.tar")]):
        if not file.resolve().is_relative_to(path.resolve()):
            raise DataError(f"{file} is a link that leaves {path}", "copy the shard into the folder")
        part, _ = find_role(file.parent.name if file.parent != path else file.stem)
        found.setdefault(part or TRAIN, []).append(file)
    return found


@dataclass(frozen=True)
class Shards:
    """A stream of images out of shards.

    held: the part of samples that is held out, by their names; `inverse` takes just those
    white: as in decode
    """

    files: Sequence[Path]
    _: KW_ONLY
    classes: tuple[str, ...]
    shape: Shape
    skip: bool
    corrupt: list[Corrupt]
    shuffled: bool
    held: float = 0.0
    inverse: bool = False
    white: int | None = None

    def stream(self, seed: int, epoch: int, rank: int, world: int) -> Iterator[tuple[Images, int]]:
        """Images [C, H, W] with labels. Processes take whole shards; where there are fewer, each takes its share of the samples."""
        order = random.Random(f"{seed} {epoch}")
        files = order.sample(self.files, len(self.files)) if self.shuffled else list(self.files)
        enough = len(files) >= world
        samples = self.samples(files[rank::world] if enough else files)
        if not enough:
            samples = (sample for i, sample in enumerate(samples) if i % world == rank)
        if self.shuffled:
            samples = _library().filters._shuffle(samples, SHUFFLED, SHUFFLED, random.Random(f"{seed} {epoch} {rank}"))
        for sample in samples:
            image = self._image(sample)
            if image is not None:
                yield image, self.label(sample)

    def samples(self, files: Iterable[Path], images: bool = True) -> Iterator[dict[str, Any]]:
        """The samples of this split: their entries by ending."""
        for sample in _library().tariterators.group_by_keys(_entries(files, images)):
            if not self.held or (place(sample["__key__"]) < self.held * 2**64) == self.inverse:
                yield sample

    def count(self) -> Mapping[int, int]:
        return Counter(self.label(sample) for sample in self.samples(self.files, images=False))

    def digest(self) -> str:
        """Of the names and sizes of the shards."""
        sizes = [f"{file.name} {file.stat().st_size}" for file in self.files if file.exists()]
        return sha256("\n".join([*sizes, f"{self.held} {self.inverse}"]).encode("utf-8", "surrogateescape")).hexdigest()

    def _image(self, sample: dict[str, Any]) -> Images | None:
        kind = next((kind for kind in KINDS if kind in sample), None)
        try:
            if kind is None:
                raise Unreadable("it has no image")
            return decode(sample[kind], self.shape, self.white)
        except Unreadable as error:
            name = f"{sample['__url__']}: {sample['__key__']}" + (f".{kind}" if kind else "")
            if not self.skip:
                raise DataError(f"{name} is not a readable image: {error}", "write `corrupt: skip` in `data` to leave it out") from None
            if (bad := Corrupt(name, str(error))) not in self.corrupt:
                self.corrupt.append(bad)
            return None

    def label(self, sample: dict[str, Any]) -> int:
        """A number in .cls, or a number or name in .txt. Raises DataError."""
        where = f"{sample['__url__']}: {sample['__key__']}"
        text = _text(sample, where)
        if text in self.classes and not text.isdecimal():
            return self.classes.index(text)
        label = number(text)
        if label is None or label >= len(self.classes):
            known = f"{len(self.classes)} classes are known"
            raise DataError(f"{where} has the label {text[:40]!r}, and {known}", "name every class in classes.txt beside the shards")
        return label


def some(files: Iterable[Path], count: int) -> Iterator[bytes]:
    """The first images of the shards, as they are stored."""
    found = (entry["data"] for entry in _entries(files, images=True) if entry and entry["fname"].lower().endswith(ENDINGS))
    return islice(found, count)


def number(text: str) -> int | None:
    """A label that is written as a number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else None


def _text(sample: dict[str, Any], where: str) -> str:
    written = next((sample[kind] for kind in LABELS if kind in sample), None)
    if written is None:
        raise DataError(f"{where} has no label", "each image needs a .cls (a number) or .txt (a name) of the same name")
    return bytes(written[:200]).decode("utf-8", "replace").strip()


def class_names(files: Iterable[Path]) -> tuple[str, ...]:
    """The classes where no classes.txt says them: all labels of all shards are read. Names are sorted, numbers go from 0."""
    found: set[str] = set()
    for sample in _library().tariterators.group_by_keys(_entries(files, images=False)):
        found.add(_text(sample, sample["__key__"]))
        if len(found) > MOST_CLASSES:
            raise DataError(f"{len(found):,} different labels are no classes", "are the .txt entries captions? write the labels as .cls")
    numbers = [number(text) for text in found]
    if not found:
        raise DataError("the shards have no labels", "each image needs a .cls (a number) or .txt (a name) of the same name")
    if all(index is not None for index in numbers):
        return tuple(map(str, range(max(index for index in numbers if index is not None) + 1)))
    return tuple(sorted(found))


def _entries(files: Iterable[Path], images: bool) -> Iterator[dict[str, Any]]:
    """Images and labels, as webdataset's stages take them; without their bytes where only labels are asked for."""
    wanted = (*ENDINGS, *(f".{kind}" for kind in LABELS))
    for file in files:
        try:
            with open_regular(file) as stored, tarfile.open(fileobj=stored, mode="r:") as shard:
                sample = _Sample(file)
                for entry in shard:
                    shard.members = []  # type: ignore[attr-defined]  # of millions, none is remembered
                    if entry.isreg() and entry.name.lower().endswith(wanted):
                        sample.take(entry)
                        yield {"fname": entry.name, "data": _content(shard, entry, images), "__url__": str(file)}
        except (tarfile.TarError, EOFError) as error:
            raise DataError(f"{file} cannot be read: {error}", "it is not a .tar file, or was cut off") from None
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror or error}", "it is not a .tar file, or was cut off") from None
        yield {}


class _Sample:
    """The entries of the sample that is being read, all of which are in memory at once. Raises DataError for too much of them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.key = ""
        self.endings: set[str] = set()
        self.bytes = 0

    def take(self, entry: tarfile.TarInfo) -> None:
        folder, slash, name = entry.name.rpartition("/")
        stem, _, ending = name.partition(".")
        if (key := folder + slash + stem) != self.key:
            self.key, self.endings, self.bytes = key, set(), 0
        where = f"{self.file}: {printable(entry.name[:80])}"
        if ending.lower() in self.endings:
            raise DataError(f"{where} stands twice", "each entry of a shard has a name of its own")
        self.endings.add(ending.lower())
        self.bytes += entry.size
        if entry.issparse():
            raise DataError(f"{where} is stored with holes", "write the shard without --sparse")
        if self.bytes > MOST_BYTES:
            raise DataError(f"{where} has {self.bytes:,} bytes with the entries of its name, more than {MOST_BYTES:,}")
        if len(self.endings) > MOST_ENTRIES:
            raise DataError(f"{where}: more than {MOST_ENTRIES} entries have one name", "each sample is an image and a label")


def _content(shard: tarfile.TarFile, entry: tarfile.TarInfo, images: bool) -> bytes:
    label = entry.name.lower().endswith(tuple(f".{kind}" for kind in LABELS))
    if not images and not label:
        return b""
    content: IO[bytes] | None = shard.extractfile(entry)
    return content.read() if content else b""


def _library() -> Any:
    try:
        import webdataset
    except ImportError:
        raise DataError("shards need webdataset, which is not installed", how_to_install("shards", "webdataset")) from None
    return webdataset
