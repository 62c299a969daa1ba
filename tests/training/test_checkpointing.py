"""Parts that backward runs again: the same bits with less memory, by a word or by a plan of one's own, also after a resume."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ignite")
import torch

import archc
from archc.analysis.recompute import CheckpointPlan, Region
from archc.training import memory
from archc.training.checkpoints import found
from archc.training.distributed import World
from archc.training.options import TrainError
from archc.training.run import open_run
from archc.training.setup import plan_for
from tests.training.common import PLAIN, graph_of, recipe_of, replace, trained, went_on
from tests.training.test_processes import together
from tests.training.test_resume import ended, same

# in each block a normalization with a convolution after it; dropout draws in what runs again
DEEP = """
name: deep
input: [1, 8, 8]
blocks:
  half: {layers: [batchnorm, relu, {dropout: 0.3}, {conv: {channels: 8, kernel: 3, padding: 1}}]}
layers:
  stem: {conv: {channels: 8, kernel: 3, padding: 1}}
  one: half
  two: half
  flat: flatten
  fc: {linear: 10}
train: {epochs: 2, batch: 128, optimizer: {momentum: {lr: 0.05}}, ema: 0.9}
"""
ALONE = World(0, 1, torch.device("cpu"))
OWN = CheckpointPlan((Region("one.0", "two.3"),))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "run"
    trained(DEEP, folder)
    return folder


@pytest.mark.parametrize("plan", ["norms", "blocks"])
def test_named_plans_change_no_bit(tmp_path: Path, plain: Path, plan: str) -> None:
    calls: list[str] = []
    kept = torch.utils.checkpoint.checkpoint

    def counted(function: object, *inputs: object, **options: object) -> object:
        calls.append("")
        return kept(function, *inputs, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.utils.checkpoint, "checkpoint", counted)
        trained(DEEP, tmp_path / "run", checkpoint=plan)
    assert calls
    same(tmp_path / "run", plain)


def test_a_plan_of_ones_own_stays_with_the_run(tmp_path: Path, plain: Path) -> None:
    folder = tmp_path / "run"
    train_options = replace(PLAIN, checkpoint=OWN)
    trained(DEEP, folder, train_options, save_every=3)
    ended(folder, 15)
    assert found(folder / "checkpoints")
    run = open_run(folder)
    assert run.plan(run.graph()) == OWN
    went_on(folder)
    same(folder, plain)
    (folder / "checkpoint.yaml").write_text("checkpoint: [nothing]\n")
    with pytest.raises(TrainError, match=r"is damaged: its checkpoint.yaml.*\n\n.*no layer is called nothing"):
        run.plan(run.graph())


@pytest.mark.heavy
def test_two_processes(tmp_path: Path) -> None:
    together(tmp_path / "plain", DEEP, epochs=1)
    together(tmp_path / "norms", DEEP, epochs=1, checkpoint="norms")
    same(tmp_path / "plain", tmp_path / "norms")


def test_less_memory_is_predicted_and_more_images_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_ON_CPU", 2**20)
    monkeypatch.setattr(memory, "free_bytes", lambda world: 64 << 20)
    graph = graph_of(DEEP)
    recipe = recipe_of(graph, checkpoint="norms")
    plan = plan_for(graph, recipe, PLAIN)
    assert plan is not None and plan.regions
    with_plan, without = memory.predict_memory(graph, recipe, ALONE, plan), memory.predict_memory(graph, recipe, ALONE)
    assert with_plan is not None and without is not None and with_plan[0] < without[0]
    fit = replace(recipe, batch=0)
    assert memory.choose_batch(graph, fit, None, ALONE, plan)[0].batch > memory.choose_batch(graph, fit, None, ALONE)[0].batch


def test_in_python(tmp_path: Path, plain: Path) -> None:
    torch.set_num_threads(1)
    file = tmp_path / "plan.yaml"
    file.write_text(OWN.text())
    archc.train(graph_of(DEEP), folder=tmp_path / "run", device="cpu", checkpoint=file)
    same(tmp_path / "run", plain)
    with pytest.raises(ValueError, match="no checkpoint plan is called norm"):
        archc.train(graph_of(DEEP), folder=tmp_path / "other", checkpoint="norm")
    with pytest.raises(TypeError, match="with its own recipe"):
        archc.train(graph_of(DEEP), folder=tmp_path / "run", resume=True, checkpoint="norms")
