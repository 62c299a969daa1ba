"""A package that is missing is named itself, and no message or page has pip look up archc on an index."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from archc.text.extras import DISTRIBUTION, EXTRAS, how_to_install, needs
from tests.helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENDINGS = (".py", ".md", ".yaml", ".yml", ".toml", ".js", ".html", "")
FROM_AN_INDEX = re.compile(r"(?:pip3?|uv|pipx)\s+install\s+(?:-\S+\s+)*['\"]?archc\b|(?<![\w.-])archc\[[a-z]")


def packages(extra: str) -> set[str]:
    """What an extra of pyproject.toml names, and what the extras do that it takes in."""
    found: set[str] = set()
    for line in PROJECT["optional-dependencies"][extra]:
        name, inner = re.match(r"([\w-]+)(?:\[([\w,]+)\])?", line).groups()  # type: ignore[union-attr]
        found |= set().union(*map(packages, inner.split(","))) if name == DISTRIBUTION else {name}
    return found


def test_the_extras_are_those_of_the_project() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert {name: set(named) for name, named in EXTRAS.items()} == {name: packages(name) for name in EXTRAS}
    assert set(PROJECT["optional-dependencies"]) - set(EXTRAS) == {"test", "dev", "all"}


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("PIL", "sklearn"):
        monkeypatch.setitem(sys.modules, module, None)
    pytest.importorskip("torch")
    assert how_to_install("train") == "pip install pillow scikit-learn (extra archc-nn[train])"
    assert needs("PIL", "train") == "this needs PIL, which is not installed: " + how_to_install("train")
    assert how_to_install("charts", "matplotlib") == "pip install matplotlib (extra archc-nn[charts])"


def test_a_finder_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            raise ModuleNotFoundError(name)

    monkeypatch.setattr(sys, "meta_path", [Absent()])
    for module in ("torch", "numpy", "safetensors"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert how_to_install("torch") == "pip install torch numpy safetensors (extra archc-nn[torch])"


def test_nothing_tells_to_install_a_stranger() -> None:
    tops = [ROOT / name for name in ("archc", "docs", "specs", "tests", ".github", ".ci")]
    paths = [path for top in tops for path in top.rglob("*")] + list(ROOT.glob("*"))
    texts = [path for path in paths if path.is_file() and path.suffix in ENDINGS and path != Path(__file__)]
    assert len(texts) > 500
    assert not [str(path) for path in texts if FROM_AN_INDEX.search(path.read_text(errors="replace"))]


@pytest.mark.parametrize("text", ["pip install archc", "pip install 'archc[train]'", "pip install -U archc-nn", "and `archc[shards]` for"])
def test_that_would_be_found(text: str) -> None:
    assert FROM_AN_INDEX.search(text)
