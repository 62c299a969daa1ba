"""What a terminal shows: colour, wide characters, wrapping, progress, and the words that a shell completes."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from archc.cli import console
from archc.cli.main import COMMANDS, GROUPS, main
from archc.text.diagnostics import Diagnostic, lines_of
from archc.text.lines import plain, wrap
from archc.text.source import Source, Span
from archc.text.table import Column, Table, to_lines

ROOT = Path(__file__).parent.parent
SGR = re.compile(r"\x1b\[[0-9;]*m")
WIDE = "name: 网络\ninput: [3, 8, 8]\nlayers: {a: {conv: 4}, b: relu}\n"
MARKUP = 'name: "[bold red]net[/] :boom:"\ndoc: "[link=http://x]y[/link]"\ninput: [3, 8, 8]\nlayers: {"[red]a": {conv: 4}}\n'


def in_terminal(*words: str, columns: int = 80, rows: int = 500, command: list[str] | None = None, **environment: str) -> str:
    """What a command writes to a terminal, with both its streams."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS", "LINES", "PAGER")}
    told = {**kept, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment}
    command = command or [sys.executable, "-m", "archc", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=told)
    os.close(theirs)
    written = b""
    while True:
        select.select([ours], [], [], 60)
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        if not more:
            break
        written += more
    process.wait(60)
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def piped(*words: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    ran = subprocess.run(
        [sys.executable, "-m", "archc", *words],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_has_colour_and_its_width(columns: int) -> None:
    out = in_terminal("analyze", "resnet18", columns=columns)
    assert SGR.search(out) and max(cell_len(SGR.sub("", line)) for line in out.splitlines()[3:-5]) <= columns
    titles = next(line for line in out.splitlines() if "parameters" in line)
    assert "×" in titles


def test_who_says_whether_there_is_colour() -> None:
    words = ("analyze", "mlp")
    assert "\x1b" not in piped(*words) and "\x1b" not in in_terminal(*words, NO_COLOR="1")
    assert "\x1b" not in in_terminal(*words, "--color", "never") and "\x1b" not in in_terminal(*words, TERM="dumb")
    assert SGR.search(piped(*words, FORCE_COLOR="1")) and "\x1b" not in piped(*words, FORCE_COLOR="1", NO_COLOR="1")
    assert SGR.search(piped(*words, "--color", "always", NO_COLOR="1")) and SGR.search(piped("--color=always", *words, TERM="dumb"))
    assert SGR.sub("", piped(*words, "--color", "always")) == piped(*words)
    assert "--color is auto, always, never" in piped("--color", "red", *words)


def test_names_are_texts_and_no_markup(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MARKUP)
    for words in (("analyze", str(tmp_path / "a.yaml")), ("check", str(tmp_path / "a.yaml"))):
        out = SGR.sub("", piped(*words, "--color", "always"))
        assert out == piped(*words) and "[red]a" in out and "\x1b" not in out
    colored = console.drawn([[("[bold]x[/bold] :boom: [link=http://x]y[/link]", "title")]])
    assert SGR.sub("", colored) == "[bold]x[/bold] :boom: [link=http://x]y[/link]"


@given(st.lists(st.lists(st.text(max_size=30), min_size=3, max_size=3), max_size=6), st.integers(30, 90))
def test_columns_stand_under_each_other(rows: list[list[str]], width: int) -> None:
    table = Table([Column("layer"), Column("kind"), Column("what", "text", 3)], [*rows, ["畳み込み", "conv🙂", "활성화"]])
    for room in (None, width):
        lines = [line[0][0] for line in to_lines(table, room, console.columns_of)]
        rule = console.columns_of(lines[1])
        assert room is None or rule <= room
        assert all(console.columns_of(line) <= rule for line in lines[: 3 + len(rows)])


def test_wide_names_align_in_terminal_and_pipe(tmp_path: Path) -> None:
    path = tmp_path / "网.yaml"
    path.write_text(WIDE)
    words = ("diff", "mlp", str(path))
    for out in (piped(*words), SGR.sub("", in_terminal(*words))):
        lines = out.splitlines()
        at = max(i for i, line in enumerate(lines) if "网络" in line)
        edge = cell_len(lines[at].partition("网络")[0] + "网络")
        for row in lines[at + 2 : at + 5]:
            assert cell_len(re.match(r"\S+ +[\d,]+ +[\d,]+", row)[0]) == edge  # type: ignore[index]


@given(st.text(st.sampled_from("ab 网🙂"), max_size=80), st.integers(4, 40))
def test_wrapping_keeps_every_word(text: str, width: int) -> None:
    text = " ".join(text.split())
    lines = wrap(text, width, "", console.columns_of)
    assert " ".join(lines).split() == text.split()
    assert all(cell_len(line) <= width or " " not in line for line in lines)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_diagnostics_fit_and_the_marker_is_under_the_place(width: int) -> None:
    line = "- {conv: {channels: 64, " + "网" * 30 + ": 3, padding: wrong, stride: 1, dilation: 1}}"
    at = line.index("wrong")
    found = Diagnostic("A402", "padding is wrong " * 8, Span(Source("a.yaml", line), at, at + 5), "write a whole number " * 5)
    lines = plain(lines_of(found, width, cell_len)).splitlines()
    assert all(cell_len(one) <= width for one in lines) and lines[0].startswith("error[A402]: padding")
    shown = next(i for i, one in enumerate(lines) if one.startswith("1 |"))
    before, mark = lines[shown].partition("wrong")[0], lines[shown + 1].partition("^^^^^")[0]
    assert cell_len(before) == cell_len(mark)


def test_messages_are_wrapped_to_the_terminal() -> None:
    out = SGR.sub("", in_terminal("diff", "vgg16", columns=50))
    assert out.startswith("archc: what should it be compared with?") and max(map(len, out.splitlines())) <= 50 and out.count("\n") > 1


def test_diff_in_colour() -> None:
    out = piped("diff", "vgg16", "resnet18", "--color", "always")
    assert "\x1b[31m-  features" in out and "\x1b[32m+  conv1" in out and "\x1b[33m~  avgpool" in out


def test_help_is_grouped_and_complete() -> None:
    out = piped("--help")
    assert all(f"\n{title}:\n" in out for title in GROUPS) and sum(map(len, GROUPS.values())) == len(COMMANDS)
    files = {path.stem.removesuffix("_command") for path in (ROOT / "archc" / "cli").glob("*_command.py")}
    assert files == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert {line for line in capsys.readouterr().out.splitlines() if cell_len(line) > 80} == set()


def test_a_wrong_option_is_told_within_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main(["fit", "resnet50", "--memory", "24gx"])
    lines = capsys.readouterr().err.splitlines()
    assert max(map(cell_len, lines)) <= 60 and "'24gx' is not a size" in " ".join(line.strip() for line in lines)


def test_progress_is_shown_to_a_person_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import time; from archc.cli.console import track\nfor one in track(range(5), 'reading [red]x[/]'): time.sleep(0.4)\nprint('done')"
    )
    assert list(console.track(range(3), "reading")) == [0, 1, 2] and capsys.readouterr().err == ""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "done\n" and ran.stderr == ""


def test_progress_on_a_terminal_comes_late_and_goes() -> None:
    script = "import time; from archc.cli.console import progress\nwith progress('[red]x[/]', 3, {}) as step:\n"
    script += "    for one in range(3): step(''); time.sleep(0.3)\nprint('done')"
    shown = in_terminal(command=[sys.executable, "-c", script.format("patience=0")])
    assert "[red]x[/]" in shown and "/3" in shown and shown.endswith("\x1b[2Kdone\n")
    assert in_terminal(command=[sys.executable, "-c", script.format("patience=60")]) == "done\n"
    assert in_terminal(command=[sys.executable, "-c", script.format("patience=0")], CI="1") == "done\n"


def test_rich_absent_is_plain(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError(\"No module named 'rich'\", name='rich')\n")
    (tmp_path / "a.yaml").write_text(WIDE)
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    out = in_terminal("analyze", str(tmp_path / "a.yaml"), PYTHONPATH=path)
    assert "网络" in out and "\x1b" not in out and "Traceback" not in out
    assert "Traceback" not in in_terminal("list", "lenet", PYTHONPATH=path) and "\x1b" not in in_terminal("--help", PYTHONPATH=path)


COMPLETION = """
eval "$({python} -m archc completion bash)"
archc() {{ {python} -m archc "$@"; }}
COMP_LINE="$1"; COMP_POINT=${{#1}}; COMP_WORDS=($1); [[ "$1" == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1))
COMP_TYPE=9; _python_argcomplete archc "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("archc expl", ["explain"]),
        ("archc analyze resnet1", ["resnet18", "resnet101", "resnet152"]),
        ("archc analyze vgg16 --optim", ["--optimizer"]),
        ("archc analyze vgg16 --optimizer adam", ["adam", "adamw"]),
        ("archc explain lenet5 con", ["conv1", "conv2"]),
        ("archc docs conv", ["conv", "conv_transpose"]),
        ("archc time vgg16 --device a1", ["a10", "a100-80gb"]),
        ("archc schema --of ex", ["explain"]),
    ],
)
def test_bash_completes(line: str, wanted: list[str]) -> None:
    script = COMPLETION.format(python=sys.executable)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["bash", "--norc", "-c", script, "bash", line], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert set(wanted) <= {word.strip() for word in ran.stdout.split()}, ran.stderr


NARROW = ["analyze resnet18", "analyze resnet50 --tree --depth 2", "list resnet", "memory resnet18 --batch 8", "time resnet18 --device t4"]
NARROW += ["explain resnet18 layer1.0.bn1", "explain unet --structure", "lint resnet50", "compare resnet18 vgg16 lenet5", "devices"]
NARROW += ["diff resnet18 resnet34", "fit lenet5 --batch 4"]


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("line", NARROW)
def test_nothing_is_wider_than_the_terminal(
    line: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(line.split()) == 0
    assert [row for row in capsys.readouterr().out.split("\n") if console.columns_of(row) > columns] == []


@pytest.mark.parametrize("line", ["analyze resnet18", "analyze resnet18 --tree"])
def test_the_narrowest_keep_layer_copies_and_parameters(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns, kept in ((60, "layer × output parameters MACs"), (40, "layer × parameters MACs"), (34, "layer × parameters")):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(line.split()) == 0
        rows = capsys.readouterr().out.split("\n")
        head = next(row.split() for row in rows if row.startswith("layer "))
        assert set(kept.split()) <= set(head) and max(map(console.columns_of, rows)) <= columns


def test_completion_needs_a_known_shell(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", "tcsh"])
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err


def test_top_tree_and_shares() -> None:
    top = piped("analyze", "vgg16", "--top", "3", "--sort", "parameters")
    names = [line.split()[0] for line in top.splitlines()[5:8]]
    assert names == ["classifier.0", "classifier.3", "classifier.6"]
    assert "74.3%" in top and "the 3 of 40 rows with the most parameters, 89.4% of the network's" in top
    tree = piped("analyze", "resnet18", "--tree")
    assert "└─ 0…1" in tree and "basic_block" in tree and "   ├─ conv1" in tree
    for wrong in (
        ("--tree", "--sort", "macs"),
        ("--top", "3", "--format", "json"),
        ("--top", "3", "--sort", "name"),
        ("--tree", "--format", "csv"),
    ):
        assert piped("analyze", "vgg16", *wrong).startswith("archc: ")


def test_shown_text_is_rich_text() -> None:
    """The measure of columns is rich's, wherever it is asked."""
    for text in ("plain", "…─×", "网络", "🙂🙂", "e\u0301"):
        assert console.columns_of(text) == Text(text).cell_len


def test_a_pager_is_for_a_person_and_what_is_tall(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho PAGED\ncat\n")
    pager.chmod(0o755)
    assert in_terminal("analyze", "resnet50", "--full", rows=50, PAGER=str(pager)).startswith("PAGED\n")
    assert "PAGED" not in in_terminal("analyze", "mlp", rows=50, PAGER=str(pager))
    assert "PAGED" not in in_terminal("analyze", "resnet50", "--full", rows=50, PAGER=str(pager), CI="true")
    assert "PAGED" not in piped("analyze", "resnet50", "--full", PAGER=str(pager))
    without = in_terminal("analyze", "resnet50", "--full", rows=50, PAGER="no-such-pager")
    assert "fc " in without and without == in_terminal("analyze", "resnet50", "--full", rows=500)
