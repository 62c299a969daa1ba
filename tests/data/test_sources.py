"""Sets as they are stored: what is read is what was written, and what is wrong is said with what to do."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from archc.data import DataError, Normalization, check_classes, open_data
from archc.data.formats.idx import FASHION, FASHION_BEGINS
from archc.recipe import Data
from tests.helpers import image_sets


def opened(source: object, shape: tuple[int, ...] | None = None, **more: object):
    return open_data(Data(source=str(source), **more), shape, 0)


def told(source: object, shape: tuple[int, ...] | None = None, **more: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(source, shape, **more)
    return str(caught.value)


def everything(split) -> tuple[np.ndarray, np.ndarray]:
    return split.read(range(len(split)))


def test_digits_are_scikit_learns() -> None:
    found = opened("digits", (1, 8, 8))
    theirs = load_digits()
    seen = []
    for split in found.splits().values():
        images, labels = everything(split)
        rows = [int(split.name(i).removeprefix("digits[").removesuffix("]")) for i in range(len(split))]
        assert np.array_equal(images[:, 0], np.rint(theirs.images[rows] * 255 / 16)) and np.array_equal(labels, theirs.target[rows])
        seen += rows
    assert sorted(seen) == list(range(1797)) and found.classes == tuple("0123456789")
    assert [len(split) for split in found.splits().values()] == [1154, 288, 355]


def test_digits_enlarged_by_pillow() -> None:
    found = opened("digits", (3, 32, 32))
    images, _ = found.test.read([7])
    row = int(found.test.name(7)[7:-1])
    plain = Image.fromarray(np.rint(load_digits().images[row] * 255 / 16).astype(np.uint8))
    wanted = np.asarray(plain.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(images[0], np.stack([wanted] * 3))


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path: Path, packed: bool) -> None:
    files = image_sets.idx(tmp_path, packed=packed)
    found = opened(tmp_path, (1, 28, 28), validation=0.0)
    images, labels = everything(found.train)
    assert np.array_equal(images[:, 0], files["train-images"]) and np.array_equal(labels, files["train-labels"])
    images, labels = everything(found.test)
    assert np.array_equal(images[:, 0], files["t10k-images"]) and found.validation is None
    assert (found.format, found.classes, found.stored) == ("idx", tuple("0123456789"), (28, 28))


def test_idx_by_other_names_and_fashion(tmp_path: Path) -> None:
    labels = np.array([*FASHION_BEGINS, *range(10)], np.uint8)
    image_sets.write_idx(tmp_path / "train-labels.idx1-ubyte", labels)
    image_sets.write_idx(tmp_path / "train-images.idx3-ubyte", np.zeros((len(labels), 4, 4), np.uint8))
    assert opened(tmp_path).classes == FASHION
    (tmp_path / "classes.txt").write_text("\n".join(f"kind {i}" for i in range(10)))
    assert opened(tmp_path).classes[3] == "kind 3"
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    assert "a train label" in told(tmp_path) and "there are 2 classes" in told(tmp_path)


def test_idx_that_is_damaged(tmp_path: Path) -> None:
    image_sets.idx(tmp_path)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    whole = images.read_bytes()
    images.write_bytes(whole[:-100])
    assert "announces 40 x 28 x 28 = 31,360 bytes and has 31,260; it was cut off: download it again" in told(tmp_path)
    images.write_bytes(whole + b"x")
    assert "has more" in told(tmp_path)
    images.write_bytes(whole[:10])
    assert "ends within its head" in told(tmp_path)
    images.write_bytes(b"\x00\x00\x08\x03" + b"\xff" * 12)
    assert "announces 79,228,162,458,924,105,385,300,197,375 values" in told(tmp_path)
    images.write_bytes(gzip.compress(whole))
    assert "begins with 0x1f8b" in told(tmp_path) and "give it the ending .gz" in told(tmp_path)
    images.unlink()
    assert "has train-labels-idx1-ubyte, but no train-images-idx3-ubyte" in told(tmp_path)
    images.with_name(images.name + ".gz").write_bytes(gzip.compress(whole)[:-50])
    assert "it is damaged or was cut off" in told(tmp_path)
    images.with_name(images.name + ".gz").write_bytes(b"plainly not")
    assert "it is not a gzip file" in told(tmp_path)
    images.with_name(images.name + ".gz").unlink()
    images.write_bytes(whole)
    image_sets.write_idx(labels, np.zeros(39, np.uint8))
    assert "has 40 images" in told(tmp_path) and "39 labels" in told(tmp_path)


def test_cifar10(tmp_path: Path) -> None:
    batches = image_sets.cifar10(tmp_path / "cifar-10-batches-bin")
    found = opened(tmp_path, (3, 32, 32), validation=0.0)  # the download's parent will do
    images, labels = everything(found.train)
    records = np.concatenate(batches[:5])
    assert np.array_equal(images.reshape(-1, 3072), records[:, 1:]) and np.array_equal(labels, records[:, 0])
    assert np.array_equal(everything(found.test)[0].reshape(-1, 3072), batches[5][:, 1:])
    assert found.classes[:2] == ("airplane", "automobile") and found.format == "cifar"


def test_cifar100_has_its_fine_labels(tmp_path: Path) -> None:
    records = image_sets.cifar100(tmp_path)
    found = opened(tmp_path, validation=0.0)
    images, labels = everything(found.train)
    assert np.array_equal(labels, records[:, 1]) and np.array_equal(images.reshape(-1, 3072), records[:, 2:])
    assert len(found.classes) == 100


def test_cifar_that_is_wrong(tmp_path: Path) -> None:
    image_sets.cifar10(tmp_path / "a")
    batch = tmp_path / "a/data_batch_3.bin"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-1])
    assert "data_batch_3.bin has 61,459 bytes, which is not a whole number of images of 3,073 bytes" in told(tmp_path / "a")
    batch.write_bytes(whole[:3073] + b"\x0a" + whole[3074:])
    assert "image 1 has the label 10, and there are 10 classes" in told(tmp_path / "a")


def test_pickled_cifar_is_refused_unopened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "run",))

    for names, binary in (
        (("batches.meta", "data_batch_1", "test_batch"), "cifar-10-binary"),
        (("meta", "train", "test"), "cifar-100-binary"),
    ):
        at = tmp_path / binary
        at.mkdir()
        for name in names:
            (at / name).write_bytes(pickle.dumps(Bomb()))
        assert f"{binary}.tar.gz" in told(at) and "pickled" in told(at)
    assert not (tmp_path / "run").exists()


def test_what_is_not_there(tmp_path: Path) -> None:
    assert "there is no" in told(tmp_path / "none") and "`digits`" in told(tmp_path / "none")
    assert "does not ship" in told("mnist") and "train-images-idx3-ubyte.gz" in told("mnist")
    assert "there are no images in" in told(tmp_path)
    (tmp_path / "photos.zip").write_bytes(b"PK")
    assert "unpack photos.zip first" in told(tmp_path) and "unpack it first" in told(tmp_path / "photos.zip")
    image_sets.folder(tmp_path / "f")
    assert "train-images" in told(tmp_path / "f", format="idx") and "binary version" in told(tmp_path / "f", format="cifar")
    assert "no shards" in told(tmp_path / "f", format="shards")


@pytest.mark.parametrize(("shape", "says"), [((784,), "[784]"), ((4, 8, 8), "4 channels"), ((3, 16, 8, 8), "[3, 16, 8, 8]")])
def test_inputs_that_take_no_image(shape: tuple[int, ...], says: str) -> None:
    assert says in told("digits", shape)


def test_classes_and_outputs() -> None:
    found = opened("digits")
    check_classes(found, 10)
    with pytest.raises(DataError, match=r"10 classes, and the network has 1,000 outputs; write classes=10 where"):
        check_classes(found, 1000)


def test_a_run_can_store_it() -> None:
    found = opened("digits", (3, 8, 8))
    written = json.loads(json.dumps(found.to_dict()))
    assert Normalization.from_dict(written["normalization"]) == found.normalization
    assert written["images"] == {"train": 1154, "validation": 288, "test": 355}


def test_a_split_goes_to_other_processes() -> None:
    split = opened("digits").train
    assert np.array_equal(pickle.loads(pickle.dumps(split)).read([5])[0], split.read([5])[0])
