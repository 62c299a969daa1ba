"""The folder of a run: one training at a time, files that belong together, the images that it was trained on, nothing of strangers."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archc.cli.main import main
from archc.text.locks import lock_folder
from archc.training.checkpoints import found, load
from archc.training.options import TrainError
from archc.training.run import RunFolder, fresh, open_run
from tests.helpers.paths import ROOT
from tests.training.common import MLP, trained, went_on

posix = pytest.mark.skipif(sys.platform == "win32", reason="links, pipes and locks of POSIX")
pytestmark = posix


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("once") / "run"
    trained(MLP, folder, epochs=2, batch=512)
    return folder


@pytest.fixture
def run(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "run"))


def told(work: Callable[[], object]) -> str:
    with pytest.raises(TrainError) as caught:
        work()
    return str(caught.value)


# one training at a time

AT_ONCE = 3
TRAINS = """
import sys, time
from pathlib import Path
from tests.training.common import MLP, PLAIN, graph_of, recipe_of
from archc.training.fit import fit
from archc.training.run import fresh
graph = graph_of(MLP)
folder = fresh(None, "small", Path(sys.argv[1]))
Path(sys.argv[2]).touch()
while len(list(Path(sys.argv[2]).parent.iterdir())) < int(sys.argv[3]):
    time.sleep(0.01)
fit(graph, recipe_of(graph, epochs=1, batch=512), folder, PLAIN)
"""


@pytest.mark.heavy
def test_trainings_at_once_have_a_folder_each(tmp_path: Path) -> None:
    """Several choose the same number, and then begin together: each has a run of its own, and it is whole."""
    (tmp_path / "ready").mkdir()
    command = [sys.executable, "-c", TRAINS, str(tmp_path / "runs")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    begun = [
        subprocess.Popen([*command, str(tmp_path / "ready" / str(i)), str(AT_ONCE)], cwd=ROOT, env=environment) for i in range(AT_ONCE)
    ]
    assert [one.wait(300) for one in begun] == [0] * AT_ONCE
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [f"small-{i}" for i in range(1, AT_ONCE + 1)]
    for path in (tmp_path / "runs").iterdir():
        assert len(open_run(path).rows) == 1 and (path / "result.json").is_file()


def test_claims_of_one_folder(tmp_path: Path) -> None:
    named, first, second = fresh(str(tmp_path / "named"), "x"), fresh(None, "net", tmp_path), fresh(None, "net", tmp_path)
    assert first.path == second.path
    with first.taken(False), second.taken(False), named.taken(False):
        assert (first.path.name, second.path.name) == ("net-1", "net-2")
        other = RunFolder(tmp_path / "named")
        assert "is in use by another process that trains" in told(lambda: other.taken(False).__enter__())
    assert not list(tmp_path.iterdir())  # of those that came to nothing, nothing is left
    late = fresh(str(tmp_path / "named"), "x")
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "spec.yaml").write_text("")
    assert "has a run; name another folder" in told(lambda: late.taken(False).__enter__())


def test_a_run_that_is_trained_is_not_resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lock_folder(run):
        assert main(["resume", str(run), "--device", "cpu"]) == 2
    assert "is in use by another process that trains" in " ".join(capsys.readouterr().err.split())
    went_on(run)


TAKES = """
import sys, time
from pathlib import Path
from archc.text.locks import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("taken", flush=True)
    time.sleep(600)
"""


def test_a_killed_training_leaves_no_claim(run: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", TAKES, str(run)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "taken\n"
    assert "another process" in told(lambda: RunFolder(run).taken(True).__enter__())
    process.kill()
    process.wait()
    with RunFolder(run).taken(True):
        pass


@pytest.mark.parametrize("name", ["a" * 300, "é" * 200, "/" * 300, "網" * 120])
def test_folders_of_long_names(name: str, tmp_path: Path) -> None:
    folder = fresh(None, name, tmp_path)
    with folder.taken(False):
        assert folder.path.is_dir() and len(os.fsencode(folder.path.name)) < 256


# files that belong together


def test_checkpoints_of_mixed_files(run: Path) -> None:
    """Files of another step, one that is changed or missing, a folder of another name: none is taken for a checkpoint."""
    older, newer = found(run / "checkpoints")
    for name in ("model.safetensors", "optimizer.safetensors", "state.json", "sha256.json"):
        kept = (newer / name).read_bytes()
        (newer / name).write_bytes((older / name).read_bytes())
        assert "is damaged" in (text := told(lambda: load(newer))) and ("not the file that was written with" in text)
        (newer / name).unlink()
        if name != "sha256.json":
            assert "is damaged" in told(lambda: load(newer))
        (newer / name).write_bytes(kept)
    load(newer)
    (newer / "sha256.json").unlink()
    load(newer)  # of a run from before there were checksums
    moved = newer.rename(newer.with_name("step-000003"))
    assert "its files are of step 2" in told(lambda: load(moved)) or "its files are of step 4" in told(lambda: load(moved))


def test_best_weights_that_were_changed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = run / "best.safetensors"
    content = bytearray(best.read_bytes())
    content[-5] ^= 1
    best.write_bytes(bytes(content))
    for words in (["eval", str(run)], ["predict", str(run), "x.png"], ["look", str(run), "--filters"], ["resume", str(run)]):
        assert main([*words, "--device", "cpu"]) == 2
        assert "its weights are not those that were written" in capsys.readouterr().err


def test_best_weights_of_another_step(run: Path, once: Path) -> None:
    state = json.loads((found(run / "checkpoints")[-1] / "state.json").read_text())
    other = 2 if state["best"]["step"] == 4 else 4
    for path in found(run / "checkpoints"):
        (path / "sha256.json").unlink()
        (path / "state.json").write_text(
            json.dumps(json.loads((path / "state.json").read_text()) | {"best": state["best"] | {"step": other}})
        )
    assert "they do not belong together" in told(lambda: went_on(run))


MALFORMED: list[tuple[str, Any, str]] = [
    ("step", -9, "step is -9, where a whole number from 0 up was expected"),
    ("step", float("inf"), "step is Infinity"),
    ("step", 1.5, "step is 1.5"),
    ("step", True, "step is true"),
    ("step", 10**30, "step is 1000000000"),
    ("steps", 0, "steps is 0, where a whole number from 1 up"),
    ("loss", float("nan"), "loss is NaN, where a finite number"),
    ("loss", "low", 'loss is "low", where a number'),
    ("seconds", -1, "seconds is -1, where a finite number from 0 up"),
    ("best", [1], "best is [1], where an object"),
    ("best", {"accuracy": None}, "best.accuracy is null"),
    ("best", {"step": -3}, "best.step is -3"),
    ("stopped", "no", 'stopped is "no", where true or false'),
    ("plateau", {"factor": -1, "best": 0, "bad": 0}, "plateau.factor is -1"),
    ("plateau", {"factor": 1}, "it has no plateau.best"),
    ("stopping", {"counter": -2}, "stopping.counter is -2"),
    ("scaler", {"scale": float("inf")}, "scaler.scale is Infinity"),
    ("scaler", None, "scaler is null"),
    ("\x1b[31m", 0, ""),
]


@pytest.mark.parametrize(("name", "value", "says"), MALFORMED)
def test_state_that_cannot_be(run: Path, name: str, value: Any, says: str) -> None:
    for path in found(run / "checkpoints"):
        (path / "sha256.json").unlink()
        (path / "state.json").write_text(json.dumps(json.loads((path / "state.json").read_text()) | {name: value}))
    if not says:
        went_on(run)
        return
    text = told(lambda: went_on(run))
    assert says in text and "is damaged" in text and "\x1b" not in text and len(text.removeprefix(str(run))) < 280


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "9", '"x"', "[" * 100_000, '{"step": 1}', "\x00"])
def test_files_that_are_no_records(run: Path, content: str) -> None:
    for path in found(run / "checkpoints"):
        (path / "sha256.json").unlink()
        (path / "state.json").write_text(content)
    assert "is damaged" in told(lambda: went_on(run))
    (run / "data.json").write_text(content)
    assert "is damaged" in told(lambda: open_run(run).normalization())


def test_a_checkpoint_beyond_the_end(run: Path) -> None:
    for path in found(run / "checkpoints"):
        (path / "sha256.json").unlink()
        (path / "state.json").write_text(json.dumps(json.loads((path / "state.json").read_text()) | {"step": 999_999}))
        path.rename(path.with_name("step-999999"))
        break
    assert "it is beyond the 4 steps" in told(lambda: went_on(run))


@pytest.mark.parametrize(
    ("normalization", "says"),
    [
        ({"mean": [0.5], "std": [0]}, "a std above 0"),
        ({"mean": [], "std": []}, "for each channel"),
        ({"mean": [0.5], "std": [1, 1]}, "for each channel"),
        ({"mean": [float("nan")], "std": [1]}, "normalization.mean[0] is NaN, where a finite number was expected"),
        ({"mean": 0.5, "std": [1]}, "normalization.mean is 0.5"),
    ],
)
def test_normalization_that_cannot_be(run: Path, normalization: Any, says: str) -> None:
    (run / "data.json").write_text(json.dumps(json.loads((run / "data.json").read_text()) | {"normalization": normalization}))
    assert says in told(lambda: open_run(run).normalization())


# the images that it was trained on


def photos(folder: Path, classes: str = "ab", each: int = 24, size: int = 8) -> Path:
    for at, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            Image.fromarray(np.full((size, size), 40 + 60 * at + i, np.uint8)).save(folder / name / f"{i}.png")
    return folder


def test_a_run_goes_on_with_its_own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = photos(tmp_path / "photos")
    trained(MLP.replace("linear: 10", "linear: 2"), tmp_path / "run", epochs=1, batch=16, data={"source": str(source), "validation": 0.25})
    from archc.training.fit import resume_run
    from tests.training.common import PLAIN

    def resumed(where: Path) -> None:
        resume_run(tmp_path / "run", PLAIN, str(where))

    moved = source.rename(tmp_path / "elsewhere")
    resumed(moved)  # the same images, wherever they lie
    says = {
        "others": "there are as many",
        "fewer": "train images, and had",
        "renamed": "the class c stands where b was",
        "relabelled": "there are as many",
        "split": "it has test images, and had none",
    }
    for change, text in says.items():
        other = Path(shutil.copytree(moved, tmp_path / change))
        if change == "others":
            Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(other / "a" / "3.png")
        elif change == "fewer":
            for i in range(8):
                (other / "a" / f"{i}.png").unlink()
        elif change == "renamed":
            (other / "b").rename(other / "c")
        elif change == "relabelled":
            (other / "a" / "1.png").rename(other / "b" / "1x.png")
            (other / "b" / "1.png").rename(other / "a" / "1x.png")
        else:
            inner = Path(shutil.move(other, tmp_path / "train"))
            (other).mkdir()
            shutil.move(inner, other / "train")
            photos(other / "test", each=2)
        assert text in (found := told(lambda where=other: resumed(where))), (change, found)
        assert "is not what" in found and 'data="PATH"' in found


def test_arrays_tell_themselves_apart() -> None:
    from archc.data import open_data
    from archc.recipe import Data

    first, again = (open_data(Data(), (1, 8, 8), seed).digests() for seed in (0, 1))
    assert first == again and len(set(first.values())) == len(first)
    data = open_data(Data(), (1, 8, 8), 0)
    data.train.labels[0] = (data.train.labels[0] + 1) % 10
    assert data.train.digest() != first["train"] and data.test is not None and data.test.digest() == first["test"]


# nothing of strangers

OWN = ["recipe.yaml", "data.json", "metrics.csv", "best.safetensors", "checkpoints", "checkpoints/step-000004", "spec.yaml"]


@pytest.mark.parametrize(
    "name", ["recipe.yaml", "data.json", "metrics.csv", "best.safetensors", "checkpoints", "checkpoints/step-000004", "spec.yaml"]
)
@pytest.mark.parametrize("what", ["link", "pipe"])
def test_links_and_pipes_in_a_run(run: Path, tmp_path: Path, name: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    real = run / name
    shutil.move(real, tmp_path / "outside")
    if what == "link":
        real.symlink_to(tmp_path / "outside")
    else:
        os.mkfifo(real)
    for command in (["resume"], ["eval"]):
        assert main([*command, str(run), "--device", "cpu"]) == 2
        text = " ".join(capsys.readouterr().err.split())
        assert (
            "is a link" if what == "link" else "regular file" if name != "spec.yaml" else "it has no spec.yaml"
        ) in text or "is no folder" in text, text


def test_files_inside_a_checkpoint_are_no_links(run: Path, tmp_path: Path) -> None:
    last = found(run / "checkpoints")[-1]
    for name in ("model.safetensors", "state.json", "sha256.json"):
        shutil.move(last / name, tmp_path / name)
        (last / name).symlink_to(tmp_path / name)
        assert "which is not followed" in told(lambda: load(last))
        (last / name).unlink()
        os.mkfifo(last / name)
        assert "not a regular file" in told(lambda: load(last))
        (last / name).unlink()
        shutil.move(tmp_path / name, last / name)


def test_planted_names_are_not_written_through(run: Path, tmp_path: Path) -> None:
    """Links under every name that a run writes, and under those of its unfinished files: what they lead to stays."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for name in ("result.json", "curves.png", "confusion.png", ".metrics.csv.part", ".result.json.part", "checkpoints/.step-000006.part"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(secret)
    (run / "recipe.yaml").write_text((run / "recipe.yaml").read_text().replace("epochs: 2", "epochs: 3"))
    try:
        went_on(run)
    except TrainError as error:
        assert "is a link" in str(error)
        (run / "result.json").unlink()
        went_on(run)
    assert secret.read_text() == "secret" and len(open_run(run).rows) == 3


def test_training_goes_on_where_nobody_reads(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said of an epoch is lost, and said to be; the training is not."""
    from archc.cli import training

    for number, status in ((errno.ENOSPC, 2), (errno.EBADF, 2), (errno.EPIPE, 0)):
        monkeypatch.setattr(training, "_LOST", [])
        done: list[int] = []

        class Full(io.StringIO):
            def write(self, text: str, number: int = number) -> int:
                raise OSError(number, os.strerror(number))

        def work(done: list[int] = done) -> int:
            for line in ("epoch 1", "epoch 2"):
                training.say(line)
            done.append(1)
            return 0

        with monkeypatch.context() as lost:
            lost.setattr(sys, "stdout", Full())
            assert training.run_guarded(work) == status and done == [1]
        assert ("cannot write to standard output" in " ".join(capsys.readouterr().err.split())) == (status == 2)
