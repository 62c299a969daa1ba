"""A run that is ended at any moment goes on, and ends with the numbers of one that was not."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ignite")
import safetensors.torch
import torch

from archc.cli.main import main
from archc.training import checkpoints
from archc.training.checkpoints import SaveError, found, load
from archc.training.options import TrainError, TrainOptions
from tests.training.common import MLP, NET, figures, trained, went_on


def same(one: Path, other: Path) -> None:
    """Figures, the best weights and all of the last checkpoint, bit by bit."""
    assert figures(one) == figures(other)
    last, its = load(found(one / "checkpoints")[-1]), load(found(other / "checkpoints")[-1])
    assert last.step == its.step
    assert last.model and last.optimizer and best(one)
    for mine, theirs in ((last.model, its.model), (last.optimizer, its.optimizer), (last.average, its.average), (best(one), best(other))):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def best(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "best.safetensors")


def ended(folder: Path, step: int) -> None:
    """As if the process had been killed right after it wrote the checkpoint of a step."""
    for path in found(folder / "checkpoints"):
        if int(path.name[5:]) > step:
            shutil.rmtree(path)


def test_killed_in_the_midst_of_an_epoch(tmp_path: Path) -> None:
    """kill -9 on a process with dropout, averaged weights, augmentation, momentum and batch normalization."""
    spec = tmp_path / "net.yaml"
    spec.write_text(NET)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [
        sys.executable,
        "-m",
        "archc",
        "train",
        str(spec),
        "-o",
        str(killed),
        "--save-every",
        "2",
        "--epochs",
        "12",
        "--device",
        "cpu",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + 600
    while not any(int(path.name[5:]) % 9 for path in found(killed / "checkpoints")[-1:]) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert int(found(killed / "checkpoints")[-1].name[5:]) < 12 * 9
    went_on(killed)
    trained(NET, whole, save_every=2, epochs=12)
    same(killed, whole)


@pytest.mark.parametrize("step", [4, 9, 13])
def test_from_each_kind_of_moment(tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first epoch, at its end, in the second: with mixtures, accumulated passes, a plateau and early stopping."""
    monkeypatch.setattr(checkpoints, "KEPT", 100)
    changes = dict(save_every=1, mixup=0.2, cutmix=1.0, accumulate=2, clip=1.0, schedule={"plateau": {"patience": 0}}, stop={"patience": 5})
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    trained(NET, whole, **changes)
    trained(NET, resumed, **changes)
    ended(resumed, step)
    outcome = went_on(resumed)
    same(whole, resumed)
    assert outcome.metrics["epoch"] >= 1


def test_nothing_written_yet(tmp_path: Path) -> None:
    """Killed before the first checkpoint: it begins again."""
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    trained(MLP, whole, epochs=1, batch=512)
    trained(MLP, resumed, epochs=1, batch=512)
    shutil.rmtree(resumed / "checkpoints")
    went_on(resumed)
    same(whole, resumed)


def test_half_written_files_do_no_harm(tmp_path: Path) -> None:
    """What a kill leaves in the midst of a save: a part of a folder, which nobody reads and the next save removes."""
    run = tmp_path / "run"
    trained(MLP, run, epochs=2, batch=512)
    ended(run, 2)
    part = run / "checkpoints" / ".archc-0123456789abcdef.part"
    part.mkdir()
    (part / "model.safetensors").write_bytes(b"half")
    went_on(run)
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["step-000002", "step-000004"]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    trained(MLP, whole, epochs=3, batch=512)
    trained(MLP, run, epochs=3, batch=512)
    ended(run, 6)
    last = found(run / "checkpoints")[-1] / "model.safetensors"
    last.write_bytes(last.read_bytes()[:100])
    said: list[str] = []
    from archc.training.fit import resume_run

    resume_run(run, TrainOptions(device="cpu", say=said.append, pictures=False))
    assert any("is damaged" in line for line in said)
    same(whole, run)


def test_all_damaged(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(MLP, run, epochs=1, batch=512)
    for path in found(run / "checkpoints"):
        (path / "state.json").write_text("{")
    with pytest.raises(TrainError, match="is damaged"):
        went_on(run)


def test_another_network_in_the_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained(MLP, run, epochs=1, batch=512)
    spec = run / "spec.yaml"
    spec.write_text(spec.read_text().replace("features: 16", "features: 17"))
    with pytest.raises(TrainError, match="is not of this network"):
        went_on(run)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The save fails in its midst: the checkpoint before is whole, its name and the way on are told, and the run goes on later."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    trained(MLP, whole, epochs=3, batch=512)
    real, calls = safetensors.torch.save_file, []

    def full(tensors: dict[str, torch.Tensor], path: Path, *rest: object) -> None:
        calls.append(path)
        if "step-000004" in str(path):
            Path(path).write_bytes(b"some of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(tensors, path, *rest)

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(SaveError) as told:
        trained(MLP, run, epochs=3, batch=512)
    assert "the disk is full" in str(told.value) and "step-000002 is whole" in str(told.value)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000002"]
    monkeypatch.setattr(safetensors.torch, "save_file", real)
    went_on(run)
    same(whole, run)


def test_a_file_larger_than_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The system itself refuses to write more: no simulation."""
    resource = pytest.importorskip("resource")
    spec = tmp_path / "small.yaml"
    spec.write_text(MLP.replace("linear: 16", "linear: 2000"))
    limit = 400_000  # bytes: more than all other files of a run, less than the weights
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        status = main(["train", str(spec), "-o", str(tmp_path / "run"), "--epochs", "1", "--device", "cpu"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    told = capsys.readouterr().err
    assert status == 2, told
    assert "cannot be written" in told and "File too large" in told and "Traceback" not in told
    assert not list((tmp_path / "run").rglob("*.part"))
