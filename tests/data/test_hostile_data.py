"""Sets of a stranger: pipes, links that lead elsewhere, archives that unpack without end. Each is a sentence, and soon."""

from __future__ import annotations

import gzip
import io
import os
import struct
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from archc.data import DataError, open_data
from archc.data.formats import shards as shards_room
from archc.recipe import Data
from tests.helpers import image_sets

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
pytestmark = [posix, pytest.mark.timeout(300)]  # a hang, not a busy machine


def told(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        data = open_data(Data(source=str(path)), (1, 28, 28), 0)
        list(data.train.stream(0, 0))
    return str(caught.value)


SETS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "idx": (image_sets.idx, ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte")),
    "packed idx": (lambda folder: image_sets.idx(folder, packed=True), ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")),
    "cifar": (image_sets.cifar10, ("data_batch_2.bin", "test_batch.bin", "batches.meta.txt")),
    "cifar100": (image_sets.cifar100, ("train.bin", "test.bin", "fine_label_names.txt")),
    "shards": (lambda folder: image_sets.shard(folder / "a.tar", ["x", "y"], [0, 1]), ("a.tar",)),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, (_, names) in SETS.items() for name in names])
def test_pipes_and_links_out_of_the_set(kind: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    SETS[kind][0](folder)
    real = folder / name
    real.rename(folder / "inside")
    real.symlink_to("inside")
    open_data(Data(source=str(folder)), (3 if "cifar" in kind else 1, 32, 32), 0)  # within the folder it may
    real.unlink()
    (folder / "inside").rename(tmp_path / "outside")
    real.symlink_to("../outside")
    assert "is a link that leaves" in told(folder)
    real.unlink()
    os.mkfifo(real)
    assert "regular file" in told(folder)


def test_names_of_classes_are_no_pipe_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    image_sets.idx(tmp_path / "set")
    (tmp_path / "names").write_text("a\nb\n")
    names = tmp_path / "set" / "classes.txt"
    names.symlink_to("../names")
    assert "is a link that leaves" in told(tmp_path / "set")
    names.unlink()
    os.mkfifo(names)
    assert "regular file" in told(tmp_path / "set")


def test_a_small_file_that_unpacks_to_very_much(tmp_path: Path) -> None:
    """300 kB for 300 MB: no image is packed like that. One that is small, or packs as images do, is read."""
    image_sets.idx(tmp_path, packed=True)
    count = (300 << 20) // 784
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as file:
        file.write(struct.pack(">IIII", 0x0803, count, 28, 28))
        for _ in range(300):
            file.write(bytes(1 << 20))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(out.getvalue())
    assert "would unpack to" in told(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(struct.pack(">IIII", 0x0803, 40, 28, 28) + bytes(40 * 784)))
    assert len(open_data(Data(source=str(tmp_path), validation=0.0), (1, 28, 28), 0).train) == 40


def shard(path: Path, entries: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as file:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))


def test_entries_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    for entries, says in (
        ([("x.png", b"1"), ("x.cls", b"0"), ("x.png", b"2")], "x.png stands twice"),
        ([("x.png", b"1"), ("x.PNG", b"2"), ("x.cls", b"0")], "x.PNG stands twice"),
        ([(f"x.{i}.png", b"1") for i in range(100)], "more than 32 entries have one name"),
        ([("x.\x1b[31m.png", b"1")] * 2, "stands twice"),
    ):
        shard(tmp_path / "a.tar", entries)
        assert says in (text := told(tmp_path)) and "\x1b" not in text
    monkeypatch.setattr(shards_room, "MOST_BYTES", 1000)
    shard(tmp_path / "a.tar", [("x.a.png", bytes(600)), ("x.b.png", bytes(600))])
    assert "has 1,200 bytes with the entries of its name" in told(tmp_path)


def test_an_entry_with_holes(tmp_path: Path) -> None:
    """A GNU sparse entry of 512 bytes that stands for a gigabyte."""
    entry = tarfile.TarInfo("x.png")
    entry.size, entry.type = 512, tarfile.GNUTYPE_SPARSE
    head = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    head[386:410] = b"00000000000\0" + b"00000001000\0"  # where it begins, and how long it is
    head[482] = 0
    head[483:495] = b"10000000000\0"  # the size with its holes: a gigabyte
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(bytes(head) + bytes(512) + bytes(1024))
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    assert "is stored with holes" in told(tmp_path)


def test_an_image_that_is_a_pipe(tmp_path: Path) -> None:
    from archc.data import read_image

    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", Path("/dev/zero")):
        with pytest.raises(DataError, match="it is not a regular file"):
            read_image(path, (1, 8, 8))
