"""How many threads PyTorch's own work takes on a CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from archc.analysis.cost.report import analyze
from archc.graph import Graph
from archc.recipe import Recipe
from archc.training.distributed import World
from archc.training.memory import each

SMALL = 200_000_000  # MACs of a pass forward, below which threads wait for each other longer than they work


@contextmanager
def threads(graph: Graph, recipe: Recipe, world: World) -> Iterator[None]:
    """One thread inside for a small network on a CPU, unless OMP_NUM_THREADS says otherwise."""
    before = torch.get_num_threads()
    small = analyze(graph).macs * each(recipe, world) < SMALL
    if world.device.type == "cpu" and small and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
