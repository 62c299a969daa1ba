"""Steps, averages, orders and losses, against formulas and plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ignite")
import torch
from torch import nn
from torch.nn import functional as F

from archc.data import open_data
from archc.recipe import Data, Part, Recipe
from archc.training.augment import Augmentation
from archc.training.batches import DataOrder
from archc.training.checkpoints import found, load
from archc.training.ema import Average
from archc.training.losses import loss_of
from archc.training.schedule import factor_of
from tests.training.common import MLP, NET, figures, graph_of, trained


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(found(folder / "checkpoints")[-1]).model


def test_as_a_plain_loop(tmp_path: Path) -> None:
    """The weights after two epochs are, bit by bit, those of a loop that anyone would write with the same images."""
    trained(MLP, tmp_path / "run", epochs=2, batch=100, optimizer="adamw", seed=3)
    graph = graph_of(MLP)
    data = open_data(Data(), (1, 8, 8), 3)
    order = DataOrder(len(data.train), 100, 3)
    from archc.runtime.build.build import build
    from archc.training.batches import mix_seed

    torch.manual_seed(mix_seed(3, 0))
    module = build(graph)
    decayed = [one for one in module.parameters() if one.ndim > 1]
    others = [one for one in module.parameters() if one.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=1e-3, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2 * order.steps)
    factor = factor_of(Recipe(epochs=2), order.steps)
    mean, std = data.normalization.mean[0], data.normalization.std[0]
    for step in range(2 * order.steps):
        images, labels = data.train.read(order.passes(step)[0])
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * factor(step))
        for group in optimizer.param_groups:  # the closed form, where torch's own goes from step to step and rounds
            group["lr"] = 1e-3 * factor(step)
        optimizer.zero_grad()
        F.cross_entropy(module((torch.from_numpy(images) / 255 - mean) / std), torch.from_numpy(labels)).backward()
        optimizer.step()
        schedule.step()
    for name, value in weights(tmp_path / "run").items():
        torch.testing.assert_close(value, module.state_dict()[name], rtol=1e-5, atol=1e-7)


def test_accumulated_passes_are_one_pass(tmp_path: Path) -> None:
    for accumulate in (1, 2, 4):
        trained(MLP, tmp_path / str(accumulate), epochs=1, batch=128, accumulate=accumulate, optimizer="momentum", clip=0.5)
    for accumulate in (2, 4):
        for name, value in weights(tmp_path / str(accumulate)).items():
            torch.testing.assert_close(value, weights(tmp_path / "1")[name], rtol=1e-5, atol=1e-6)


def test_averaged_weights_by_the_formula() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = Average(module, 0.8)
    by_hand = {name: one.detach().double().clone() for name, one in module.named_parameters()}
    for step in range(1, 40):
        with torch.no_grad():
            for one in module.parameters():
                one.add_(torch.randn_like(one))
        average.update(module, step)
        decay = min(0.8, (1 + step) / (10 + step))
        by_hand = {name: decay * by_hand[name] + (1 - decay) * one.detach().double() for name, one in module.named_parameters()}
    for name, value in average.weights.items():
        torch.testing.assert_close(value.double(), by_hand[name], rtol=1e-5, atol=1e-6)
    now = {name: one.detach().clone() for name, one in module.named_parameters()}
    with average.put_in(module):
        assert all(torch.allclose(one.double(), by_hand[name], atol=1e-5) for name, one in module.named_parameters())
    assert all(torch.equal(one, now[name]) for name, one in module.named_parameters())


def test_the_best_weights_are_the_averaged_ones(tmp_path: Path) -> None:
    """What is saved as best gives, evaluated again, the figures of its epoch."""
    outcome = trained(NET, tmp_path / "run", epochs=3)
    data = open_data(Data(), (1, 8, 8), 0)
    assert data.validation is not None
    images, labels = data.validation.read(range(len(data.validation)))
    with torch.no_grad():
        logits = outcome.module(Augmentation((), data.normalization, 0)(torch.from_numpy(images), 0, False))
    assert (logits.argmax(1) == torch.from_numpy(labels)).double().mean().item() == pytest.approx(outcome.metrics["accuracy"])
    assert F.cross_entropy(logits, torch.from_numpy(labels)).item() == pytest.approx(outcome.metrics["loss"], rel=1e-5)
    assert any(not torch.equal(one, weights(tmp_path / "run")[name]) for name, one in outcome.module.named_parameters())


@pytest.mark.parametrize("size", [1, 2, 4])
def test_processes_share_a_step(size: int) -> None:
    """Together they take the images of one process, each image once an epoch."""
    alone = DataOrder(103, 10, 5)
    for step in range(2 * alone.steps):
        parts = [DataOrder(103, 10, 5, rank, size, 2).passes(step) for rank in range(size)]
        assert sorted(i for one in parts for part in one for i in part) == sorted(alone.passes(step)[0])
    seen = [i for step in range(alone.steps) for i in alone.passes(step)[0]]
    assert len(seen) == len(set(seen)) == 100
    assert seen != [i for step in range(alone.steps, 2 * alone.steps) for i in alone.passes(step)[0]]


def test_losses_against_torch() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    soft = torch.softmax(torch.randn(6, 5), 1)
    ce = loss_of(Recipe(loss=Part("cross_entropy", {"smoothing": 0.1})), "output", ())
    assert torch.equal(ce(logits, labels), nn.CrossEntropyLoss(label_smoothing=0.1)(logits, labels))
    assert torch.equal(ce(logits, soft), nn.CrossEntropyLoss(label_smoothing=0.1)(logits, soft))
    bce = loss_of(Recipe(loss=Part("bce", {})), "output", ())
    assert torch.equal(bce(logits, labels), nn.BCEWithLogitsLoss()(logits, F.one_hot(labels, 5).float()))
    mse = loss_of(Recipe(loss=Part("mse", {})), "output", ())
    assert torch.equal(mse(logits, soft), nn.MSELoss()(logits, soft))


def test_heads_count_with_their_weights() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 2])
    outputs = {name: torch.randn(3, 4) for name in ("output", "aux1", "aux2")}
    loss = loss_of(Recipe(heads={"aux2": 0.5}), "output", ("aux1", "aux2"))
    each = {name: F.cross_entropy(one, labels) for name, one in outputs.items()}
    torch.testing.assert_close(loss(outputs, labels), each["output"] + 0.3 * each["aux1"] + 0.5 * each["aux2"])


def test_early_stopping(tmp_path: Path) -> None:
    """A network that cannot get better stops after `patience` epochs more, and says so in its checkpoint."""
    trained(MLP, tmp_path / "run", epochs=20, optimizer={"sgd": {"lr": 1e-12}}, stop={"patience": 3})
    assert len(figures(tmp_path / "run")) == 4
    assert load(found(tmp_path / "run" / "checkpoints")[-1]).state.stopped


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float64"])
def test_precisions(tmp_path: Path, precision: str) -> None:
    outcome = trained(MLP, tmp_path / "run", epochs=3, precision=precision, optimizer={"adam": {"lr": 0.01}})
    assert outcome.metrics["accuracy"] > 0.85
    wanted = torch.float64 if precision == "float64" else torch.float32
    assert {one.dtype for one in weights(tmp_path / "run").values()} == {wanted}


def test_every_optimizer_of_the_table(tmp_path: Path) -> None:
    from archc.recipe.tables import OPTIMIZERS

    for name in OPTIMIZERS:
        trained(MLP, tmp_path / name, epochs=1, batch=256, optimizer=name)
        assert figures(tmp_path / name)[0]["train_loss"] < 2.6
