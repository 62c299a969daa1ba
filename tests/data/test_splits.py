"""Splits and statistics: held out by name, as much of each class; sums that are numpy's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.data import DataError, open_data
from archc.data.splits import hold_out, measure
from archc.recipe import Data
from tests.data.test_sources import everything, opened, told
from tests.helpers import image_sets


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=120), st.floats(0.01, 0.9))
def test_each_class_gives_its_part(labels: list[int], part: float) -> None:
    taken = hold_out(np.array(labels), part, [str(i) for i in range(len(labels))])
    for label, count in Counter(labels).items():
        held = sum(bool(one) for one, own in zip(taken, labels, strict=True) if own == label)
        assert abs(held - count * part) <= 0.5 or held in (1, count - 1)
        assert held < count and (held > 0 or count == 1)


def test_the_split_is_the_same_for_every_seed_and_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        image_sets.folder(tmp_path / name, each=10)
    names = [
        {Path(split.name(i)).relative_to(root) for i in range(len(split))}
        for root in (tmp_path / "a", tmp_path / "b")
        for seed in (0, 1)
        for split in [open_data(Data(source=str(root)), (3, 8, 8), seed).validation]
    ]
    assert all(one == names[0] for one in names) and len(names[0]) == 6


def test_a_new_image_leaves_the_others_where_they_are(tmp_path: Path) -> None:
    root = image_sets.folder(tmp_path, each=20)
    before = opened(root).validation
    held = {before.name(i) for i in range(len(before))}
    image_sets.picture((1, 1, 1)).save(root / "red/new.png")
    after = opened(root).validation
    assert len(held - {after.name(i) for i in range(len(after))}) <= 1


def test_parts_of_training_images() -> None:
    assert opened("digits", validation=0.0).validation is None
    assert len(opened("digits", validation=0.5).validation) == 721
    assert "data.validation is 1" in told("digits", validation=1.0)
    everywhere = [{split.name(i) for i in range(len(split))} for split in opened("digits").splits().values()]
    assert len(set.union(*everywhere)) == sum(map(len, everywhere)) == 1797


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 14, 20)])
def test_statistics_are_numpys(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image_sets.idx(tmp_path, train=300)
    found = opened(tmp_path, shape)
    values = everything(found.train)[0] / 255
    assert np.allclose(found.normalization.mean, values.mean((0, 2, 3)), rtol=1e-12)
    assert np.allclose(found.normalization.std, values.std((0, 2, 3)), rtol=1e-12)


def test_a_channel_of_one_value_can_be_divided_by(tmp_path: Path) -> None:
    image_sets.write_idx(tmp_path / "train-images-idx3-ubyte", np.full((20, 4, 4), 51, np.uint8))
    image_sets.write_idx(tmp_path / "train-labels-idx1-ubyte", (np.arange(20) % 2).astype(np.uint8))
    assert opened(tmp_path).normalization.to_dict() == {"mean": [0.2], "std": [1.0]}


def test_a_sample_is_near() -> None:
    found = opened("digits", (1, 8, 8))
    sampled = [measure(found.train, seed, sampled=400) for seed in (0, 0, 1)]
    assert sampled[0] == sampled[1] != sampled[2]
    assert np.allclose(sampled[0].mean, found.normalization.mean, rtol=0.05)


def test_large_sets_stay_as_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array that would be large as the network takes it is fitted as it is read."""
    image_sets.idx(tmp_path)
    small = opened(tmp_path, (3, 56, 56))
    monkeypatch.setattr("archc.data.readers.IN_MEMORY", 1000)
    large = opened(tmp_path, (3, 56, 56))
    assert np.array_equal(everything(small.train)[0], everything(large.train)[0])


def test_the_stream_of_an_array_has_each_image_once() -> None:
    split = opened("digits").validation
    seen = [image.tobytes() for rank in range(3) for image, _ in split.stream(4, 1, rank, 3)]
    assert sorted(seen) == sorted(image.tobytes() for image in everything(split)[0])
    with pytest.raises(DataError):
        opened("digits", (2, 8, 8))
