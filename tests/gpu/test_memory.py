"""Memory of training on a GPU, predicted and measured; and the script that measures there, in small on the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

from . import memory
from .memory import NETS, NUMBERS, PLANS
from .memory_cases import Bytes, Case

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


LARGEST = [("resnet18", "momentum", 155), ("mobilenet_v2", "adamw", 80), ("googlenet", "momentum", 180), ("densenet121", "momentum", 120)]
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
    """No difference but what a layer's bias has in two bytes."""
    side = 32 if net == "vit_b16" else 64
    found = memory.row(Case(net, AUTOCAST[net], side, "bfloat16", "", "momentum", "cpu"))
    assert 0 <= found.predicted.tensors - found.measured.tensors <= 2 * 1000


def test_the_script_in_small(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--device", "cpu", "--quick", "--optimizer", "momentum", "--nets", "mobilenet_v2"]
    assert memory.main([*words, "--plans", "none"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("cpu, PyTorch ") and "| mobilenet\\_v2 | 2 | float32 | nothing | momentum |" in told and "| +0.00% |" in told
    assert "| mobilenet\\_v2 | 2 | bfloat16 | nothing | momentum |" in told


def test_the_script_for_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--device", "cpu", "--quick", "--nets", "mobilenet_v2", "--plans", "none", "--numbers", "f32", "--largest", "100MiB"]
    assert memory.main(words) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "mobilenet" in line]
    assert "100 MiB" in row and "| runs |" in row and row.endswith("| out of memory |")


def test_what_runs_out_of_memory_is_a_problem_of_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(case: Case) -> Bytes:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")

    monkeypatch.setattr(memory, "measured", fails)
    found = memory.row(Case("vgg16", 2, 32))
    assert found.problem.startswith("CUDA out of memory") and not found.differences()
    assert found.predicted.reserved >= found.predicted.allocated >= found.predicted.tensors
    assert "Tried to allocate" in memory.table([found])


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said where there is no GPU")
def test_without_a_gpu_the_script_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        memory.main([])
    assert "PyTorch sees no GPU; --device cpu --quick" in capsys.readouterr().err
