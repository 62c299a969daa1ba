"""Training on shards: each step's images, over epochs, processes and a resume."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("ignite")

import archc
from archc.data import open_data
from archc.recipe import Data, Part
from archc.training.batches import DataOrder, StreamReader, pass_sizes
from archc.training.distributed import World
from archc.training.fit import fit, resume_run
from archc.training.options import TrainOptions
from archc.training.run import RunFolder
from tests.helpers.image_sets import shard

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Digits in seven shards of unequal length."""
    folder = tmp_path_factory.mktemp("shards")
    digits = open_data(Data(), (1, 28, 28), 0)
    from PIL import Image

    images, labels = digits.train.read(range(230))
    for number, rows in enumerate(np.array_split(np.arange(230), 7)):
        more = {}
        for row in rows:
            import io

            out = io.BytesIO()
            Image.fromarray(images[row, 0]).save(out, "PNG")
            more |= {f"{row:04}.png": out.getvalue(), f"{row:04}.cls": str(labels[row]).encode()}
        shard(folder / f"train-{number:03}.tar", [], [], more=more)
    return folder


def opened(shards):
    return open_data(Data(str(shards), validation=0.0), (1, 28, 28), 0)


def read(shards, steps, images=230, batch=32, rank=0, size=1, accumulate=1):
    order = DataOrder(images, batch, 5, rank, size, accumulate)
    reader = StreamReader(opened(shards).train, order, World(rank, size, CPU))
    return [reader.read(step) for step in steps]


def bytes_of(batches):
    return [image.numpy().tobytes() for batch in batches for images, _ in batch.passes for image in images]


def test_an_epoch_has_each_image_once(shards):
    found = Counter(bytes_of(read(shards, range(7), batch=32)))
    assert sum(found.values()) == 224
    every = Counter(image.tobytes() for image, _ in opened(shards).train.stream(0, 0))
    assert sum(every.values()) == 230 and all(count <= every[image] for image, count in found.items())


def test_a_later_step_is_found_again(shards):
    whole = read(shards, range(16))
    for start in (3, 7, 9, 15):
        assert bytes_of(read(shards, range(start, 16))) == bytes_of(whole[start:])
    assert bytes_of(whole[:7]) != bytes_of(whole[7:14])


def test_processes_share_a_step_and_begin_again_where_their_shards_end(shards):
    one, two = (read(shards, range(7), rank=rank, size=2) for rank in (0, 1))
    assert [len(batch.passes[0][1]) for batch in one + two] == [16] * 14
    here, there = bytes_of(one), bytes_of(two)
    own = min(sum(1 for _ in opened(shards).train.stream(5, 0, rank, 2)) for rank in (0, 1))
    assert own < 112 == len(here) == len(there)
    assert not set(here[:own]) & set(there[:own])


@pytest.mark.parametrize(("batch", "size", "accumulate"), [(32, 1, 1), (33, 2, 1), (33, 2, 3), (7, 3, 2)])
def test_passes_are_as_long_as_those_of_a_set_with_indices(batch, size, accumulate):
    for rank in range(size):
        order = DataOrder(230, batch, 0, rank, size, accumulate)
        assert pass_sizes(order) == [len(one) for one in order.passes(0)]


def test_a_network_learns_from_shards_and_goes_on(shards, tmp_path):
    class Ended(Exception):
        pass

    graph = archc.load("lenet5")
    recipe = replace(
        graph.recipe, data=Data(str(shards), validation=0.2), epochs=3, batch=16, optimizer=Part("adam", {"lr": 3e-3}), augment=()
    )

    def end(line: str) -> None:
        if line.startswith("epoch 2"):
            raise Ended

    whole = fit(graph, recipe, RunFolder(tmp_path / "whole"), TrainOptions(device="cpu", pictures=False))
    with pytest.raises(Ended):
        fit(graph, recipe, RunFolder(tmp_path / "ended"), TrainOptions(device="cpu", pictures=False, say=end))
    resumed = resume_run(tmp_path / "ended", TrainOptions(device="cpu", pictures=False))
    assert whole.metrics["accuracy"] > 0.5
    assert all(torch.equal(value, resumed.module.state_dict()[name]) for name, value in whole.module.state_dict().items())
