"""Wrong specs, each with what archc says of it, no more and no less.

A comment on the guilty line tells the code, the column, and words of the message or hint: `# ! A301 5: did you mean "conv"?`. Where no
comment can stand, one at the top tells the line too: `# ! line 7 A101 3: …`. A spec with a `name.txt` beside it is held to the whole text.
A change of wording is made by hand: `python -m tests.test_bad_specs NAME…` writes the texts anew, to be read before they are kept.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from archc.elaborate.compiler import compile_spec
from archc.text.diagnostics import CODES, draw
from archc.text.suggest import did_you_mean
from tests.helpers.paths import TESTS

SPECS = sorted((TESTS / "bad_specs").glob("*.yaml"))
# What no spec by itself can cause: formulas are made by `analyze`, promises compared by `check`, plugins come from the command line.
BEYOND_SPECS = {"A504", "A705", "A706", "A801", "A802", "A803", "A804"}
MARK = re.compile(r"# ! (?:(?:in (\S+) )?line (\d+) )?(A\d+) (\d+)(?:: (.*?))?(?=\s*# ! |\s*$)", re.MULTILINE)
Mark = tuple[str, int, int, str]


def said(name: str) -> str:
    """All diagnostics of a spec, drawn."""
    model = compile_spec(f"bad_specs/{name}.yaml")
    assert model.graph is None or all(one.severity == "warning" for one in model.diagnostics)
    return "\n\n".join(draw(one) for one in model.diagnostics) + "\n"


def marks(path: Path) -> list[tuple[Mark, str]]:
    """The file, line, column and code of each mistake that a spec marks, and words that archc must say there."""
    found = []
    for number, line in enumerate(path.read_text().split("\n"), 1):
        for file, at, code, column, words in MARK.findall(line):
            found.append(((file or f"bad_specs/{path.name}", int(at or number), int(column), code), words))
    return sorted(found)


@pytest.mark.parametrize("name", [path.stem for path in SPECS if not path.with_suffix(".txt").exists()])
def test_marked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TESTS)
    path = Path("bad_specs", f"{name}.yaml")
    model = compile_spec(str(path))
    found = sorted(((one.span.source.name, one.span.line, one.span.column, one.code), one) for one in model.diagnostics)
    assert [place for place, _ in found] == [place for place, _ in marks(path)] != [], said(name)
    for (_, one), (_, words) in zip(found, marks(path), strict=True):
        assert words in f"{one.message} {one.hint}", draw(one)


@pytest.mark.parametrize("name", [path.stem for path in SPECS if path.with_suffix(".txt").exists()])
def test_diagnostics(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TESTS)
    assert said(name) == (TESTS / "bad_specs" / f"{name}.txt").read_text()


def test_every_code_is_met() -> None:
    met = {code for path in SPECS for (_, _, _, code), _ in marks(path)}
    for path in TESTS.glob("bad_specs/*.txt"):
        met |= set(re.findall(r"^(?:error|warning)\[(A\d+)\]", path.read_text(), re.MULTILINE))
    assert set(CODES) - met == BEYOND_SPECS


def test_there_are_many() -> None:
    assert len(SPECS) >= 100


if __name__ == "__main__":
    os.chdir(TESTS)
    known = {path.stem: path.with_suffix(".txt").exists() for path in SPECS}
    if wrong := next((one for one in sys.argv[1:] if one not in known), None):
        raise SystemExit(f"no spec is called bad_specs/{wrong}.yaml; {did_you_mean(wrong, known) or 'name it without its ending'}")
    for one in sys.argv[1:] or [name for name, whole in known.items() if whole]:
        (TESTS / "bad_specs" / f"{one}.txt").write_text(said(one))
