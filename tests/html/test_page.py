"""The page as a text: well formed, sealed, deterministic; names in it are data."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

import archc
from archc.cli.main import main
from tests.helpers.paths import ROOT

COMMANDS = re.findall(r"^archc report .*$", (ROOT / "docs" / "report.md").read_text(), re.MULTILINE)
VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{data}} & \" ' \u2028 javascript:alert(3)"
SPEC = f"""
archc: 1
name: {json.dumps(HOSTILE)}
doc: {json.dumps("<b>bold</b> " + HOSTILE)}
paper: {{title: {json.dumps(HOSTILE)}, authors: "<i>", venue: "<u>", year: 2020, url: "javascript:alert(4)"}}
params: {{word: {json.dumps(HOSTILE)}}}
input: [3, 8, 8]
layers:
  - conv: 4
  - relu
  - flatten
  - linear: 2
"""


class Page(HTMLParser):
    """Elements, their attributes and texts; an element that is not closed is a failure."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def lenet() -> str:
    return archc.report("lenet5")


@pytest.fixture(scope="module")
def hostile() -> str:
    return archc.report(archc.loads(SPEC))


def policy(page: Page) -> str:
    return next(str(attrs["content"]) for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy")


def test_the_page_is_well_formed_and_has_its_parts(lenet: str) -> None:
    page = Page(lenet)
    tags = [tag for tag, _ in page.elements]
    assert lenet.startswith("<!DOCTYPE html>") and {"main", "header", "aside", "noscript"} <= set(tags)
    assert page.texts["title"] == ["lenet5: archc report"]
    assert any(attrs.get("lang") == "en" for tag, attrs in page.elements if tag == "html")


def test_only_its_own_script_and_style_may_run(lenet: str) -> None:
    page = Page(lenet)
    scripts = [attrs for tag, attrs in page.elements if tag == "script"]
    assert [attrs.get("type") for attrs in scripts] == ["application/json", None]
    found = policy(page)
    for text in (re.findall(r"<script>(.*?)</script>", lenet, re.DOTALL), re.findall(r"<style>(.*?)</style>", lenet, re.DOTALL)):
        assert len(text) == 1
        assert f"'sha256-{b64encode(sha256(text[0].encode()).digest()).decode()}'" in found
    assert found.startswith("default-src 'none'; ") and "unsafe" not in found and "http" not in found


def test_nothing_is_loaded(lenet: str) -> None:
    for tag, attrs in Page(lenet).elements:
        assert not {"src", "srcset", "data", "action", "background"} & set(attrs) and tag not in {
            "link",
            "iframe",
            "object",
            "embed",
            "base",
        }
        assert not any(name.startswith("on") or name == "style" for name in attrs)
    style = re.findall(r"<style>(.*?)</style>", lenet, re.DOTALL)[0]
    assert "url(" not in style and "@import" not in style
    script = re.findall(r"<script>(.*?)</script>", lenet, re.DOTALL)[0]
    for way in (
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "import(",
        "eval(",
        "Function(",
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
    ):
        assert way not in script, way


def test_names_are_data(hostile: str, lenet: str) -> None:
    page, plain = Page(hostile), Page(lenet)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert policy(page) == policy(plain)
    assert "".join(page.texts["title"]) == f"{HOSTILE}: archc report"
    data = re.findall(r'<script type="application/json" id="data">(.*?)</script>', hostile, re.DOTALL)
    assert len(data) == 1 and not re.search("[<>&\u2028\u2029]", data[0])
    found = json.loads(data[0])["networks"][0]
    assert found["name"] == HOSTILE and found["doc"].endswith(HOSTILE) and found["params"]["word"] == HOSTILE


def test_the_page_is_the_same_every_time(lenet: str) -> None:
    assert archc.report("lenet5") == lenet
    assert archc.report("resnet18", "resnet34") == archc.report("resnet18", "resnet34")


def test_two_networks_come_with_their_difference() -> None:
    found = data_of(archc.report("vgg11", "vgg13"))
    assert [one["name"] for one in found["networks"]] == ["vgg11", "vgg13"] and found["difference"]["changes"]


def data_of(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)[0])
    return found


@pytest.mark.parametrize("name", ["alexnet", "mlp", "lambda_resnet26t", "se_resnet50", "unet", "mobilenet_v1"])
def test_specs_that_ship(name: str) -> None:
    text = archc.report(name)
    Page(text)
    assert len(text) < 400_000


def test_a_file_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", "lenet5", "--batch", "8", "--dtype", "bf16", "--optimizer", "adam", "--device", "h100"]) == 0
    assert capsys.readouterr().out == "wrote lenet5.html\n"
    text = Path("lenet5.html").read_text()
    assert data_of(text)["choice"] == {"batch": 8, "dtype": "bfloat16", "optimizer": "adam", "training": True, "device": "h100-sxm"}
    assert main(["report", "lenet5"]) == 2 and "already exists; write -o lenet5.html" in capsys.readouterr().err
    assert Path("lenet5.html").read_text() == text
    assert main(["report", "lenet5", "mlp", "-o", "lenet5.html"]) == 0 and Path("lenet5.html").read_text() != text
    assert [path.name for path in tmp_path.iterdir()] == ["lenet5.html"]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_page_of_documentation_run(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()[1:]) == 0 and len(list(tmp_path.glob("*.html"))) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a b c", "shows one network, or two side by side, not 3"),
        ("lenet5 -o net.yaml", "write -o net.html"),
        ("lenet5 --batch 0", "whole number from 1"),
        ("lenet5 --dtype int8", "no dtype is called 'int8'"),
        ("lenet5 --device nonesuch -o x.html", "nonesuch"),
        ("nonesuch -o x.html", "nonesuch"),
        ("lenet5 -o no/such/folder/x.html", "there is no folder no/such/folder"),
    ],
)
def test_mistakes_are_told(
    line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["report", *line.split()])
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    assert status == 2 and said in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_name_from_elsewhere_stays_in_this_folder() -> None:
    from archc.cli.report_command import _own_name

    assert _own_name(["../../etc/x.yaml"]) == "x.html"
    assert _own_name(["a b;c.yaml", "/tmp/..yaml"]) == "a_b_c-report.html"
