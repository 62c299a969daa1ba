"""Equal commands give equal bytes, wherever they run and wherever archc is installed; places of files that ship are specs/NAME.yaml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

SPECS = ("alexnet.yaml", "lenet5.yaml", "resnet18.yaml", "resnet34.yaml", "resnet50.yaml", "resnext50_32x4d.yaml")
COMMANDS = (
    "resolve resnext50_32x4d",
    "explain resnext50_32x4d layer1.0",
    "report alexnet resnext50_32x4d -o {out}/page.html",
    pytest.param("build lenet5 -o {out}/net.py -o {out}/start.safetensors --device cpu", marks=pytest.mark.heavy),  # torch, three times
    "build lenet5 -o {out}/net.py",
    "check alexnet",
    "resolve {own}/child.yaml",
    "check {own}/wrong.yaml",
    "render alexnet --style volumes -o {out}/a.svg",
    "render alexnet --style cost -o {out}/a.html",
    "schema {own}/child.yaml",
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Specs of a user, one of which extends another and one that ships."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "more").mkdir()
    (folder / "more" / "base.yaml").write_text("extends: alexnet\n")
    (folder / "more" / "blocks.yaml").write_text("two: {layers: [relu, relu]}\n")
    (folder / "child.yaml").write_text("extends: more/base.yaml\nuse: more/../more/blocks.yaml\nparams: {classes: 10}\n")
    (folder / "wrong.yaml").write_text("extends: more/base.yaml\nparams: {classes: nine}\n")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a wheel lies in site-packages: the specs beside the code."""
    site = tmp_path_factory.mktemp("site-packages")
    shutil.copytree(ROOT / "archc", site / "archc", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "archc" / "specs").mkdir()
    for name in SPECS:
        if (ROOT / "specs" / name).exists():
            shutil.copy(ROOT / "specs" / name, site / "archc" / "specs")
    return site


def outputs(command: str, cwd: Path, path: Path, out: Path, own: Path) -> dict[str, bytes]:
    """All that a command prints and writes."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    words = command.format(out=out, own=own).split()
    environment = os.environ | {"PYTHONPATH": str(path), "PYTHONHASHSEED": str(len(str(cwd)))}
    ran = subprocess.run([sys.executable, "-m", "archc", *words], cwd=cwd, env=environment, capture_output=True)
    assert b"Traceback" not in ran.stderr, ran.stderr
    return {"out": ran.stdout, "err": ran.stderr} | {one.name: one.read_bytes() for one in out.iterdir()}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_wherever_it_runs(command: str, own: Path, installed: Path, tmp_path: Path) -> None:
    if ".safetensors" in command:
        pytest.importorskip("safetensors")
    ways = [(own, ROOT), (ROOT / "specs", ROOT), (tmp_path, installed)]
    first, *others = [outputs(command, cwd, path, tmp_path / "out", own) for cwd, path in ways]
    for other in others:
        assert other == first
    for name, content in first.items():
        assert str(ROOT).encode() not in content and str(installed).encode() not in content, name
    if "resolve" in command:
        assert b"specs/" in first["out"]
        assert (f"{own}/child.yaml:3:19".encode() in first["out"]) == ("child" in command)


def test_names_follow_what_was_typed(own: Path, tmp_path: Path) -> None:
    """A spec that is named by another path is shown by that path, and so is what it extends."""
    (own / "more" / "base.yaml").write_text("extends: alexnet\nparams: {groups: 2}\n")
    near = outputs("resolve child.yaml", own, ROOT, tmp_path / "out", own)["out"].decode()
    far = outputs(f"resolve {own.name}/child.yaml", own.parent, ROOT, tmp_path / "out", own)["out"].decode()
    assert "# child.yaml:3:19" in near and " more/base.yaml:2:18" in near and str(own.parent) not in near + far
    assert far == near.replace(" child.yaml:", f" {own.name}/child.yaml:").replace(" more/base.yaml:", f" {own.name}/more/base.yaml:")
