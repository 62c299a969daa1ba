"""Wrong specs, each with the whole of what archc says of it: `name.yaml` and, beside it, `name.txt`.

A change of wording is made by hand: `python tests/test_bad_specs.py NAME…` writes the texts anew, to be read before they are kept.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from archc.compiler import compile_spec
from archc.text.diagnostics import CODES, draw

HERE = Path(__file__).parent
SPECS = sorted((HERE / "bad_specs").glob("*.yaml"))
# What no spec by itself can cause: promises are compared by `check`, plugins come from the command line.
BEYOND_SPECS = {"A603", "A705", "A801"}


def said(name: str) -> str:
    """All diagnostics of a spec, drawn."""
    model = compile_spec(f"bad_specs/{name}.yaml")
    assert model.graph is None or all(one.severity == "warning" for one in model.diagnostics)
    return "\n\n".join(draw(one) for one in model.diagnostics) + "\n"


@pytest.mark.parametrize("name", [path.stem for path in SPECS])
def test_diagnostics(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    assert said(name) == (HERE / "bad_specs" / f"{name}.txt").read_text()


def test_every_code_is_met() -> None:
    met = {text[6:10] for path in SPECS for text in path.with_suffix(".txt").read_text().splitlines() if text.startswith("error[")}
    met |= {text[8:12] for path in SPECS for text in path.with_suffix(".txt").read_text().splitlines() if text.startswith("warning[")}
    assert set(CODES) - met == BEYOND_SPECS


def test_there_are_many() -> None:
    assert len(SPECS) >= 80


if __name__ == "__main__":
    os.chdir(HERE)
    for one in sys.argv[1:] or [path.stem for path in SPECS]:
        (HERE / "bad_specs" / f"{one}.txt").write_text(said(one))
