"""What goes wrong is told: where, what, and what to do. Nothing that was saved is lost."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ignite")
import torch
from safetensors.torch import load_file
from torch import nn

from archc.data import DataError
from archc.training import fit as engine
from archc.training.checkpoints import found
from archc.training.distributed import World, strategy_of
from archc.training.memory import choose_batch, out_of_memory_text
from archc.training.nonfinite import explain_nonfinite
from archc.training.options import TrainError
from archc.training.run import RunFolder, fresh, open_run
from archc.training.setup import Setup
from tests.training.common import MLP, NET, PLAIN, figures, graph_of, recipe_of, trained

CPU = World(0, 1, torch.device("cpu"))


def test_a_loss_that_overflows(tmp_path: Path) -> None:
    """Steps of 1e30 make the weights, and the layer after, infinite: step, epoch, layer and checkpoint are told."""
    with pytest.raises(TrainError) as told:
        trained(MLP, tmp_path / "run", epochs=3, batch=512, optimizer={"sgd": {"lr": 1e30}})
    text = str(told.value)
    print(text)
    assert "clip: 1.0" in text


def test_the_last_good_checkpoint_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = engine.setup

    def poisoned(*args: object) -> Setup:
        ready = real(*args)  # type: ignore[arg-type]
        prepare = ready.stepper.prepare
        ready.stepper.prepare = lambda images, labels, number: (
            prepare(images, labels, number)[0] * (1.0 if number < 3 else 1e38 * 1e38),
            labels,
        )
        return ready

    monkeypatch.setattr(engine, "setup", poisoned)
    with pytest.raises(TrainError) as told:
        trained(MLP, tmp_path / "run", epochs=3, batch=512)
    assert "at step 4, in epoch 2" in str(told.value)
    assert "already the input of 0, the first layer, is not finite" in str(told.value)
    assert str(found(tmp_path / "run" / "checkpoints")[-1]) in str(told.value)


def test_the_first_layer_that_is_not_finite() -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sqrt()

    module = nn.Sequential(nn.Linear(2, 2), Root(), nn.Linear(2, 2))
    with torch.no_grad():
        module[0].weight.fill_(-1.0)
    assert "output of 1 (Root)" in explain_nonfinite(module, lambda: module(torch.ones(1, 2)).sum().backward())
    with torch.no_grad():
        module[2].bias.fill_(float("nan"))
    assert "the weights of 2 are not finite" in explain_nonfinite(module, lambda: None)
    assert "the weights of 2 were not finite before that step" in explain_nonfinite(module, lambda: None, first=True)


TWO = """
input: [1, 8, 8]
layers:
  body: [flatten, {linear: 16}, relu]
  cls: {from: body, linear: 10}
  box: {from: body, linear: 4}
outputs: [cls, box]
"""
NORM = "input: [1, 8, 8]\nlayers: [flatten, {linear: 8}, batchnorm, {linear: 10}]\n"
FIVE = {"data": {"validation": 0.0}}


@pytest.mark.parametrize(
    ("text", "changes", "says"),
    [
        (TWO, {}, "an output without a loss: box is 4, and the labels are 10 classes"),
        (TWO.replace("[cls, box]", "[box, cls]"), {}, "where cls gives the classes, put it first"),
        (TWO.replace("linear: 4", "reshape: [4, 4]"), {}, "box is 4x4"),
        (NORM, {"batch": 1}, "write batch=2 or more"),
        (NORM, {"batch": 4, "accumulate": 4}, "write batch=8"),
        (
            NORM,
            {"batch": 5, "accumulate": 5, "freeze": ["2.*"], "unfreeze": {1: ["2.*"]}, "epochs": 2},
            "(batchnorm of 8) cannot be trained",
        ),
        (NORM.replace("batchnorm", "{groupnorm: 8}"), {"batch": 1}, "(groupnorm of 8) cannot be trained"),
        (MLP, {**FIVE, "stop": {"patience": 2}}, "stop watches the accuracy of validation images, and digits has none"),
        (MLP, {**FIVE, "schedule": "plateau"}, "schedule plateau watches"),
    ],
)
def test_what_could_not_be_trained_is_said_before_anything_is_written(
    text: str, changes: dict[str, object], says: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainError) as told:
        trained(text, tmp_path / "run", **changes)
    assert says in str(told.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "changes"),
    [(TWO, {"heads": {"box": 0.0}}), (NORM, {"batch": 2}), (NORM, {"batch": 1, "freeze": ["2.*"]})],
)
def test_what_can_be_trained_is(text: str, changes: dict[str, object], tmp_path: Path) -> None:
    """The other side of those rules: PyTorch takes the first steps."""
    settings = {"epochs": 1, "batch": 512, "data": {"validation": 0.99}} | changes
    assert trained(text, tmp_path / "run", **settings).metrics["epoch"] == 1


def test_a_tracker_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TrainError, match="tensorboard, which is not installed"):
        trained(MLP, tmp_path / "run", replace(PLAIN, tensorboard=True))
    assert not (tmp_path / "run").exists()


def test_test_images_choose_nothing(tmp_path: Path) -> None:
    """Without validation images the last epoch is kept: its weights, and no figure of the test beside an epoch."""
    said: list[str] = []
    outcome = trained(MLP, tmp_path / "run", replace(PLAIN, say=said.append), epochs=3, batch=512, **FIVE)
    assert all(set(row) == {"epoch", "step", "lr", "train_loss"} for row in figures(tmp_path / "run"))
    last = load_file(found(tmp_path / "run" / "checkpoints")[-1] / "model.safetensors")
    assert all(torch.equal(value, last[name]) for name, value in outcome.module.state_dict().items())
    assert outcome.metrics["epoch"] == 3 and "test_accuracy" in outcome.metrics
    text = " ".join(said)
    assert "the weights of the last epoch are kept" in text and "epoch 3, the last" in text and "  best" not in text


def test_classes_of_data_and_network(tmp_path: Path) -> None:
    with pytest.raises((DataError, TrainError), match=r"10 .*7|7 .*10"):
        trained(MLP.replace("linear: 10", "linear: 7"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_networks_that_are_not_trained_here(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="gives 4x8x8 at its output"):
        trained("input: [1, 8, 8]\nlayers: [{conv: {channels: 4, kernel: 1}}]\n", tmp_path / "run")
    with pytest.raises(TrainError, match="only networks that take one image"):
        trained("input: {a: [1, 8, 8], b: [1, 8, 8]}\nlayers: [{from: [a, b], add: {}}, flatten, {linear: 10}]\n", tmp_path / "run")


def test_folders(tmp_path: Path) -> None:
    trained(MLP, tmp_path / "run", epochs=1, batch=512)
    with pytest.raises(TrainError, match="has a run; name another"):
        fresh(str(tmp_path / "run"), "x")
    with pytest.raises(TrainError, match="has something else in it"):
        fresh(str(tmp_path), "x")
    with pytest.raises(TrainError, match="no such folder"):
        open_run(tmp_path / "none")
    with pytest.raises(TrainError, match="is not a run"):
        open_run(tmp_path)
    assert fresh(None, "a/../b", tmp_path).path.name == "a-..-b-1"
    (tmp_path / "x-7").mkdir()
    assert fresh(None, "x", tmp_path).path.name == "x-8"


@pytest.mark.parametrize(
    ("file", "text"), [("metrics.csv", "epoch,loss\n1,abc\n"), ("spec.yaml", "layers: ["), ("recipe.yaml", "batch: -1\n")]
)
def test_damaged_runs(tmp_path: Path, file: str, text: str) -> None:
    trained(MLP, tmp_path / "run", epochs=1, batch=512)
    (tmp_path / "run" / file).write_text(text)
    with pytest.raises(TrainError, match="damaged"):
        open_run(tmp_path / "run").graph()


def test_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked, what the analysis says of it, what would fit, and the checkpoint that is there."""
    real = engine.Loop.run

    def out(loop: engine.Loop) -> None:
        real(loop)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(engine.Loop, "run", out)
    with pytest.raises(TrainError) as told:
        trained(NET, tmp_path / "run", epochs=1)
    text = str(told.value)
    assert "memory ran out" in text and "by the memory analysis" in text and "images at once" in text and "The last checkpoint is" in text
    assert max(len(line) for line in text.splitlines() if "checkpoint" not in line) <= 80


def test_what_memory_a_batch_of_too_many_needs() -> None:
    graph = graph_of(NET)
    recipe = replace(graph.recipe, batch=4096)
    assert "4,096 images at once" in out_of_memory_text(graph, recipe, CPU)


def test_batch_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is one that the analysis says to fit, and one more would not."""
    from archc.analysis.memory.timeline import training
    from archc.training import memory

    graph = graph_of(NET)
    recipe = recipe_of(graph, batch="fit", ema=None)
    monkeypatch.setattr(memory, "free_bytes", lambda world: 500_000)
    chosen, told = choose_batch(graph, recipe, 10_000, CPU)
    assert "batch: fit chose" in told and 1 <= chosen.batch <= 64
    needed = training(graph, memory.options_of(recipe, CPU, chosen.batch)).needed_bytes
    assert needed <= 450_000 < training(graph, memory.options_of(recipe, CPU, chosen.batch + 8)).needed_bytes
    monkeypatch.setattr(memory, "free_bytes", lambda world: 1000)
    with pytest.raises(TrainError, match="not one image fits"):
        choose_batch(graph, recipe, 10_000, CPU)


def test_strategies() -> None:
    module = nn.Linear(2, 2)
    assert strategy_of("auto", module, CPU) == strategy_of("fsdp", module, CPU) == "single"
    two = World(0, 2, torch.device("cpu"))
    assert strategy_of("auto", module, two) == "ddp"
    with pytest.raises(TrainError, match="is for one process"):
        strategy_of("single", module, two)


def test_too_few_images_for_a_step(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="too few"):
        from archc.training.setup import open_training_data, order_of

        data = open_training_data(graph_of(MLP), graph_of(MLP).recipe)
        order_of(replace(graph_of(MLP).recipe, batch=3, accumulate=4), data, CPU)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match="cannot be made"), RunFolder(tmp_path / "file" / "run").taken(resume=False):
        pass
