"""Modules trained by several processes: gradients are those of the plain module."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from .seen import inputs_of
from .test_module import graph_of, module_of, step

pytestmark = pytest.mark.skipif(not distributed.is_available(), reason="this PyTorch has no torch.distributed")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A process group of one."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", ["googlenet", "shared", "several", "dropping"])
def test_distributed_data_parallel(name: str) -> None:
    plain, inputs = module_of(name).train(), inputs_of(graph_of(name))
    wrapped = DistributedDataParallel(copy.deepcopy(plain))
    step(plain, inputs)
    step(wrapped, inputs)
    pairs = list(zip(plain.parameters(), wrapped.module.parameters(), strict=True))
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs) and any(a.grad.any() for a, _ in pairs)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", ["resnet18", "vit_b16", "listed"])
def test_fully_sharded(name: str) -> None:
    """FSDP2: the innermost parts first, the network last."""
    fsdp = pytest.importorskip("torch.distributed.fsdp")
    if not hasattr(fsdp, "fully_shard"):
        pytest.skip("this PyTorch has no fully_shard")
    plain, inputs = module_of(name).train(), inputs_of(graph_of(name))
    sharded = copy.deepcopy(plain)
    mesh = distributed.device_mesh.init_device_mesh("cpu", (1,))
    for part in reversed([one for one in sharded.modules() if type(one).__module__ == type(plain).__module__]):
        fsdp.fully_shard(part, mesh=mesh)
    step(plain, inputs)
    step(sharded, inputs)
    assert all(torch.equal(a.grad, b.grad.full_tensor()) for a, b in zip(plain.parameters(), sharded.parameters(), strict=True))


def _worker(rank: int, module: nn.Module, inputs: list[torch.Tensor], place: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{place}/group", rank=rank, world_size=2)
    step(DistributedDataParallel(module), [one[2 * rank : 2 * rank + 2] for one in inputs])
    torch.save([one.grad for one in module.parameters()], f"{place}/{rank}")
    distributed.destroy_process_group()


@pytest.mark.heavy  # tests/training/test_processes.py trains in two
def test_two_processes(tmp_path: Path) -> None:
    """The module is pickled to both; their gradients become the mean of what each half of the batch gives alone."""
    module, inputs = module_of("several").train(), inputs_of(graph_of("several"), batch=4)
    multiprocessing.spawn(_worker, (module, inputs, os.fspath(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / str(rank)) for rank in range(2))
    halves = [copy.deepcopy(module) for _ in range(2)]
    for at, half in enumerate(halves):
        step(half, [one[2 * at : 2 * at + 2] for one in inputs])
    means = [(a.grad + b.grad) / 2 for a, b in zip(*(half.parameters() for half in halves), strict=True)]
    assert all(map(torch.equal, first, second)) and any(one.any() for one in means)
    assert all(torch.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in zip(first, means, strict=True))
