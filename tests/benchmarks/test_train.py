"""The loop of `archc train` against a bare loop over the same steps. By hand: `pytest tests/benchmarks -o addopts= --benchmark-only -s`.

The bare loop has the same module, optimizer and images, which lie ready as tensors: no checks, no figures, no draws, no schedule.
Seconds are those of the processor, so that what else the machine does bears on them little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ignite")
import torch
from ignite.engine import Events
from pytest_benchmark.fixture import BenchmarkFixture
from torch.nn import functional as F

import archc
from archc.recipe import Part
from archc.training.batches import Batch
from archc.training.distributed import World
from archc.training.loop import Loop
from archc.training.options import TrainOptions
from archc.training.progress import ProgressReporter
from archc.training.run import RunFolder
from archc.training.setup import Setup, open_training_data, setup
from tests.benchmarks.measuring import compare, conditions, threads

STEPS = 5


def ready(name: str, batch: int) -> Setup:
    graph = archc.load(name)
    recipe = replace(graph.recipe, batch=batch, augment=(), epochs=1000, optimizer=Part("momentum", {"lr": 0.01}), ema=None, mixup=0.0,
                     cutmix=0.0,
                     data=replace(graph.recipe.data, source="digits"), clip=None, accumulate=1, precision="float32")  # fmt: skip
    return setup(graph, recipe, open_training_data(graph, recipe), World(0, 1, torch.device("cpu")), TrainOptions(device="cpu"))


def bare(made: Setup) -> Callable[[], None]:
    stepper = made.stepper
    given = [(stepper.prepare(*one, 0)) for step in range(STEPS) for one in read(made, step).passes]

    def run() -> None:
        for images, labels in given:
            stepper.optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(stepper.bare(images), labels).backward()
            stepper.optimizer.step()

    return run


def read(made: Setup, step: int) -> Batch:
    images, labels = made.data.train.read(made.order.passes(step)[0])
    return Batch(step, [(torch.from_numpy(images), torch.from_numpy(labels))])


def whole(made: Setup, folder: Path) -> Callable[[], None]:
    """Steps of the loop: images read and normalized, schedule, checks, ignite's events."""
    loop = Loop(made, RunFolder(folder), ProgressReporter(TrainOptions(), folder, 1, True))
    loop.engine.remove_event_handler(loop._end_epoch, Events.EPOCH_COMPLETED)

    def run() -> None:
        loop.engine.run((read(made, step) for step in range(STEPS)), max_epochs=1, epoch_length=STEPS)
        loop.engine.state.max_epochs = None

    return run


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "batch"), [("lenet5", 64), ("resnet20_cifar", 64)])
def test_the_loop_against_a_bare_one(benchmark: BenchmarkFixture, tmp_path: Path, name: str, batch: int) -> None:
    with threads(1):
        made, other = ready(name, batch), ready(name, batch)
        timings = compare({"bare": bare(made), "archc": whole(other, tmp_path)}, rounds=9, warm=1, clock=time.process_time)
        ratio, seconds = timings["archc"].ratio, {key: one.time.median / STEPS for key, one in timings.items()}
        print(f"\n{name}, batch {batch}: {ratio} times a bare loop; a step {seconds['bare'] * 1e3:.2f} and {seconds['archc'] * 1e3:.2f} ms")
        print(conditions())
        benchmark.extra_info["ratio"] = str(ratio)
        benchmark.pedantic(lambda: None, rounds=1)
