"""Learning rates, against those of torch.optim.lr_scheduler."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.optim import SGD, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from archc.recipe import Part, Recipe
from archc.training.schedule import Plateau, factor_of

STEPS, EPOCHS = 7, 9
TOTAL = STEPS * EPOCHS


def torchs(make: Callable[[SGD], LRScheduler], steps: int = TOTAL) -> list[float]:
    """The rates of torch's schedule for a rate of 1."""
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def ours(name: str, options: dict[str, object], warmup: float = 0.0) -> list[float]:
    factor = factor_of(Recipe(epochs=EPOCHS, schedule=Part(name, options), warmup=warmup), STEPS)
    return [factor(step) for step in range(TOTAL)]


@pytest.mark.parametrize(
    ("name", "options", "make"),
    [
        ("constant", {}, lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
        ("cosine", {"end": 0.1}, lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.1)),
        ("cosine", {}, lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL)),
        ("polynomial", {"power": 2.0}, lambda o: lr_scheduler.PolynomialLR(o, TOTAL, power=2.0)),
        ("polynomial", {}, lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, TOTAL)),
        ("step", {"every": 2.0}, lambda o: lr_scheduler.StepLR(o, 2 * STEPS, 0.1)),
        ("step", {"at": (2.0, 5.0), "gamma": 0.3}, lambda o: lr_scheduler.MultiStepLR(o, [2 * STEPS, 5 * STEPS], 0.3)),
        ("exponential", {"gamma": 0.9}, lambda o: lr_scheduler.ExponentialLR(o, 0.9 ** (1 / STEPS))),
        ("one_cycle", {}, lambda o: lr_scheduler.OneCycleLR(o, 1.0, TOTAL, cycle_momentum=False)),
        (
            "one_cycle",
            {"pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 100.0, "anneal_strategy": "linear"},
            lambda o: lr_scheduler.OneCycleLR(
                o, 1.0, TOTAL, pct_start=0.4, div_factor=10.0, final_div_factor=100.0, anneal_strategy="linear", cycle_momentum=False
            ),
        ),
    ],
)  # fmt: skip
def test_as_torch(name: str, options: dict[str, object], make: Callable[[SGD], LRScheduler]) -> None:
    assert ours(name, options) == pytest.approx(torchs(make), rel=1e-9, abs=1e-12)


def test_warm_up_as_torchs_sequence() -> None:
    warm = 2 * STEPS

    def make(optimizer: SGD) -> LRScheduler:
        rising = lr_scheduler.LinearLR(optimizer, 1 / (warm + 1), 1.0, warm)
        return lr_scheduler.SequentialLR(optimizer, [rising, lr_scheduler.CosineAnnealingLR(optimizer, TOTAL - warm)], [warm])

    assert ours("cosine", {}, warmup=2.0) == pytest.approx(torchs(make), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_plateau_as_torch(monitor: str) -> None:
    values = [1.0, 0.8, 0.81, 0.79, 0.795, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.49, 0.49, 0.49, 0.49, 0.49, 0.49]
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    mode = "min" if monitor == "loss" else "max"
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, mode, 0.3, 2, 0.02, "abs", min_lr=0.05)
    options = {"patience": 2, "factor": 0.3, "monitor": monitor, "least": 0.02, "end": 0.05}
    mine = Plateau.of(Recipe(schedule=Part("plateau", options)))
    assert mine is not None
    for value in values:
        shown = value if monitor == "loss" else 1 - value
        schedule.step(shown)
        mine.take({"loss": shown, "accuracy": shown})
        assert mine.factor == pytest.approx(optimizer.param_groups[0]["lr"])
    assert mine.factor < 1


def test_a_plateau_is_kept() -> None:
    recipe = Recipe(schedule=Part("plateau", {"patience": 0}))
    one, other = Plateau.of(recipe), Plateau.of(recipe)
    assert one is not None and other is not None
    one.take({"loss": 1.0})
    one.take({"loss": 2.0})
    other.load(one.state())
    assert other.state() == one.state() and other.factor == pytest.approx(0.1)
