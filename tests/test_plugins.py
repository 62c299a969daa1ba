"""Operators of others: from a file, from an installed package; what they do not state is unknown, never zero."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import archc
from archc.cli.main import main
from archc.compiler import compile_text
from archc.ops import OPERATORS
from archc.ops.plugins import PluginError, load_file
from archc.schema import schema

HEAD = "from archc.ops import Between, Facts, Fault, Shape, Weight, Work, op\n"
SECRET = (
    HEAD
    + '''
@op
def secret(x: Shape, *, size: int = 3) -> Facts:
    """[*] -> [*]. States its shape and nothing else.

    size: of something
    """
    if size < 0:
        raise Fault("size", f"size {size} is negative", "at least 0")
    return Facts(x)


@op
def bounded(x: Shape) -> Facts:
    """[*] -> [*]. States bounds."""
    return Facts(x, weights=(), macs=Between(10, 20), work=Between(5, None))
'''
)


SILENT = (
    HEAD.replace("Facts,", "Expression, Facts,")
    + '''
@op
def silent(x: Shape) -> Facts:
    """[*] -> [*]. States its form and not what backward keeps."""
    return Facts(x, weights=(), macs=0, work=Work(special=x.values), torch=Expression("torch.tanh({0})"))
'''
)


@pytest.fixture
def forget():  # type: ignore[no-untyped-def]
    """Operators that a test registers are gone after it."""
    before, loaded = set(OPERATORS), set(sys.modules)
    yield
    for name in set(OPERATORS) - before:
        OPERATORS.remove(name)
    for name in set(sys.modules) - loaded:
        if name.startswith(("archc_plugin", "offered")):
            del sys.modules[name]


def plugin(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return str(path)


def test_memory_of_what_is_not_stated(tmp_path: Path, forget: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A lower bound in every form of output, and nothing is promised."""
    (tmp_path / "net.yaml").write_text("input: [4, 8, 8]\nlayers: [{conv: 8}, silent, {conv: 4}]\n")
    options = [str(tmp_path / "net.yaml"), "--plugin", plugin(tmp_path, SILENT)]

    def printed(*words: str, code: int = 0) -> str:
        assert main([words[0], *options, *words[1:]]) == code
        found = capsys.readouterr()
        return found.out + found.err

    why = "silent does not state what backward keeps (`keeps`)"
    text = printed("memory", "--memory", "1GiB", "--device", "cpu")
    assert f"at least   {why}" in text and "may fit" in text and re.search(r"^peak +≥[\d.]+ KiB +≥[\d,]+$", text, re.MULTILINE)
    assert re.search(r"^1 +silent .*[≥?]", text, re.MULTILINE)
    found = json.loads(printed("memory", "--format", "json"))
    assert (found["bound"], found["reasons"][0]) == ("at least", why) and found["peak_text"] == f"≥{found['peak']:,}"
    assert all(line.split(",")[3].startswith("≥") for line in printed("memory", "--format", "csv").splitlines()[1:])
    text = printed("fit", "--batch", "4", "--memory", "1GiB")
    assert "a batch of 4 needs ≥" in text and ": may fit 1.00 GiB" in text and "largest batch for 1.00 GiB is ≤" in text and why in text
    assert not re.search(r"(?<![≥≤\d,.])\b\d[\d,.]* (?:MiB|KiB)", text.partition("alternatives")[2].partition("fragments")[0])
    assert json.loads(printed("fit", "--batch", "4", "--format", "json"))["alternatives"][0]["bound"] == "at least"
    assert "no plan of checkpointing: silent" in printed("fit", "--batch", "4", "--memory", "1GiB", "-o", str(tmp_path / "p.yaml"), code=2)
    assert "L121" in printed("lint")
    timeline = archc.memory(str(tmp_path / "net.yaml"), batch=4)
    assert repr(timeline).startswith("<net: a training step with sgd, batch 4, peak ≥") and why in repr(timeline)


def test_what_is_not_stated_is_unknown(tmp_path: Path, forget: None, capsys: pytest.CaptureFixture[str]) -> None:
    load_file(plugin(tmp_path, SECRET))
    path = tmp_path / "net.yaml"
    path.write_text("input: [3, 8, 8]\nexpect: {macs: 768}\nlayers: [{conv: 4}, {secret: 2}]\n")
    assert main(["analyze", str(path)]) == 0
    table = capsys.readouterr().out
    assert "1 secret 4x8x8 ? ? ? ? 1.00 KiB ≤all" in " ".join(table.split()) and "≥768" in table and "incomplete" in table
    assert main(["analyze", str(path), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["completeness"]["macs"] == "bounded" and found["bounds"]["macs"] == [768, None]
    assert found["layers"][1]["macs"] is None and found["layers"][1]["parameters"] is None
    assert main(["check", str(path)]) == 1 and "a layer states no figure" in capsys.readouterr().err


def test_bounds(tmp_path: Path, forget: None) -> None:
    from archc.analysis.cost import analyze

    load_file(plugin(tmp_path, SECRET))
    graph = compile_text("input: [3, 8, 8]\nlayers: [{conv: 4}, bounded, bounded]\n").graph
    assert graph is not None
    counts = analyze(graph).counts
    assert tuple(counts["macs"]) == (788, 808) and counts["flops"].high is None and counts["parameters"].exact


def test_mistakes_schema_and_docs_come_for_free(tmp_path: Path, forget: None, capsys: pytest.CaptureFixture[str]) -> None:
    load_file(plugin(tmp_path, SECRET))
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [{secret: -1}]\n").diagnostics
    assert (found.code, found.span.column, found.hint) == ("A501", 19, "at least 0")
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [{secret: {siz: 1}}]\n").diagnostics
    assert found.hint == 'did you mean "size"?'
    assert "secret" in json.dumps(schema())
    assert main(["docs", "secret"]) == 0 and "of something" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('no GPU')", "RuntimeError: no GPU"),
        ("return None", "returned no Facts"),
        ("return Facts(x[0])", "failed: TypeError"),
        ("return 1 // 0", "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_fails_is_named(tmp_path: Path, forget: None, body: str, said: str) -> None:
    load_file(plugin(tmp_path, HEAD + f'@op\ndef faulty(x: Shape) -> Facts:\n    """[*] -> [*]. Fails."""\n    {body}\n'))
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [faulty]\n").diagnostics
    assert found.code == "A705" and said in found.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module", "ModuleNotFoundError"),
        ("def f(:", "SyntaxError"),
        (HEAD + "@op\ndef conv(x: Shape) -> Facts: ...\n", "an operator called conv exists"),
        (HEAD + "@op\ndef odd(x: Shape, *, a: complex = 1) -> Facts: ...\n", "the argument a needs an annotation"),
        (HEAD + "\n1 / 0\n", "ZeroDivisionError: division by zero (line 3)"),
    ],
)
def test_a_file_that_is_no_plugin(tmp_path: Path, forget: None, text: str, said: str) -> None:
    before = set(OPERATORS)
    with pytest.raises(PluginError) as caught:
        load_file(plugin(tmp_path, text))
    assert said in str(caught.value) and set(OPERATORS) == before


def test_an_installed_package_offers_operators(tmp_path: Path, forget: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "offered.py").write_text(SECRET)
    info = tmp_path / "offered-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[archc.ops]\nsecret = offered:secret\nlost = offered:lost\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert compile_text("input: [3, 8, 8]\nlayers: [secret]\n").graph is not None
    (found,) = compile_text("input: [3, 8, 8]\nlayers: [lost]\n").diagnostics
    assert found.code == "A705"


def test_a_spec_cannot_load_a_plugin(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    for line in ("plugin: evil.py", "plugins: [evil.py]", "use: [evil.py]"):
        compile_text(f"input: [3, 8, 8]\n{line}\nlayers: [evil]\n")
    assert not marker.exists()
