"""`archc look` as a user meets it, on a run of one epoch."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("torch")
pytest.importorskip("captum")
pytest.importorskip("ignite")
Image = pytest.importorskip("PIL.Image")

from archc.cli.main import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("look") / "run"
    assert main(["train", "lenet5", "--epochs", "1", "--device", "cpu", "-o", str(folder)]) == 0
    return folder


@pytest.fixture
def digit(tmp_path):
    path = tmp_path / "digit.png"
    Image.effect_noise((20, 30), 60).save(path)
    return path


def looked(run, tmp_path, *words: str) -> Image.Image:
    out = tmp_path / "look.png"
    assert main(["look", str(run), "--device", "cpu", "-o", str(out), *words]) == 0
    return Image.open(io.BytesIO(out.read_bytes()))


def test_every_look_is_a_picture(run, digit, tmp_path, capsys):
    for words in (["--filters"], ["--filters", "--layer", "conv2"], ["--attribution", str(digit)],
                  ["--attribution", str(digit), "--method", "gradcam", "--class", "3"],
                  ["--feature", "conv2.1", "--steps", "3"], ["--feature", "fc3", "--steps", "3"],
                  ["--examples", "conv2.1", "--split", "test", "--top", "2"]):  # fmt: skip
        picture = looked(run, tmp_path, *words)
        assert picture.format == "PNG" and min(picture.size) > 90
        assert len(set(picture.convert("L").tobytes())) > 8
    told = capsys.readouterr().out
    assert "conv2.1" in told and "digits[" in told


def test_the_same_question_has_the_same_picture(run, tmp_path):
    first, second = (looked(run, tmp_path, "--feature", "conv1", "--steps", "4").tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--feature", "conv7.1"], "no layer is called"),
        (["--feature", "conv2.77"], "conv2 has 16 units"),
        (["--attribution", "missing.png"], "missing.png"),
        (["--filters", "--layer", "fc1"], "fc1 has no filters of two axes"),
        (["--filters", "-o", "look.jpg"], "pictures are .png"),
    ],
)
def test_mistakes_are_told(run, words, told, capsys):
    assert main(["look", str(run), "--device", "cpu", *words]) == 2
    caught = capsys.readouterr().err
    assert told in caught and "Traceback" not in caught and all(len(line) <= 80 for line in caught.splitlines())


def test_an_unknown_class(run, digit, capsys):
    assert main(["look", str(run), "--device", "cpu", "--attribution", str(digit), "--class", "ten"]) == 2
    assert 'no class is called "ten"' in capsys.readouterr().err


def test_no_run(tmp_path, capsys):
    assert main(["look", str(tmp_path), "--filters"]) == 2
    assert "is not a run" in capsys.readouterr().err
