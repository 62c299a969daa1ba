"""What the tests of `archc build` share: specs, and what was written."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

NET = """
name: tiny
input: [3, 8, 8]
params: {classes: 4}
layers:
  conv: {conv: {channels: 6, kernel: 3, padding: 1, bias: false}}
  bn: batchnorm
  act: relu
  pool: global_avgpool
  flatten: flatten
  drop: {dropout: 0.5}
  fc: {linear: $classes}
"""
HEADS = """
name: heads
input: [3, 8, 8]
outputs: {output: fc, aux: aux}
layers:
  conv: {conv: {channels: 4, kernel: 3}}
  aux: {train_only: true, layers: {pool: global_avgpool, flatten: flatten, fc: {linear: 5}}}
  relu: relu
  flatten: flatten
  fc: {linear: 5}
"""
WORDS = "name: words\ninput: [6]\nlayers: {table: {embedding: {entries: 11, features: 3}}, flatten: flatten, fc: {linear: 2}}\n"
NAMES = ["conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "bn.num_batches_tracked", "fc.weight", "fc.bias"]

Run = Callable[..., tuple[int, str, str]]
Refused = Callable[..., str]


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() if path.is_file() else b"" for path in sorted(Path().iterdir())}


def made(file: str, weights: str) -> Any:
    """The network of a written source with written weights, by PyTorch and safetensors alone."""
    import torch as pytorch
    from safetensors.torch import load_file

    module = next(one for name, one in reversed(runpy.run_path(file).items()) if isinstance(one, type))()
    state = load_file(weights) if weights.endswith(".safetensors") else pytorch.load(weights, weights_only=True)
    module.load_state_dict(state, strict=True)
    return module.eval()


def equal(one: Any, other: Any) -> bool:
    return list(one) == list(other) and all(one[name].equal(other[name]) for name in one)
