"""The documents say what is so: their specs run, their commands run, their tables are complete, generated ones are current."""

from __future__ import annotations

import re
import shlex
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from archc.analysis.checks.check import check
from archc.analysis.cost.derive import DEFINITIONS
from archc.cli.main import COMMANDS, main
from archc.elaborate.compiler import compile_text
from archc.language.entries import GROUPS, MODIFIERS
from archc.language.expression import FUNCTIONS
from archc.language.spec import KEYS
from archc.ops import OPERATORS
from archc.ops.shape import AXES
from archc.reference import zoo
from archc.reference.operators import definitions_markdown, markdown, recipe_markdown
from archc.signature import NAMED
from archc.text.diagnostics import CODES, draw
from tests.helpers.paths import ROOT
from tests.test_architecture import FLOORS

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
LANGUAGE = PAGES["docs/language.md"]


def fences(kind: str) -> list[tuple[str, str]]:
    return [(page, body) for page, text in PAGES.items() for body in re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


SPECS = [(page, body) for page, body in fences("yaml") if "layers:" in body or "extends:" in body]


@pytest.mark.parametrize(("page", "text"), SPECS, ids=[f"{page}-{i}" for i, (page, _) in enumerate(SPECS)])
def test_specs_in_the_documents_run(page: str, text: str) -> None:
    model = compile_text(text)
    assert model.graph is not None, "\n".join(draw(one) for one in model.diagnostics)
    assert check(model.graph) == []


# tests/cli/test_memory_command.py runs those of docs/memory.md, and compares what they print; test_models.py those of docs/import.md
ELSEWHERE = ("memory.md", "import.md")
LINES = {line.strip() for page, body in fences("(?:sh|console)") if not page.endswith(ELSEWHERE) for line in body.splitlines()}
# `archc build` writes files and needs torch: tests/docs/test_build_docs.py runs it
COMMANDS_SHOWN = sorted(line for line in LINES if line.startswith("archc ") and not line.startswith("archc build "))


@pytest.mark.parametrize("line", COMMANDS_SHOWN)
def test_commands_in_the_documents_run(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(line, comments=True)[1:]) == 0, capsys.readouterr().err


def test_every_link_leads_somewhere() -> None:
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


@pytest.mark.parametrize(
    ("names", "mark"), [(KEYS, "`{}`"), (MODIFIERS, "`{}`"), (GROUPS, "{}:"), (FUNCTIONS, "`{}"), (AXES, ".{}"), (NAMED, "`{}`")]
)
def test_the_language_page_is_complete(names: dict[str, object], mark: str) -> None:
    assert not [name for name in names if mark.format(name) not in LANGUAGE]


def test_the_table_of_codes() -> None:
    assert dict(re.findall(r"^\| (A\d{3}) \| (.*) \|$", LANGUAGE, re.MULTILINE)) == CODES


def test_readme_and_the_page_name_every_command() -> None:
    for page in ("README.md", "docs/commands.md"):
        assert not [name for name in COMMANDS if f"archc {name}" not in PAGES[page]]


def test_generated_pages_are_current() -> None:
    assert PAGES["docs/definitions.md"] == definitions_markdown() + "\n"
    assert PAGES["docs/recipe.md"] == recipe_markdown() + "\n"
    assert PAGES["docs/operators.md"] == markdown() + "\n"
    assert PAGES["docs/zoo.md"] == zoo.markdown() + "\n"
    assert all(text in PAGES["docs/definitions.md"] for text in DEFINITIONS.values())


def test_the_operator_of_the_page_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/develop/writing-an-operator.md: fifteen lines from the decorator to the end, loaded from a file."""
    code = re.findall(r"```python\n(from archc.*?)```", PAGES["docs/develop/writing-an-operator.md"], re.DOTALL)[0]
    body = code[code.index("@op") :]
    assert len([line for line in body.splitlines() if line.strip()]) <= 15
    (tmp_path / "layer.py").write_text(code)
    (tmp_path / "net.yaml").write_text("input: [3, 8, 8]\nlayers: [{conv: 4}, {scaled_tanh: {slope: 2.0, per_channel: true}}]\n")
    try:
        assert main(["analyze", str(tmp_path / "net.yaml"), "--plugin", str(tmp_path / "layer.py"), "--format", "json"]) == 0
    finally:
        OPERATORS.remove("scaled_tanh")
    assert '"parameters": 4' in capsys.readouterr().out


def test_the_index_names_every_page() -> None:
    index = PAGES["docs/README.md"]
    assert not [page for page in PAGES if page.startswith("docs/") and page != "docs/README.md" and f"({page[5:]})" not in index]


def test_the_pass_of_the_page_works() -> None:
    """docs/develop/writing-a-pass.md: it drops what it says, leaves what it must, and the graph it was given alone."""
    code = re.findall(r"```python\n(.*?)```", PAGES["docs/develop/writing-a-pass.md"], re.DOTALL)[0]
    room: dict[str, Any] = {}
    exec(compile(code, "the page", "exec"), room)
    for layers, left in (("a: relu, b: relu6", 1), ("a: relu, b: relu6, c: {relu6: {}, from: a}", 3), ("a: relu, b: sigmoid", 2)):
        graph = compile_text(f"input: [3, 8, 8]\nlayers: {{{layers}}}\n").graph
        assert graph is not None
        before = len(graph.nodes)
        result = room["relu_before_relu6"](graph)
        assert (len(result.graph.nodes), len(graph.nodes)) == (left, before)
        assert result.said == ["dropped 1 relu before a relu6" if left < before else "dropped nothing"]


def test_the_command_of_the_page_works(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGES["docs/develop/writing-a-command.md"], re.DOTALL)[0]
    module = types.ModuleType("archc.cli.depth_command")
    exec(compile(code, "the page", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "depth", "how deep a network is")
    assert main(["depth", "vgg16"]) == 0 and main(["depth", "no_such_net"]) == 2
    out, err = capsys.readouterr()
    assert out == "vgg16: 40 layers deep\n" and "no_such_net" in err


def test_the_architecture_names_every_room() -> None:
    """docs/develop/architecture.md: the table of rooms, with the floors that tests/test_architecture.py holds."""
    rows = re.findall(r"^\| (-?\d+) \| (.*?) \|", PAGES["docs/develop/architecture.md"], re.MULTILINE)
    named = {name.rstrip("/").removesuffix(".py"): int(floor) for floor, names in rows for name in re.findall(r"`([\w./]+)`", names)}
    assert named == {room: floor for room, floor in FLOORS.items() if room != "__main__"}
