"""`archc data`, and docs/data.md: what is printed and drawn, and what is said of mistakes."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archc.cli.main import main
from archc.data.grid import GridRow, grid
from archc.data.pixels import ENDINGS
from archc.recipe.tables import AUGMENTATIONS
from tests.data.test_folder import spoiled
from tests.helpers import image_sets
from tests.helpers.paths import ROOT

PAGE = (ROOT / "docs/data.md").read_text()
COMMANDS = re.findall(r"^archc data .*$", PAGE, re.MULTILINE)


def fences(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def out(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["data", *map(str, words)]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["data", *map(str, words)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    return " ".join(told.err.split())


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_page(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "--augment" in line:
        pytest.importorskip("torch", reason="pip install '.[train]'")
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)[1:]) == 0
    assert ("-o" in line) == (tmp_path / "grid.png").exists()


def test_the_page_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert not [line for line in fences("text")[0].splitlines() if line not in out(capsys, "info", "digits").splitlines()]
    assert not [name for name, choice in AUGMENTATIONS.items() for word in (name, *choice.signature.params) if f"`{word}`" not in PAGE]
    assert not [ending for ending in ENDINGS if f"`{ending}`" not in PAGE]
    for body in fences("python"):
        exec(compile(body, "docs/data.md", "exec"), {})


def test_info(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    root = image_sets.folder(tmp_path / "photos", each=10)
    image_sets.picture((1, 2, 3), (90, 50)).save(root / "red/large.png")
    wrong = spoiled(root)
    text = out(capsys, "info", root, "--validation", "0.3")
    assert "photos: 3 classes, folder, read as 3 x 224 x 224" in text and f"corrupt  {len(wrong)}\n" in text
    assert "stored   24 x 24 to 50 x 90" in text and all(f"/red/{name}: " in text for name in wrong)
    told = json.loads(out(capsys, "info", root, "--validation", "0.3", "--format", "json"))
    assert told["classes"] == ["blue", "green", "red"] and len(told["corrupt"]) == len(wrong)
    assert told["counts"]["train"][:2] == [7, 7] and told["counts"]["validation"][:2] == [3, 3] and told["read"] == 31
    assert "is not a readable image" in refused(capsys, "info", root, "--corrupt", "error")


def test_many_classes_fit_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    image_sets.cifar100(tmp_path)
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"{'long ' * 20}{i}" for i in range(100)))
    text = out(capsys, "info", tmp_path)
    assert "80 more" in text and max(map(len, text.splitlines())) <= 80


def test_info_of_shards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("webdataset", reason="pip install '.[shards]'")
    image_sets.shard(tmp_path / "train.tar", [str(i) for i in range(9)], [i % 3 for i in range(9)])
    told = json.loads(out(capsys, "info", tmp_path, "--validation", "0", "--all", "--format", "json"))
    assert told["counts"] == {"train": [3, 3, 3]} and told["images"] == {"train": None} and told["read"] == 9
    assert main(["data", "preview", str(tmp_path), "-o", str(tmp_path / "grid.png")]) == 0


def test_info_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('torch was imported')")
    code = "import sys; from archc.cli.main import main; main(['data', 'info', 'digits']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""})


def test_preview_shows_the_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = image_sets.folder(tmp_path / "set", each=6)
    assert "wrote" in out(capsys, "preview", root, "-o", tmp_path / "grid.png", "--columns", "4", "--rows", "2")
    shown = np.asarray(Image.open(tmp_path / "grid.png")).astype(int)
    for name, there in (("blue", True), ("green", True), ("red", False)):
        near = np.abs(shown - image_sets.COLORS[name]).max(2) <= 20
        assert near.sum() >= 4 * 72 * 72 if there else near.sum() == 0


def test_preview_with_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="pip install '.[train]'")
    net = tmp_path / "net.yaml"
    net.write_text(
        "input: [3, 16, 16]\nlayers: [flatten, linear: 3]\ntrain: {data: SET, augment: [flip, {crop: {padding: 2}}], mixup: 0.2}\n"
    )
    root = image_sets.folder(tmp_path / "set", each=6)
    net.write_text(net.read_text().replace("SET", str(root)))
    assert "original, then 2 draws of flip, crop, mixup" in out(
        capsys, "preview", "--spec", net, "-o", tmp_path / "a.png", "--columns", "3"
    )
    same = ("--spec", net, "--columns", "3", "--augment", "color_jitter: {brightness: 0.4}")
    assert "draws of color_jitter, mixup" in out(capsys, "preview", *same, "-o", tmp_path / "b.png")
    out(capsys, "preview", *same, "-o", tmp_path / "c.png")
    out(capsys, "preview", *same, "-o", tmp_path / "d.png", "--seed", "1")
    one, two, other = ((tmp_path / f"{name}.png").read_bytes() for name in "bcd")
    assert one == two != other


def test_names_in_the_picture_are_kept_short() -> None:
    images = np.zeros((2, 1, 300, 200), np.uint8)
    with Image.open(io.BytesIO(grid([GridRow("x" * 500 + "\n", images)], ()))) as picture:
        assert picture.width < 600 and picture.height < 260


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "which images?" in refused(capsys, "info")
    assert "name a file, as in -o grid.png" in refused(capsys, "preview", "digits")
    assert "there is no" in refused(capsys, "info", tmp_path / "none")
    assert "does not ship" in refused(capsys, "info", "cifar10")
    assert "data.validation is 2" in refused(capsys, "info", "digits", "--validation", "2")
    assert "--columns" in refused(capsys, "preview", "digits", "-o", "a.png", "--columns", "0")
    assert "rotat" in refused(capsys, "preview", "digits", "-o", tmp_path / "a.png", "--augment", "rotatoin")
    assert "cannot write" in refused(capsys, "preview", "digits", "-o", tmp_path / "no/a.png")
    with pytest.raises(SystemExit):
        main(["data", "info", "digits", "--size", "0x4"])
    assert not (tmp_path / "a.png").exists()
