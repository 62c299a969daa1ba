"""What it costs to capture a module, beside the forward passes that are made for it and beside the counters of others. By hand:

pytest tests/benchmarks/test_capture.py -o addopts= --benchmark-only -s

Ratios in one run. torchinfo is compared where it is installed; it runs the module on the CPU, the others on `meta`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.tracing.capture import FEW, MORE
from archc.tracing.running import empty_copy

ROUNDS = 7
INPUT = (3, 224, 224)
PASSES = ((FEW, True), (FEW, False), (MORE, True))  # images and mode of the runs that a capture makes


def seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def run_on_meta(module: Any, batch: int, training: bool) -> None:
    module.train(training)
    with torch.no_grad():
        module(torch.empty(batch, *INPUT, device="meta"))


def count_by_torch(module: Any) -> int:
    module.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.empty(1, *INPUT, device="meta"))
    return int(counter.get_total_flops())


def count_by_torchinfo(module: Any) -> Any:
    from torchinfo import summary

    return summary(module, input_size=(1, *INPUT), verbose=0)


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "vit_b16"])
def test_a_capture(name: str, benchmark: BenchmarkFixture) -> None:
    module = archc.build(archc.load(name))
    empty = empty_copy(module)
    ours: dict[str, Callable[[], Any]] = {
        "analyze(module, input=…)": lambda: archc.analyze(module, input=INPUT),
        "capture": lambda: archc.capture(module, INPUT),
        "its forward passes on meta": lambda: [run_on_meta(empty, *one) for one in PASSES],
        "torch's counter on meta": lambda: count_by_torch(empty),
    }
    if find_spec("torchinfo") is not None:
        ours["torchinfo"] = lambda: count_by_torchinfo(module)
    first = {what: seconds(call) for what, call in ours.items()}  # with what each imports at its first use
    taken: dict[str, list[float]] = {what: [] for what in ours}
    for _ in range(ROUNDS):
        for what, call in ours.items():
            taken[what].append(seconds(call))
    benchmark.pedantic(ours["capture"], rounds=3)
    print(f"\n{name}, seconds of processor time: the first call, the median of {ROUNDS} more, and that over analyze(module, …)")
    unit = median(taken["analyze(module, input=…)"])
    for what, times in taken.items():
        print(f"  {what:27} {first[what]:6.2f} {median(times):7.3f} {median(times) / unit:6.2f}")
    assert median(taken["capture"]) <= 2 * median(taken["its forward passes on meta"])
