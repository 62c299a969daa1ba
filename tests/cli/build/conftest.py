"""Three small specs in an empty folder, and `archc build` run there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archc.cli.main import main
from tests.cli.build.common import HEADS, NET, WORDS, Refused, Run, files


@pytest.fixture
def torch() -> Any:
    found = pytest.importorskip("torch")
    found.manual_seed(0)
    found.set_num_threads(1)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `archc build` in a folder that has the specs of this file: (status, output, errors)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    for name, text in (("tiny", NET), ("heads", HEADS), ("words", WORDS)):
        Path(f"{name}.yaml").write_text(text)

    def go(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(["build", *words])
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return go


@pytest.fixture
def refused(run: Run) -> Refused:
    """What a wrong command says: status 2, lines of 80 columns, nothing on standard output, and no file written or changed."""

    def go(*words: str) -> str:
        before = files()
        status, out, err = run(*words)
        assert (status, out, files()) == (2, "", before)
        assert all(len(line) <= 80 and line.isprintable() for line in err.splitlines()), err
        return err

    return go
