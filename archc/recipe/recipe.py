"""A recipe: what `archc train` does, with every default filled in. Nothing here reads YAML or knows torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import translate
from typing import Any

from archc.recipe.tables import LOSSES, OPTIMIZERS, SCHEDULES
from archc.signature.choices import Choice
from archc.text.writing import text_of


@dataclass(frozen=True, slots=True)
class Part:
    """One thing out of a table by its name, with all of its arguments: an optimizer, a schedule, a loss, an augmentation."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def default_part(table: Mapping[str, Choice], name: str) -> Part:
    """One of a table with its default arguments."""
    return Part(name, table[name].defaults())


@dataclass(frozen=True, slots=True)
class Data:
    """Where images and labels come from.

    source: the name of a set that ships with the installation, or a path
    format: auto, or what a path holds: idx, cifar, folder, shards
    validation: the part of the training images held out, where the source has no validation images of its own
    size: height and width that images of a folder or of shards are brought to; None takes those of the network's input
    corrupt: what to do with a file that is not a readable image: error or skip
    workers: processes that read
    images: of an epoch, where the source is a stream; 0 counts them, which reads all shards once
    white: the value of 16-bit images that becomes 255; None finds it: the largest value of 8, 10, 12, 14 or 16 bits
    """

    source: str = "digits"
    format: str = "auto"
    validation: float = 0.2
    size: tuple[int, int] | None = None
    corrupt: str = "error"
    workers: int = 0
    images: int = 0
    white: int | None = None


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Training ends early once `monitor` (accuracy or loss, of the validation images) was not better by `least` for `patience` epochs."""

    patience: int
    monitor: str = "accuracy"
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    batch: images of a step of the optimizer, over all processes and accumulated passes; 0 stands for `fit`, the most that memory takes
    schedule: how the learning rate goes, once per step; `warmup`: epochs in which it rises to the start of the schedule
    decay_norms: whether norms, biases and other tensors of one axis are decayed as well
    heads: the weight of each further output's loss, by name; those that are not named have 0.3 (GoogLeNet's) in training
    clip: the largest norm of all gradients together; accumulate: passes of a step
    ema: the decay of averaged weights, which are then evaluated in place of the weights and saved as best
    mixup, cutmix: the parameter of their Beta distribution, 0 for neither
    rates: factors of the learning rate by patterns over names of tensors, the last that fits; freeze: patterns of tensors that stay
    unfreeze: patterns that begin to learn at an epoch, gradually
    strategy: auto, single, ddp or fsdp
    checkpoint: what backward recomputes to keep less until then: none, norms or blocks, as archc.build has them
    """

    data: Data = field(default_factory=Data)
    batch: int = 64
    epochs: int = 10
    optimizer: Part = field(default_factory=lambda: default_part(OPTIMIZERS, "adamw"))
    schedule: Part = field(default_factory=lambda: default_part(SCHEDULES, "cosine"))
    warmup: float = 0.0
    decay_norms: bool = False
    loss: Part = field(default_factory=lambda: default_part(LOSSES, "cross_entropy"))
    heads: Mapping[str, float] = field(default_factory=dict)
    clip: float | None = None
    accumulate: int = 1
    precision: str = "float32"
    ema: float | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    augment: tuple[Part, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    freeze: tuple[str, ...] = ()
    unfreeze: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    stop: EarlyStop | None = None
    seed: int = 0
    strategy: str = "auto"
    compile: bool = False
    optimize: bool = False
    checkpoint: str = "none"
    save_every: int = 0  # steps between checkpoints besides those at the end of each epoch


def recipe_text(recipe: Recipe) -> str:
    """Every key on a line of its own. It reads back as an equal recipe."""
    return "".join(f"{name}: {text_of(value)}\n" for name, value in written(recipe).items())


def written(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, in the form of the language."""
    values = {field.name: _plain(getattr(recipe, field.name)) for field in fields(recipe)}
    return {**values, "batch": recipe.batch or "fit"}


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        options = {name: _plain(option) for name, option in value.options.items() if option is not None}
        return {value.name: options} if options else value.name
    if isinstance(value, Data | EarlyStop):
        pairs = [(field.name, getattr(value, field.name)) for field in fields(value)]
        return {name: _plain(part) for name, part in pairs if part is not None}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def matching(pattern: str) -> Callable[[str], bool]:
    """Whether a name fits: `*` is any text, with dots; `?` a character; `[0-9]` one of several. A dot before it counts for nothing."""
    match = re.compile(translate(pattern.removeprefix("."))).match
    return lambda name: match(name) is not None
