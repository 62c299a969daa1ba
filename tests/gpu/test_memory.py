"""Memory of training on a GPU, predicted and measured; and the script that measures there, in small on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from archc.analysis.memory.timeline import training
from archc.catalog.devices.capacity import CONTEXT, WORKSPACES

from . import memory, memory_cases
from .memory import NETS, NUMBERS, PLANS
from .memory_cases import Bytes, Case, Loop

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA GPU here: its memory is not measured")
WITHIN = 0.03
GIB = 2**30


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@needs_cuda
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("net", NETS)
def test_peaks_on_a_gpu(net: str, numbers: str, plan: str) -> None:
    batch, side, _ = NETS[net]
    found = memory.row(Case(net, batch, side, NUMBERS[numbers], plan))
    assert not found.problem
    assert found.differences().keys() == {"tensors", "allocated", "reserved"}
    assert all(abs(part) <= WITHIN for part in found.differences().values()), found


@needs_cuda
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("net", ["resnet50", "densenet121", "mobilenet_v2", "vit_b16"])
def test_the_largest_batch_on_a_gpu(net: str, numbers: str) -> None:
    found = memory.largest(Case(net, 1, 224, NUMBERS[numbers]), 8 * GIB)
    assert found.ran and not found.more_ran, found


@needs_cuda
def test_what_is_not_for_tensors_on_a_gpu(record_property: Callable[[str, object], None]) -> None:
    """After a step of a convolutional network, what the device has given away beside the allocator's segments: the context, and cuDNN."""
    memory.row(Case("resnet18", 8, 224))
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    beside = total - free - torch.cuda.memory_reserved()
    record_property("total", total)
    record_property("beside the allocator", beside)
    assert 0 < beside <= CONTEXT + WORKSPACES, f"{beside / 2**20:.0f} MiB of {total / GIB:.2f} GiB"


LARGEST = [("resnet18", "momentum", 145), ("mobilenet_v2", "adamw", 80), ("googlenet", "momentum", 170), ("densenet121", "momentum", 120)]
LARGER = [("resnet18", "momentum", 300), ("mobilenet_v2", "adamw", 400), ("googlenet", "momentum", 400), ("densenet121", "momentum", 400)]


@pytest.mark.parametrize(("net", "optimizer", "mebibytes"), [*LARGEST, *(pytest.param(*one, marks=pytest.mark.heavy) for one in LARGER)])
def test_the_largest_batch_on_the_cpu(net: str, optimizer: str, mebibytes: int) -> None:
    """The batch that is predicted stays within the limit, by PyTorch's profiler, and 5% more, or one more, does not."""
    found = memory.largest(Case(net, 1, 64, optimizer=optimizer, device="cpu"), mebibytes * 2**20)
    assert found.case.batch > 1 and found.more == max(found.case.batch + 1, math.ceil(1.05 * found.case.batch))
    assert found.ran and not found.more_ran, found


@pytest.mark.parametrize("plan", PLANS)
def test_a_row_on_the_cpu(plan: str) -> None:
    """In float32 there is no difference at all."""
    found = memory.row(Case("mobilenet_v2", 2, 64, "", plan, "momentum", "cpu"))
    assert not found.problem and found.differences() == {"tensors": 0.0}


AUTOCAST = {"resnet18": 8, "vit_b16": 4, "googlenet": 16, "densenet121": 4, "mobilenet_v2": 16, "efficientnet_b0": 8}


@pytest.mark.heavy
@pytest.mark.parametrize("net", AUTOCAST)
def test_autocast_on_the_cpu(net: str) -> None:
    """No difference but the gradient of a bias in two bytes, which a linear layer's backward has let go of by the time of its peak."""
    case = Case(net, AUTOCAST[net], 32 if net == "vit_b16" else 64, "bfloat16", "", "momentum", "cpu")
    layer = training(case.graph(), case.options()).peak_mark.layer
    assert layer is not None
    biases = sum(weight.values for weight in layer.facts.owned if weight.role == "bias" and layer.kind == "linear")
    found = memory.row(case)
    assert found.predicted.tensors - found.measured.tensors == 2 * biases


def test_the_script_in_small(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--device", "cpu", "--quick", "--optimizer", "momentum", "--nets", "mobilenet_v2", "--numbers", "f32"]
    assert memory.main([*words, "--plans", "none"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("cpu, PyTorch ") and "| mobilenet\\_v2 | 2 | float32 | nothing | momentum |" in told and "| +0.00% |" in told


def test_the_script_for_a_limit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def first(case: Case, limit: int) -> bool:
        tried.append(case.batch)
        return len(tried) == 1

    monkeypatch.setattr(memory, "runs", first)
    words = ["--device", "cpu", "--quick", "--nets", "mobilenet_v2", "--plans", "none", "--numbers", "f32", "--largest", "600MiB"]
    assert memory.main(words) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "mobilenet" in line]
    assert tried[1] == math.ceil(1.05 * tried[0]) > tried[0] + 1
    assert row.endswith(f"| 600 MiB | {tried[0]} | runs | {tried[1]} | out of memory |")


def test_what_runs_out_of_memory_is_a_problem_of_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(case: Case) -> Bytes:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")

    monkeypatch.setattr(memory, "measured", fails)
    found = memory.row(Case("vgg16", 2, 32))
    assert found.problem.startswith("CUDA out of memory") and not found.differences()
    assert found.predicted.reserved >= found.predicted.allocated >= found.predicted.tensors
    assert "Tried to allocate" in memory.table([found])


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A GPU of 80 GiB that is the CPU: what is asked of torch.cuda is there, and limits are written down."""
    fractions: list[float] = []
    of_cpu = {
        "is_available": lambda: True,
        "synchronize": lambda: None,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda: None,
        "max_memory_allocated": lambda: 3 * GIB,
        "max_memory_reserved": lambda: 4 * GIB,
        "get_device_properties": lambda device: SimpleNamespace(total_memory=80 * GIB),
        "set_per_process_memory_fraction": fractions.append,
    }
    for name, stub in of_cpu.items():
        assert hasattr(torch.cuda, name)
        monkeypatch.setattr(torch.cuda, name, stub)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None, raising=False)
    for module in (memory, memory_cases):
        monkeypatch.setattr(module, "Loop", lambda case: Loop(replace(case, device="cpu")))
    return fractions


def test_a_row_as_on_a_gpu(pretended: list[float]) -> None:
    found = memory.row(Case("mobilenet_v2", 2, 64, "", "", "momentum"))
    assert (found.measured.allocated, found.measured.reserved) == (3 * GIB, 4 * GIB)
    assert found.differences().keys() == {"tensors", "allocated", "reserved"}
    space = found.measured.workspace
    assert found.differences()["reserved"] == (found.predicted.reserved + space) / (4 * GIB) - 1
    assert found.predicted.reserved >= found.predicted.allocated >= found.predicted.tensors


def test_a_limit_as_on_a_gpu(pretended: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """What raises OutOfMemoryError did not run; the limit is set before and lifted after."""
    case, steps = Case("mobilenet_v2", 1, 64, optimizer="momentum"), list[int]()

    def step(loop: Loop) -> None:
        steps.append(loop.case.batch)
        if loop.case.batch > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Loop, "step", step)
    assert memory.runs(replace(case, batch=3), 2 * GIB) and not memory.runs(replace(case, batch=4), 2 * GIB)
    assert steps == [3, 3, 3, 4] and pretended == [1 / 40, 1.0, 1 / 40, 1.0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said where there is no GPU")
def test_without_a_gpu_the_script_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        memory.main([])
    assert "PyTorch sees no GPU; --device cpu --quick" in capsys.readouterr().err
