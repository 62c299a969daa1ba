"""Files are written whole or not at all, what is not a file is written to, and nothing that a command reads is written over."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from archc.cli.main import main
from archc.text import atomic
from archc.text.atomic import PART, beside, write
from tests.helpers.paths import ROOT

posix = pytest.mark.skipif(sys.platform == "win32", reason="devices, links and pipes of POSIX")
ARCHC = f"{sys.executable} -m archc"
SPEC = "input: [3, 8, 8]\nlayers: [{conv: 4}, flatten, {linear: 2}]\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("net.yaml").write_text(SPEC)
    return tmp_path


def shell(command: str, **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command.replace("archc ", f"{ARCHC} ")], capture_output=True, text=True, timeout=60, **options)


def run(*words: str) -> int:
    """The exit status of a command."""
    try:
        return main(words)
    except SystemExit as ended:
        return int(ended.code or 0)


def names() -> list[str]:
    return sorted(one.name for one in Path().iterdir())


# one writer


def test_a_new_file_has_the_rights_that_new_files_have() -> None:
    Path("other").write_text("")
    assert write(Path("new"), "é") == 2 and Path("new").read_bytes() == "é".encode()
    assert Path("new").stat().st_mode == Path("other").stat().st_mode
    with pytest.raises(FileExistsError):
        write(Path("new"), "x", new=True)
    write(Path("newer"), lambda path: path.write_bytes(b"put"), new=True)
    assert Path("newer").read_bytes() == b"put" and names() == ["net.yaml", "new", "newer", "other"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_permissions_and_links_stay(mode: int) -> None:
    kept = Path("kept")
    kept.write_text("before")
    kept.chmod(mode)
    Path("soft").symlink_to("kept")
    Path("softer").symlink_to("soft")
    write(Path("softer"), lambda path: path.write_text("after") and path.chmod(0o640))
    assert kept.read_text() == "after" and stat.S_IMODE(kept.stat().st_mode) == mode
    assert Path("soft").is_symlink() and Path("softer").is_symlink()
    os.link("kept", "hard")
    write(Path("soft"), "longer than before")
    assert Path("hard").read_text() == "longer than before" and kept.samefile("hard")
    write(Path("hard"), "short")
    assert kept.read_text() == "short" and names() == ["hard", "kept", "net.yaml", "soft", "softer"]
    Path("nowhere").symlink_to("made")
    write(Path("nowhere"), "there")
    assert Path("nowhere").is_symlink() and Path("made").read_text() == "there"


@posix
def test_what_a_stranger_put_there_is_not_followed() -> None:
    Path("secret").write_text("secret")
    Path("soft").symlink_to("secret")
    os.link("secret", "hard")
    for name in ("soft", "hard"):
        write(Path(name), "mine", follow=False)
        assert Path(name).read_text() == "mine" and Path("secret").read_text() == "secret" and not Path(name).is_symlink()


@pytest.mark.parametrize("hard", [False, True])
def test_a_write_that_fails_leaves_what_was_there(hard: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("kept")
    path.write_text("before")
    if hard:
        os.link("kept", "other")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for content in (fails, "x" * 100):
        with monkeypatch.context() as failing, pytest.raises(OSError, match="No space"):
            failing.setattr(os, "posix_fallocate", fails)
            failing.setattr(Path, "replace", fails)
            write(path, content)
        assert path.read_text() == "before" and not [name for name in names() if PART.match(name)]


KILLED = """
import os, signal, sys
from pathlib import Path
from archc.text.atomic import write
write(Path(sys.argv[1]), lambda path: (path.write_text("half"), os.kill(os.getpid(), signal.SIGKILL)))
"""


@posix
def test_what_a_killed_process_left_goes_with_the_next_write() -> None:
    subprocess.run([sys.executable, "-c", KILLED, "a.txt"])
    assert len(left := [name for name in names() if PART.match(name)]) == 1 and not Path("a.txt").exists()
    with beside(Path("b.txt")) as live:  # of a writer at work, which another one leaves alone
        assert names() == [live.name, "net.yaml"] and left != [live.name]
        write(Path("c.txt"), "x")
        assert live.is_dir()
    Path(".archc-0123456789abcdef.part").symlink_to(".")
    write(Path("c.txt"), "y")
    assert Path("net.yaml").exists() and names()[1:] == ["c.txt", "net.yaml"]


@posix
def test_pipes_and_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo("pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(Path("pipe").read_text()))
    reader.start()
    write(Path("pipe"), lambda path: path.write_text("through a file"))
    reader.join(10)
    assert found == ["through a file"] and stat.S_ISFIFO(Path("pipe").stat().st_mode)
    monkeypatch.setattr(atomic, "READER", 0.1)
    begun = time.monotonic()
    with pytest.raises(OSError, match="nothing is reading from that pipe"):
        write(Path("pipe"), "x")
    assert time.monotonic() - begun < 5
    for null in ("/dev/null", "link"):
        Path("link").symlink_to("/dev/null") if null == "link" else None
        write(Path(null), "x")
        assert Path(null).is_char_device()
    with pytest.raises(OSError, match="No space"):
        write(Path("/dev/full"), "x")
    with pytest.raises(IsADirectoryError, match="that is a folder"):
        write(Path(), "x")


# commands


@posix
def test_outputs_that_are_no_files() -> None:
    source = shell("archc build net.yaml").stdout
    Path("link.py").symlink_to("/dev/stdout")
    for command in (
        "archc build net.yaml -o /dev/stdout",
        "archc build net.yaml -o link.py > o && cat o",
        "archc build net.yaml -o >(cat > o) >/dev/null; wait $!; cat o",
        "archc build net.yaml -o /dev/fd/7 7>o >/dev/null && cat o",
        "mkfifo p.py; cat p.py & archc build net.yaml -o p.py >/dev/null; wait",
    ):
        ran = shell(command)
        assert ran.returncode == 0 and ran.stdout == source, (command, ran)
    page = shell("archc report net.yaml -o /dev/stdout").stdout
    assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>")
    plan = shell("archc fit net.yaml --batch 2 --memory 8GiB -o /dev/stdout")
    assert plan.returncode == 0 and plan.stdout.startswith("checkpoint:") and "a batch of 2 needs" in plan.stderr
    ran = shell("archc render net.yaml --style cost -o /dev/full --format svg")
    assert (ran.returncode, ran.stderr) == (2, "archc: cannot write /dev/full: No space left on device\n")


OWN = [
    ("build net.yaml -o {}", "own.py"),
    ("fit net.yaml --batch 2 --memory 8GiB -o {}", "net.yaml"),
    ("fit child.yaml --batch 2 --memory 8GiB -o {}", "net.yaml"),
    ("fit child.yaml --batch 2 --memory 8GiB -o {}", "blocks.yaml"),
    ("fit net --batch 2 --memory 8GiB -o {}", "net.yaml"),
    ("schema net.yaml -o {}", "net.yaml"),
]


@pytest.mark.parametrize(("words", "name"), OWN)
@pytest.mark.parametrize("way", ["same", "dot", "soft", "hard"])
def test_nothing_that_is_read_is_written_over(words: str, name: str, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.py").write_text("# a plugin\n")
    Path("blocks.yaml").write_text("two: {layers: [relu, relu]}\n")
    Path("child.yaml").write_text("extends: net.yaml\nuse: blocks.yaml\n")
    before = {one: Path(one).read_bytes() for one in names()}
    other = {"same": name, "dot": f"./../{Path.cwd().name}/{name}"}.get(way, "other" + Path(name).suffix)
    if way in ("soft", "hard"):
        (os.symlink if way == "soft" else os.link)(name, other)
    plugin = ["--plugin", "own.py"] if name == "own.py" else []
    assert run(*words.format(other).split(), *plugin) == 2
    assert "this command reads that file" in " ".join(capsys.readouterr().err.split())
    assert {one: Path(one).read_bytes() for one in before} == before


def test_images_that_are_read_are_not_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL")
    from tests.helpers import image_sets

    image_sets.folder(Path("photos"))
    before = {one: one.read_bytes() for one in Path("photos").rglob("*.png")}
    first = next(iter(before))
    Path("link.png").symlink_to(first)
    for name in (str(first), "link.png", str(first.with_name("new.png"))):
        assert run("data", "preview", "photos", "-o", name) == 2
        assert "this command reads its images from there" in " ".join(capsys.readouterr().err.split())
    assert {one: one.read_bytes() for one in Path("photos").rglob("*.png")} == before


@pytest.mark.parametrize("second", ["a.py", "./a.py", "{here}/a.py", "soft.py"])
def test_two_outputs_are_two_files(second: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("soft.py").symlink_to("a.py")
    assert run("build", "net.yaml", "-o", "a.py", "-o", second.format(here=Path.cwd())) == 2
    assert "two outputs would go to the same file" in capsys.readouterr().err and not Path("a.py").exists()


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["build", "net.yaml", "-o", f"{LONG}.py"],
        ["build", "net.yaml", "-o", "é" * 130 + ".py"],
        ["report", "net.yaml", "-o", f"{LONG}.html"],
        ["render", "net.yaml", "--style", "cost", "-o", f"{LONG}.svg"],
        ["fit", "net.yaml", "--batch", "2", "--memory", "8GiB", "-o", LONG],
        ["schema", "-o", LONG],
        ["new", LONG],
        *(
            [command, LONG]
            for command in ("analyze", "check", "report", "render", "explain", "resolve", "build", "lint", "new", "memory", "time")
        ),
        ["build", "net.yaml", "--weights", f"{LONG}.pth"],
        ["analyze", "net.yaml", "--plugin", f"{LONG}.py"],
        ["time", "net.yaml", "--device", f"{LONG}.yaml"],
        ["data", "info", LONG],
        ["train", "net.yaml", "--data", LONG],
        ["train", "lenet5", "-o", LONG],
        ["resume", LONG],
        ["eval", LONG],
        ["predict", LONG, LONG],
        ["look", LONG, "--filters"],
    ],
    ids=lambda words: words[0],
)
def test_names_of_more_than_255_bytes(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert told and "Traceback" not in told and names() == ["net.yaml"]


def test_names_of_files_that_come_of_long_names(capsys: pytest.CaptureFixture[str]) -> None:
    long = "a" * 250 + ".yaml"
    Path(long).write_text(SPEC)
    assert run("report", long, "net.yaml") == 0 and run("render", long, "--style", "cost") == 0
    assert {len(name) for name in names() if name.endswith((".html", ".svg"))} == {254, 255}


# standard output


@posix
@pytest.mark.parametrize("to", [">/dev/full", ">&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
@pytest.mark.parametrize("words", ["analyze net.yaml", "check bad.yaml", "build --help", "build net.yaml -o a.py", "analyze no.yaml"])
def test_an_output_that_takes_nothing(words: str, to: str) -> None:
    Path("bad.yaml").write_text(SPEC + "expect: {parameters: 1}\n")
    ran = shell(f"archc {words} {to}")
    assert ran.returncode == 2 and "Traceback" not in ran.stderr and "Exception" not in ran.stderr
    if "2>" not in to and "no.yaml" not in words:
        assert ran.stderr.splitlines()[-1].startswith("archc: cannot write to standard output: ")
    assert Path("net.yaml").read_text() == SPEC


@posix
def test_errors_that_nobody_can_read_change_no_status() -> None:
    Path("bad.yaml").write_text(SPEC + "expect: {parameters: 1}\n")
    for to in ("2>&-", "2>/dev/full", "2>&1 | true"):
        for words, status in (("check net.yaml", 0), ("check bad.yaml", 1), ("analyze no.yaml", 2)):
            ran = shell(f"archc {words} >/dev/null {to}; exit ${{PIPESTATUS[0]}}")
            assert (ran.returncode, ran.stderr) == (status, ""), (words, to)


def test_tables_have_lines_and_columns_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("net.yaml").write_text(SPEC)
    widths = []
    for encoding in ("utf-8", "ascii"):
        monkeypatch.setenv("PYTHONIOENCODING", encoding)
        ran = subprocess.run([sys.executable, "-m", "archc", "analyze", "net.yaml"], capture_output=True, check=True)
        widths.append([len(line) for line in ran.stdout.decode(encoding).splitlines()])
    assert widths[0] == widths[1] and b"\n------" in ran.stdout and b"\\u" not in ran.stdout


@posix
def test_a_spec_comes_through_a_pipe() -> None:
    Path("net.yaml").write_text(SPEC)
    for words in ("check <(cat net.yaml)", "check /dev/stdin < <(cat net.yaml)", "analyze <(cat net.yaml)"):
        ran = shell(f"archc {words}")
        assert ran.returncode == 0 and not ran.stderr, (words, ran.stderr)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16", "cp437"])
def test_an_output_that_is_not_utf8(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("net.yaml").write_text("name: Zoë 網\ndoc: é → 😀\n" + SPEC, encoding="utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    for words in (
        "analyze net.yaml",
        "resolve net.yaml",
        "build net.yaml",
        "docs conv",
        "--help",
        "check nö.yaml",
    ):
        ran = subprocess.run([sys.executable, "-m", "archc", *words.split()], capture_output=True)
        assert b"Traceback" not in ran.stderr and ran.returncode == (2 if "ö" in words else 0), ran.stderr
        ran.stdout.decode(encoding)
