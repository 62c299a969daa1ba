"""Shards: streamed, shuffled by (seed, epoch), shared out to processes, nothing but images and labels opened."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from archc.data import DataError
from tests.data.test_sources import opened, told
from tests.helpers import image_sets

pytest.importorskip("webdataset", reason="pip install '.[shards]'")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(4):
        names = [f"{number}/{i:03d}" for i in range(6)]
        image_sets.shard(tmp_path / f"train-{number}.tar", names, [i % 3 for i in range(6)])
    image_sets.shard(tmp_path / "val-0.tar", ["v0", "v1", "v2"], [0, 1, 2])
    return tmp_path


def labels(split, *how: int) -> list[int]:
    return [label for _, label in split.stream(*how)]


def test_stream(root: Path) -> None:
    found = opened(root, (3, 24, 24))
    assert found.format == "shards" and found.classes == ("0", "1", "2") and found.train.length is None
    assert sorted(labels(found.train, 0, 0)) == sorted([0, 1, 2] * 8) and sorted(labels(found.validation, 0, 0)) == [0, 1, 2]
    assert found.train.counts(3) == [8, 8, 8]
    colors = np.array(list(image_sets.COLORS.values()))
    for image, label in found.train.stream(0, 0):
        assert image.shape == (3, 24, 24) and np.abs(image.mean((1, 2)) - colors[label]).max() < 15
    with pytest.raises(TypeError):
        len(found.train)


def test_order(root: Path) -> None:
    train = opened(root, (3, 24, 24)).train
    assert labels(train, 7, 2) == labels(train, 7, 2)
    assert len({tuple(labels(train, seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize("world", [1, 2, 3, 4, 5])
def test_processes_share_all(root: Path, world: int) -> None:
    """Together they have each image once: whole shards, or where there are more processes than shards, turns within them."""
    train = opened(root, (3, 24, 24)).train
    whole = sorted(image.tobytes() for image, _ in train.stream(1, 1, 0, 1))
    assert sorted(image.tobytes() for rank in range(world) for image, _ in train.stream(1, 1, rank, world)) == whole


def test_validation_held_out_by_name(tmp_path: Path) -> None:
    names = [f"{i:04d}" for i in range(300)]
    image_sets.shard(tmp_path / "a.tar", names, [i % 3 for i in range(300)])
    found = opened(tmp_path, (3, 8, 8), validation=0.2)
    train, held = sum(found.train.counts(3)), sum(found.validation.counts(3))
    assert train + held == 300 and 35 <= held <= 85


def test_names_as_labels(tmp_path: Path) -> None:
    image_sets.shard(tmp_path / "a.tar", ["a", "b", "c"], ["red", "blue", "red"], kind="txt")
    found = opened(tmp_path / "a.tar", (3, 8, 8), validation=0.0)
    assert found.classes == ("blue", "red") and found.train.counts(2) == [1, 2]
    (tmp_path / "classes.txt").write_text("red\nblue\ngreen\n")
    assert opened(tmp_path, validation=0.0).train.counts(3) == [2, 1, 0]


def test_nothing_else_is_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "run",))

    more = {f"x.{kind}": pickle.dumps(Bomb()) for kind in ("pyd", "pickle", "pth", "npy")}
    image_sets.shard(tmp_path / "a.tar", ["x", "y", "../../z"], [0, 1, 1], more=more)
    found = opened(tmp_path, (3, 8, 8), validation=0.0)
    assert sorted(labels(found.train, 0, 0)) == [0, 1, 1] and found.normalization.mean
    assert not (tmp_path / "run").exists() and not (tmp_path.parent.parent / "z.png").exists()


def test_shards_that_are_wrong(tmp_path: Path) -> None:
    image_sets.shard(tmp_path / "a.tar", ["x", "y"], [0, 7])
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    train = opened(tmp_path, (3, 8, 8), validation=0.0).train
    with pytest.raises(DataError, match="y has the label '7', and 2 classes are known"):
        labels(train, 0, 0)
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:700])
    with pytest.raises(DataError, match="cannot be read"):
        labels(train, 0, 0)
    (tmp_path / "a.tar").write_bytes(b"no tar")
    assert "cannot be read" in told(tmp_path)
    image_sets.shard(tmp_path / "a.tar", ["x"], ["red"], kind="caption")
    with pytest.raises(DataError, match="has no label"):
        labels(train, 0, 0)


def test_corrupt_images(tmp_path: Path) -> None:
    image_sets.shard(tmp_path / "a.tar", ["x", "y"], [0, 1], more={"bad.png": b"no", "bad.cls": b"0"})
    with pytest.raises(DataError, match=r"bad\.png is not a readable image"):
        labels(opened(tmp_path, (3, 8, 8), validation=0.0).train, 0, 0)
    found = opened(tmp_path, (3, 8, 8), validation=0.0, corrupt="skip")
    for _ in range(2):
        assert sorted(labels(found.train, 0, 0)) == [0, 1]
    assert [one.name for one in found.corrupt] == [f"{tmp_path / 'a.tar'}: bad.png"]


def test_an_entry_that_announces_too_much(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("x.png")
    entry.size = 1 << 40
    (tmp_path / "a.tar").write_bytes(entry.tobuf() + b"\0" * 2048)
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match="1,099,511,627,776 bytes"):
        labels(opened(tmp_path, (3, 8, 8), validation=0.0).train, 0, 0)


def test_compressed_shards_are_refused(tmp_path: Path) -> None:
    """What is packed has no bound on what it unpacks to."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz"):
        pass
    (tmp_path / "a.tar").write_bytes(out.getvalue())
    assert "cannot be read" in told(tmp_path, (3, 8, 8))
