"""archc train, eval, predict and resume as a user calls them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ignite")
pytest.importorskip("sklearn")
import numpy as np
from PIL import Image

from archc.cli import common
from archc.cli.main import main
from archc.elaborate.compiler import compile_spec

Capture = pytest.CaptureFixture[str]
SPEC = """
name: small
input: [1, 8, 8]
layers: [flatten, {linear: 32}, relu, {linear: 10}]
train: {epochs: 3, batch: 64, optimizer: {adamw: {lr: 0.01}}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that the tests of this file share."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "small.yaml").write_text(SPEC)
    assert main(["train", str(folder / "small.yaml"), "-o", str(folder / "run"), "--device", "cpu"]) == 0
    return folder / "run"


def narrow(text: str) -> bool:
    return max(map(len, text.splitlines()), default=0) <= 80


def test_what_a_run_holds(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names == {"spec.yaml", "recipe.yaml", "environment.json", "data.json", "metrics.csv", "checkpoints", "best.safetensors",
                     "result.json", "curves.png", "confusion.png"}  # fmt: skip
    assert compile_spec(str(run / "spec.yaml")).graph is not None
    data = json.loads((run / "data.json").read_text())
    assert data["classes"] == list("0123456789") and len(data["normalization"]["mean"]) == 1
    assert json.loads((run / "environment.json").read_text())["versions"]["torch"]
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for name in ("curves.png", "confusion.png"):
        with Image.open(run / name) as picture:
            assert picture.width > 300
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == ["step-000036", "step-000054"]


def test_what_is_said(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "small.yaml").write_text(SPEC)
    assert (
        main(["train", str(tmp_path / "small.yaml"), "-o", str(tmp_path / "run"), "--device", "cpu", "--epochs", "1", "--lr", "0.02"]) == 0
    )
    said = capsys.readouterr().out
    for part in ("small  input 1x8x8  2,410 parameters", "adamw lr 0.02", "predicted for a step", "epoch 1/1", "test     accuracy"):
        assert part in said
    assert narrow(said.replace(str(tmp_path), ""))


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    assert main(["train", "small.yaml", "--device", "cpu", "--dry-run", "--batch", "fit"]) == 0
    said = capsys.readouterr().out
    assert "runs/small-1" in said and "nothing was trained" in said and "batch: fit chose 64" in said
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_eval(run: Path, tmp_path: Path, capsys: Capture) -> None:
    noted = json.loads((run / "result.json").read_text())
    assert main(["eval", str(run), "--device", "cpu", "--format", "json", "--confusion", str(tmp_path / "c.svg")]) == 0
    found = json.loads(capsys.readouterr().out.rpartition("}")[0] + "}")
    assert found["split"] == "test" and found["accuracy"] == noted["test_accuracy"] and found["loss"] == noted["test_loss"]
    assert sum(one["images"] for one in found["classes"]) == found["images"] == 355
    assert (tmp_path / "c.svg").read_text().startswith("<?xml")
    assert main(["eval", str(run), "--device", "cpu", "--split", "validation"]) == 0
    said = capsys.readouterr().out
    assert "small on digits, validation: 288 images" in said and "recall" in said and narrow(said)
    assert main(["eval", str(run), "--device", "cpu", "--format", "csv"]) == 0
    assert len(list(csv.DictReader(capsys.readouterr().out.splitlines()))) == 10


def test_predict(run: Path, tmp_path: Path, capsys: Capture) -> None:
    from archc.data.formats.digits import load_digits

    images, labels, _ = load_digits()
    for index in range(5):
        Image.fromarray(images[index, 0]).save(tmp_path / f"{index}.png")
    files = [str(tmp_path / f"{index}.png") for index in range(5)]
    assert main(["predict", str(run), *files, "--device", "cpu", "--format", "json", "--top", "10"]) == 0
    found = json.loads(capsys.readouterr().out)["images"]
    right = sum(one["classes"][0]["class"] == str(label) for one, label in zip(found, labels[:5], strict=True))
    assert right >= 4
    for one in found:
        parts = [each["probability"] for each in one["classes"]]
        assert sum(parts) == pytest.approx(1) and parts == sorted(parts, reverse=True)
    assert main(["predict", str(run), files[0], "--device", "cpu", "--format", "csv"]) == 0
    assert [row["rank"] for row in csv.DictReader(capsys.readouterr().out.splitlines())] == ["1", "2", "3"]
    assert main(["predict", str(run), files[0], "--device", "cpu"]) == 0
    assert "%" in capsys.readouterr().out


def test_images_that_cannot_be_read(run: Path, tmp_path: Path, capsys: Capture) -> None:
    """Each is named; the others are told of."""
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "good.png")
    assert (
        main(["predict", str(run), str(tmp_path / "bad.png"), str(tmp_path / "good.png"), str(tmp_path / "none.png"), "--device", "cpu"])
        == 2
    )
    out, err = capsys.readouterr()
    assert "good.png" in out and "bad.png" in err and "none.png" in err and "Traceback" not in err


def test_figures_of_classes_are_numbers(run: Path, tmp_path: Path, capsys: Capture) -> None:
    """In JSON and CSV alike; what else is said goes to standard error, so that a program may read the rest."""
    words = ["eval", str(run), "--device", "cpu", "--confusion", str(tmp_path / "c.svg"), "--format"]
    assert main([*words, "json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main([*words, "csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    right = sum(one["recall"] * one["images"] for one in first["classes"])
    assert right / first["images"] == pytest.approx(first["accuracy"])
    assert [float(row["recall"]) for row in rows] == [one["recall"] for one in first["classes"]]
    assert [row["precision"] for row in rows] == ["" if one["precision"] is None else repr(one["precision"]) for one in first["classes"]]


def test_a_few_epochs_of_a_long_recipe_stay_a_run(tmp_path: Path, capsys: Capture) -> None:
    """A drop and an unfreezing that would come after the last epoch: no reason to refuse the run later."""
    long = "{epochs: 90, batch: 512, optimizer: sgd, schedule: {step: {at: [30, 60]}}, freeze: ['1.*'], unfreeze: {50: ['1.*']}}"
    (tmp_path / "long.yaml").write_text(SPEC.partition("train:")[0] + f"train: {long}\n")
    folder = str(tmp_path / "run")
    assert main(["train", str(tmp_path / "long.yaml"), "--epochs", "1", "-o", folder, "--device", "cpu"]) == 0
    for words in (["eval", folder], ["resume", folder]):
        assert main([*words, "--device", "cpu"]) == 0, capsys.readouterr().err


def test_a_plan_of_checkpointing_from_a_file(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "small.yaml").write_text(SPEC)
    (tmp_path / "plan.yaml").write_text('checkpoint:\n  - ["1", "2"]\n')
    words = ["train", str(tmp_path / "small.yaml"), "--epochs", "1", "--device", "cpu", "-o", str(tmp_path / "run"), "--checkpoint"]
    assert main([*words, str(tmp_path / "plan.yaml")]) == 0
    assert "1 part recomputed in backward" in capsys.readouterr().out
    assert (tmp_path / "run" / "checkpoint.yaml").read_text() == 'checkpoint:\n  - ["1", "2"]\n'
    assert main([*words, "norm"]) == 2
    assert 'did you mean "norms"?' in capsys.readouterr().err
    (tmp_path / "plan.yaml").write_text("checkpoint: [nothing]\n")
    assert main([*words, str(tmp_path / "plan.yaml")]) == 2
    assert "no layer is called nothing" in capsys.readouterr().err


def test_what_is_left_out_and_what_ends_early_is_said(tmp_path: Path, capsys: Capture) -> None:
    for index in range(40):
        folder = tmp_path / "photos" / ("dark" if index % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 40 if index % 2 else 200).save(folder / f"{index}.png")
    (tmp_path / "photos" / "dark" / "39.png").write_bytes(b"no image")
    (tmp_path / "small.yaml").write_text(SPEC.replace("linear: 10", "linear: 2"))
    words = ["train", str(tmp_path / "small.yaml"), "--data", str(tmp_path / "photos"), "--epochs", "9", "--lr", "1e-9", "--device", "cpu"]
    changes = ["--train", "data.corrupt=skip", "--train", "data.validation=0.5", "--train", "stop={patience: 1, least: 0.9}"]
    assert main([*words, *changes, "-o", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "1 image cannot be read: left out" in said and "ended early: accuracy was not better for 1 epoch" in said
    assert "20, which is all of the images in place of 64" in said
    noted = json.loads((tmp_path / "run" / "data.json").read_text())["corrupt"]
    assert [Path(one["name"]).name for one in noted] == ["39.png"]


def test_files_of_a_run_have_the_rights_that_others_have(run: Path) -> None:
    rights = {path.name: path.stat().st_mode for path in [*run.iterdir(), *run.glob("checkpoints/*/*")] if path.is_file()}
    assert len(set(rights.values())) == 1, rights


def test_resume_of_what_is_finished(run: Path, capsys: Capture) -> None:
    before = (run / "metrics.csv").read_bytes()
    assert main(["resume", str(run), "--device", "cpu"]) == 0
    assert (run / "metrics.csv").read_bytes() == before
    assert "test     accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "lenet5", "--data", "nowhere"], "nowhere"),
        (["train", "lenet5", "--device", "cuda:99"], "--device cuda:99"),
        (["train", "lenet5", "--device", "meta"], "a network has no values there"),
        (["train", "lenet5", "--epochs", "0"], "epochs"),
        (["train", "lenet5", "--partial"], "--partial needs --weights"),
        (["train", "lenet5", "--weights", "none.pth", "--device", "cpu"], "does not exist"),
        (["train", "resnet18", "--dry-run", "--device", "cpu", "--data", "digits"], "10"),
        (["resume", "nowhere"], "no such folder"),
        (["eval", "nowhere"], "no such folder"),
        (["predict", "nowhere", "a.png"], "no such folder"),
    ],
)
def test_mistakes(words: list[str], told: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert told in err and "Traceback" not in err and narrow(err)
    assert not any(tmp_path.iterdir())


def test_a_split_that_is_not_there(run: Path, capsys: Capture) -> None:
    assert main(["eval", str(run), "--device", "cpu", "--split", "test", "--data", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_run_is_not_written_over(run: Path, capsys: Capture) -> None:
    assert main(["train", "lenet5", "-o", str(run), "--device", "cpu"]) == 2
    assert "archc resume" in capsys.readouterr().err


def test_without_the_libraries() -> None:
    """A process of its own: modules that are imported anew here would stay beside those that other tests hold."""
    script = (
        "import sys; sys.modules['ignite'] = sys.modules['ignite.distributed'] = None; from archc.cli.main import main;"
        "sys.exit(main(['train', 'lenet5', '--dry-run', '--device', 'cpu']))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.returncode == 2 and "pip install pytorch-ignite (extra archc-nn[train])" in " ".join(ran.stderr.split())


def test_the_python_interface(tmp_path: Path) -> None:
    import archc

    net = archc.loads(SPEC)
    said: list[str] = []
    changes: dict[str, Any] = {"optimizer.lr": 0.02}
    outcome = archc.train(net, folder=tmp_path / "run", device="cpu", epochs=2, say=said.append, **changes)
    assert outcome.folder == tmp_path / "run" and not outcome.module.training and outcome.metrics["test_accuracy"] > 0.8
    assert net.recipe.epochs == 3
    assert any("adamw lr 0.02" in line for line in said)
    with pytest.raises(archc.SpecError, match="epochs"):
        archc.train(net, folder=tmp_path / "other", epochs=-1)
    with pytest.raises(TypeError, match="its own recipe"):
        archc.train(net, folder=tmp_path / "run", resume=True, epochs=5)
    assert common
