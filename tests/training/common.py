"""Networks and recipes that are small, and a way to train them in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import archc
from archc.graph import Graph
from archc.recipe import Recipe
from archc.training.fit import fit
from archc.training.options import Outcome, TrainOptions
from archc.training.run import RunFolder
from archc.training.train import override_recipe

MLP = """
name: small
input: [1, 8, 8]
layers: [flatten, {linear: 16}, relu, {linear: 10}]
"""
# all that has a state or draws: batch normalization, dropout
NET = """
name: net
input: [1, 8, 8]
layers:
  - conv: {channels: 8, kernel: 3, padding: 1}
  - batchnorm
  - relu
  - maxpool: {kernel: 2}
  - flatten
  - dropout: 0.3
  - linear: 10
train:
  epochs: 2
  batch: 128
  optimizer: {momentum: {lr: 0.05}}
  warmup: 0.5
  ema: 0.9
  augment: [{translate: {fraction: 0.1}}, {rotation: {degrees: 10}}]
"""


PLAIN = TrainOptions(device="cpu", pictures=False)


def graph_of(text: str) -> Graph:
    return archc.loads(text)


def recipe_of(graph: Graph, **changes: Any) -> Recipe:
    return override_recipe(graph, changes)


def trained(text: str, folder: Path, options: TrainOptions | None = None, **changes: Any) -> Outcome:
    """A run in `folder`, on one thread."""
    torch.set_num_threads(1)
    graph = graph_of(text)
    return fit(graph, recipe_of(graph, **changes), RunFolder(folder), options or PLAIN)


def went_on(folder: Path) -> Outcome:
    from archc.training.fit import resume_run

    return resume_run(folder, PLAIN)


def figures(folder: Path) -> list[dict[str, float]]:
    """metrics.csv without what depends on the clock."""
    from archc.training.run import read_rows

    return [{name: value for name, value in row.items() if name != "seconds"} for row in read_rows(folder / "metrics.csv")]


__all__ = ["MLP", "NET", "PLAIN", "figures", "graph_of", "recipe_of", "replace", "trained", "went_on"]
