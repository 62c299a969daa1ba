"""The learning rate at a step, as a factor of the optimizer's: a function of the step alone, but for the plateau."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil, cos, inf, pi
from typing import Any

from archc.recipe import Part, Recipe
from archc.recipe.tables import SCHEDULES
from archc.training.record import PlateauState

Options = Mapping[str, Any]
Factor = Callable[[int], float]


def factor_of(recipe: Recipe, steps: int) -> Factor:
    """The factor at a step, counted from 0, where an epoch has `steps`.

    During warm-up it rises in a straight line, as torch's LinearLR from 1 / (warm + 1); what has a length then fills the steps that
    are left. Epochs that a schedule names are counted from the beginning.
    """
    warm = min(ceil(recipe.warmup * steps), recipe.epochs * steps)
    span = PhaseSpan(warm, max(1, recipe.epochs * steps - warm), steps)
    after = partial(_FACTORS[recipe.schedule.name], options_of(recipe.schedule), span)
    return lambda step: (step + 1) / (warm + 1) if step < warm else after(step)


def options_of(schedule: Part) -> Options:
    """Every argument, those that were not written with their defaults."""
    return SCHEDULES[schedule.name].defaults() | dict(schedule.options)


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """`start` steps of warm-up, `length` after it, `epoch` in an epoch."""

    start: int
    length: int
    epoch: int


def _constant(options: Options, span: PhaseSpan, step: int) -> float:
    return 1.0


def _step(options: Options, span: PhaseSpan, step: int) -> float:
    epoch = step / span.epoch
    drops = int(epoch / options["every"]) if options["every"] else sum(epoch >= at for at in options["at"])
    return float(options["gamma"] ** drops)


def _exponential(options: Options, span: PhaseSpan, step: int) -> float:
    return float(options["gamma"] ** ((step - span.start) / span.epoch))


def _polynomial(options: Options, span: PhaseSpan, step: int) -> float:
    left = max(0.0, 1 - (step - span.start) / span.length)
    return float(options["end"] + (1 - options["end"]) * left ** options["power"])


def _cosine(options: Options, span: PhaseSpan, step: int) -> float:
    return _between(1.0, options["end"], min(1.0, (step - span.start) / span.length), "cos")


def _one_cycle(options: Options, span: PhaseSpan, step: int) -> float:
    first = 1 / options["div_factor"]
    last = first / options["final_div_factor"]
    top, end, at = options["pct_start"] * span.length - 1, span.length - 1, step - span.start
    if at <= top:
        return _between(first, 1.0, at / top if top else 1.0, options["anneal_strategy"])
    return _between(1.0, last, min(1.0, (at - top) / (end - top)) if end > top else 1.0, options["anneal_strategy"])


def _between(start: float, end: float, part: float, how: str) -> float:
    if how == "cos":
        return end + (start - end) / 2 * (1 + cos(pi * part))
    return start + (end - start) * part


_FACTORS: dict[str, Callable[[Options, PhaseSpan, int], float]] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "polynomial": _polynomial,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
    "plateau": _constant,
}


@dataclass(slots=True)
class Plateau:
    """A factor that drops once a figure was not better for more than `patience` epochs (torch's ReduceLROnPlateau, absolute threshold)."""

    patience: int
    drop: float
    monitor: str
    least: float
    end: float
    factor: float = 1.0
    best: float = -inf
    bad: int = 0

    @classmethod
    def of(cls, recipe: Recipe) -> Plateau | None:
        if recipe.schedule.name != "plateau":
            return None
        options = options_of(recipe.schedule)
        return cls(options["patience"], options["factor"], options["monitor"], options["least"], options["end"])

    def take(self, figures: Mapping[str, float]) -> None:
        """The figures of an epoch."""
        score = figures["accuracy"] if self.monitor == "accuracy" else -figures["loss"]
        if score > self.best + self.least:
            self.best, self.bad = score, 0
        else:
            self.bad += 1
        if self.bad > self.patience:
            self.factor, self.bad = max(self.factor * self.drop, self.end), 0

    def state(self) -> PlateauState:
        return PlateauState(self.factor, self.best, self.bad)

    def load(self, state: PlateauState) -> None:
        self.factor, self.best, self.bad = state.factor, state.best, state.bad
