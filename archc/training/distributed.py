"""The processes of a training: how they are started, find each other, share a module and exchange figures."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ignite.distributed as idist
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard

from archc.errors import Argument
from archc.runtime.build.place import PlaceError, device_of
from archc.training.options import TrainError

_MESHES: list[Any] = []  # of this process, until its group ends
STRATEGIES = ("auto", "single", "ddp", "fsdp")


@dataclass(frozen=True, slots=True)
class World:
    """This process among all: its number, how many there are, its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes."""
        return self.sum(value) / self.size if self.size > 1 else value

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is so in a process."""
        return flag if self.size == 1 else bool(self.sum(torch.tensor(int(flag), device=self.device)))

    def gather(self, value: str) -> list[str]:
        """A text of each process, for all."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return [str(word) for word in found]

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()

    def share(self, value: Any) -> Any:
        """The first process's value, for all."""
        if self.size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]


def is_launched() -> bool:
    """Whether torchrun or SLURM started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 or ("SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1)


def real_device(device: str) -> torch.device:
    """A device on which tensors have values. Raises PlaceError."""
    where = device_of(device)
    if where.type == "meta":
        raise PlaceError(Argument("device", str(device)), ": a network has no values there; write cpu, cuda or auto")
    return where


@contextmanager
def world_of(device: str) -> Iterator[World]:
    """The processes that there are; a group that was not there before ends with the context. Raises PlaceError."""
    where = real_device(device)
    own = is_launched() and not dist.is_initialized()
    if own:
        idist.initialize("nccl" if where.type == "cuda" else "gloo")
    try:
        if not dist.is_initialized():
            yield World(0, 1, where)
            return
        if where.type == "cuda":
            # each process has a GPU of its own, or they take turns where there are fewer
            where = torch.device("cuda", idist.get_local_rank() % torch.cuda.device_count())
            torch.cuda.set_device(where)
        yield World(dist.get_rank(), dist.get_world_size(), where)
    finally:
        if own:
            _end_group()


def _end_group() -> None:
    """The group's end. What still refers to it would keep its threads, which may abort the process at its exit (pytorch/pytorch#179291)."""
    gc.collect()
    for mesh in _MESHES:  # PyTorch's caches of layouts keep a mesh, and it the group
        getattr(mesh, "_pg_registry", {}).clear()
    _MESHES.clear()
    idist.finalize()
    gc.collect()


def strategy_of(wanted: str, module: nn.Module, world: World) -> str:
    """single, ddp or fsdp. `auto` takes ddp while weights, gradients and two states of an optimizer fill at most half of a GPU."""
    if world.size == 1:
        return "single"
    if wanted == "single":
        raise TrainError(f"strategy: single is for one process, and there are {world.size}; write auto, ddp or fsdp")
    if wanted != "auto":
        return wanted
    if world.device.type != "cuda":
        return "ddp"
    # the weight, its gradient, and two states, as Adam keeps them
    needed = 4 * sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    return "fsdp" if 2 * needed > torch.cuda.get_device_properties(world.device).total_memory else "ddp"


def wrap_module(module: nn.Module, strategy: str, world: World) -> nn.Module:
    """The module whose forward all processes call together."""
    if strategy == "ddp":
        if not any(parameter.requires_grad for parameter in module.parameters()):
            return module
        places = [world.device] if world.device.type == "cuda" else None
        with warnings.catch_warnings():  # the newer name of broadcast_buffers is not in every PyTorch that archc takes
            warnings.simplefilter("ignore", FutureWarning)
            return nn.parallel.DistributedDataParallel(module, device_ids=places, broadcast_buffers=False)
    if strategy == "fsdp":
        _shard(module, world)
    return module


def _shard(module: nn.Module, world: World) -> None:
    """Parameters of each part lie in pieces on the processes, and come together while the part runs."""
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(world.device.type, (world.size,))
    _MESHES.append(mesh)
    for part in _units(module):
        fully_shard(part, mesh=mesh)
    fully_shard(module, mesh=mesh)


def _units(module: nn.Module) -> list[nn.Module]:
    """The direct parts whose parameters no other part has; layers that run as functions of their tensors stay with the whole."""
    parts = [part for part in module.children() if any(True for _ in part.parameters())]
    owners: dict[int, int] = {}
    for part in parts:
        for number in {id(parameter) for parameter in part.parameters()}:
            owners[number] = owners.get(number, 0) + 1
    return [
        part
        for part in parts
        if all(owners[id(parameter)] == 1 for parameter in part.parameters()) and next(part.children(), None) is not None
    ]


@contextmanager
def no_sync(module: nn.Module, last: bool) -> Iterator[None]:
    """Inside, gradients are added up and not sent, unless this is the last pass of a step."""
    if isinstance(module, nn.parallel.DistributedDataParallel) and not last:
        with module.no_sync():
            yield
        return
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(last)
    yield


def reshard(module: nn.Module) -> None:
    """Sharded parameters lie in pieces again: without a backward pass those of the whole stay together after a forward pass."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def broadcast_buffers(module: nn.Module, world: World) -> None:
    """Buffers become those of the first process: statistics of batch normalization are of each process's images."""
    if world.size > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


def launch(words: Sequence[str], processes: int) -> int:
    """`archc WORDS` in so many processes; the exit status of the one that failed, or 0."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in ("torch.distributed.elastic", "torch.distributed.elastic.agent.server.api", "torch.distributed.launcher"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what went wrong was told by the process itself
    # else each process would start as many threads as there are cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, rdzv_backend="c10d", rdzv_endpoint="localhost:0", run_id="archc", max_restarts=0
    )
    try:
        elastic_launch(config, sys.executable)("-m", "archc", *words)
    except ChildFailedError as error:
        return min((failure.exitcode for failure in error.failures.values() if failure.exitcode > 0), default=1)
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        return 128 + error.sigval
    return 0
