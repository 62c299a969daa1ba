"""A network whose recipe says every setting, and that recipe as it is read."""

from __future__ import annotations

from archc.elaborate.compiler import compile_text
from archc.graph import Graph
from archc.recipe.recipe import Data, EarlyStop, Part, Recipe

HEAD = """archc: 1
input: [3, 16, 16]
params: {length: 7, base: 0.2, how: {cosine: {end: 0.1}}, kinds: [flip, vertical_flip]}
layers:
  stem: {conv: {channels: 4, kernel: 3}}
  bn: batchnorm
  aux1: {train_only: true, layers: [global_avgpool, flatten, {linear: 10}]}
  pool: global_avgpool
  flatten: flatten
  fc: {linear: 10}
"""
WHOLE = """train:
  data: {source: photos/, format: folder, validation: 0.1, size: 224, corrupt: skip, workers: 2}
  batch: fit
  epochs: 20
  optimizer: {adamw: {lr: 1e-3, weight_decay: 0.05}}
  schedule: {cosine: {end: 0.01}}
  warmup: 2
  decay_norms: true
  loss: {cross_entropy: {smoothing: 0.1}}
  heads: {aux1: 0.4}
  clip: 1
  accumulate: 2
  precision: bf16
  ema: 0.999
  mixup: 0.2
  cutmix: 1.0
  augment: [flip, {crop: {padding: 2}}, {rotation: 15}]
  rates: {"stem.*": 0.1, "*.bias": 2}
  freeze: [stem.*]
  unfreeze: {5: [stem.weight], 3: stem.bias}
  stop: {patience: 10, monitor: loss}
  seed: 3
  strategy: ddp
  compile: true
  optimize: true
  checkpoint: blocks
  save_every: 100
"""
READ = Recipe(
    data=Data("photos/", "folder", 0.1, (224, 224), "skip", 2),
    batch=0,
    epochs=20,
    optimizer=Part("adamw", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.05, "amsgrad": False}),
    schedule=Part("cosine", {"end": 0.01}),
    warmup=2,
    decay_norms=True,
    loss=Part("cross_entropy", {"smoothing": 0.1}),
    heads={"aux1": 0.4},
    clip=1,
    accumulate=2,
    precision="bfloat16",
    ema=0.999,
    mixup=0.2,
    cutmix=1.0,
    augment=(Part("flip", {"p": 0.5}), Part("crop", {"padding": 2}), Part("rotation", {"degrees": 15})),
    rates={"stem.*": 0.1, "*.bias": 2},
    freeze=("stem.*",),
    unfreeze={3: ("stem.bias",), 5: ("stem.weight",)},
    stop=EarlyStop(10, "loss"),
    seed=3,
    strategy="ddp",
    compile=True,
    optimize=True,
    checkpoint="blocks",
    save_every=100,
)


def of(train: str = "") -> Graph:
    """The network with a recipe."""
    model = compile_text(HEAD + train)
    assert model.graph is not None, [one.message for one in model.diagnostics]
    return model.graph


PLAIN = of()
