"""Two processes, over gloo, against one that takes all images of each step."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("ignite")
import safetensors.torch
import torch

from archc.training.checkpoints import found, load
from archc.training.predict import TrainedRun
from archc.training.run import open_run
from tests.training.common import MLP, NET, PLAIN, figures, trained, went_on
from tests.training.test_resume import ended, same

# no batch normalization: its statistics are of each process's images
PLAIN_NET = NET.replace("  - batchnorm\n", "").replace("  - dropout: 0.3\n", "")
CHANGES = {"epochs": 2, "batch": 128, "save_every": 3}


def together(folder: Path, text: str, processes: int = 2, **changes: object) -> None:
    """The processes of one training, each with the environment that torchrun gives."""
    spec = folder.with_suffix(".yaml")
    spec.write_text(text)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    started = []
    for rank in range(processes):
        where = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
        where |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
        command = [
            sys.executable,
            "-m",
            "tests.training.driver",
            str(folder),
            str(spec),
            *(f"{name}={value}" for name, value in changes.items()),
        ]
        started.append(subprocess.Popen(command, cwd=ROOT, env=os.environ | where, stderr=subprocess.PIPE, text=True))
    for process in started:
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors


def alike(one: Path, other: Path) -> None:
    """The same loss curve and weights, as far as sums in another order go."""
    for mine, theirs in zip(figures(one), figures(other), strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert mine["lr"] == theirs["lr"] and mine["step"] == theirs["step"]
    weights, others = (load(found(folder / "checkpoints")[-1]).model for folder in (one, other))
    for name, value in weights.items():
        torch.testing.assert_close(value, others[name], rtol=1e-3, atol=1e-5)


def test_two_processes_are_as_one(tmp_path: Path) -> None:
    """With augmentation, averaged weights, momentum and clipping."""
    trained(PLAIN_NET, tmp_path / "one", **CHANGES, clip=1.0)
    together(tmp_path / "two", PLAIN_NET, **CHANGES, clip=1.0)
    alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.heavy
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_all_strategies_with_accumulated_passes(tmp_path: Path, strategy: str) -> None:
    trained(PLAIN_NET, tmp_path / "one", **CHANGES, accumulate=2, optimizer="adamw", clip=1.0)
    together(tmp_path / "two", PLAIN_NET, **CHANGES, accumulate=2, optimizer="adamw", clip=1.0, strategy=strategy)
    alike(tmp_path / "one", tmp_path / "two")


BLOCKS = """
name: blocks
input: [1, 8, 8]
layers:
  - conv: {channels: 8, kernel: 3, padding: 1}
  - basic_block: {channels: 8}
  - basic_block: {channels: 16, stride: 2}
  - global_avgpool
  - flatten
  - linear: 10
train: {epochs: 2, batch: 128, ema: 0.9}
"""


@pytest.mark.heavy
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_blocks_with_batch_normalization_run(tmp_path: Path, strategy: str) -> None:
    """Parts of a network are sharded one by one; what is saved is whole, and the saved network gives the figures of the run."""
    together(tmp_path / "two", BLOCKS, strategy=strategy)
    assert figures(tmp_path / "two")[-1]["train_loss"] < figures(tmp_path / "two")[0]["train_loss"]
    run = TrainedRun(open_run(tmp_path / "two"), "cpu")
    data = run.data()
    assert data.validation is not None
    report = run.evaluate(data.validation)
    best = max(figures(tmp_path / "two"), key=lambda row: (row["accuracy"], -row["loss"]))
    assert report.accuracy == pytest.approx(best["accuracy"]) and report.loss == pytest.approx(best["loss"], rel=1e-4)


@pytest.mark.heavy
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_resumed_in_two_processes(tmp_path: Path, strategy: str) -> None:
    """Bit by bit, from the midst of an epoch, with dropout."""
    for name in ("whole", "resumed"):
        together(tmp_path / name, NET, **CHANGES, strategy=strategy)
    ended(tmp_path / "resumed", 15)
    assert found(tmp_path / "resumed" / "checkpoints")[-1].name == "step-000015"
    together(tmp_path / "resumed", NET)
    same(tmp_path / "whole", tmp_path / "resumed")


@pytest.mark.heavy
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_resumed_in_one_process(tmp_path: Path, strategy: str) -> None:
    """Begun by two, ended by one: as one from the start."""
    trained(PLAIN_NET, tmp_path / "one", **CHANGES, optimizer="adamw")
    together(tmp_path / "two", PLAIN_NET, **CHANGES, optimizer="adamw", strategy=strategy)
    ended(tmp_path / "two", 15)
    went_on(tmp_path / "two")
    alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.heavy
def test_begun_by_one_and_ended_by_two(tmp_path: Path) -> None:
    trained(PLAIN_NET, tmp_path / "one", **CHANGES, optimizer="adamw")
    trained(PLAIN_NET, tmp_path / "two", **CHANGES, optimizer="adamw", strategy="fsdp")
    ended(tmp_path / "two", 15)
    together(tmp_path / "two", PLAIN_NET)
    alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.heavy
def test_the_command_starts_the_processes(tmp_path: Path) -> None:
    """archc train --processes 2: one of them speaks; a mistake is told once, with the exit status of a mistake."""
    spec = tmp_path / "small.yaml"
    spec.write_text(MLP)
    command = [sys.executable, "-m", "archc", "train", str(spec), "-o", str(tmp_path / "run"), "--processes", "2", "--epochs", "2"]
    done = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1/2") == 1 and "and 1 more, ddp" in done.stdout
    assert (tmp_path / "run" / "best.safetensors").exists() and safetensors.torch.load_file(tmp_path / "run" / "best.safetensors")
    again = subprocess.run([*command, "--device", "cpu"], capture_output=True, text=True, timeout=900)
    assert again.returncode == 2 and again.stderr.count("has a run; name another") == 1 and "Traceback" not in again.stderr


__all__ = ["PLAIN"]
