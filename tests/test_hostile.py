"""Specs of strangers: whatever they hold, archc answers with diagnostics, soon, in little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archc.compiler import compile_spec, compile_text

HEAD = "archc: 1\ninput: [3, 32, 32]\n"
BOMB = "\n".join(
    ["params:", "  a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"] + [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
)

# what it is called -> its text, the code that it must give
HOSTILE = {
    "brackets": ("[" * 50_000, "A103"),
    "braces": ("{a: " * 50_000, "A103"),
    "dashes": ("- " * 200_000, "A103"),
    "alias bomb": (HEAD + BOMB + "\nlayers: [relu]\n", "A104"),
    "long text": ("a: " + "x" * 5_000_000, "A108"),
    "huge repeat": (HEAD + "layers: [{repeat: 1000000000, relu: }]\n", "A601"),
    "huge repeat of nothing": (HEAD + "layers: [{repeat: 1000000000, when: false, relu: }]\n", "A603"),
    "nested repeats": (HEAD + "layers: [" + "{repeat: 1000, inline: [" * 6 + "relu" + "]}" * 6 + "]\n", "A601"),
    "empty nested repeats": (HEAD + "layers: [" + "{repeat: 1000, inline: [" * 6 + "identity" + "]}" * 6 + "]\n", "A603"),
    "doubling blocks": (
        HEAD
        + "blocks:\n"
        + "".join(f"  b{i}: {{layers: [b{i + 1}, b{i + 1}]}}\n" for i in range(40))
        + "  b40: {layers: [relu]}\nlayers: [b0]\n",
        "A601",
    ),
    "power": (HEAD + "layers: [{conv: '${9**9**9}'}]\n", "A405"),
    "power of powers": (HEAD + "layers: [{conv: '${((2**50)**50)**50}'}]\n", "A405"),
    "long range": (HEAD + "layers: [{for: {i: '${range(10**12)}'}, relu: }]\n", "A405"),
    "long list": (HEAD + "layers: [{for: {i: '${[1] * 10**9}'}, relu: }]\n", "A405"),
    "long expression": (HEAD + "layers: [{conv: '${" + "+".join(["1"] * 5000) + "}'}]\n", "A401"),
    "deep expression": (HEAD + "layers: [{conv: '${" + "(" * 190 + "1" + ")" * 190 + "}'}]\n", ""),
    "many minuses": (HEAD + "layers: [{conv: '${" + "-" * 390 + "1}'}]\n", ""),
    "long integer": (HEAD + "layers: [{conv: " + "9" * 100_000 + "}]\n", "A107"),
    "huge channels": (HEAD + "layers: [{conv: 99999999999}]\n", "A402"),
    "huge shape": ("archc: 1\ninput: [2000000000, 2000000000, 2000000000]\nlayers: [relu]\n", "A501"),
    "huge pad": (HEAD + "layers: [{pad: [2000000000, 2000000000, 2000000000, 2000000000]}, flatten, {linear: 2000000000}]\n", "A501"),
    "NUL": ("archc: 1\nname: a\0b\n", "A108"),
    "exec": (HEAD + 'layers: [{conv: "${().__class__.__bases__[0]}"}]\n', "A401"),
    "lambda": (HEAD + "layers: [{conv: '${(lambda: 1)()}'}]\n", "A401"),
    "walrus": (HEAD + "layers: [{conv: '${(x := 3)}'}]\n", "A401"),
    "python tag": (HEAD + "layers: [!!python/object/apply:os.system [id]]\n", "A105"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(60)
def test_answered(name: str) -> None:
    text, code = HOSTILE[name]
    model = compile_text(text)
    codes = {one.code for one in model.diagnostics}
    assert (code in codes) if code else model.graph is not None or codes


def test_memory_and_time_are_bounded() -> None:
    """All of them in one process that may use 1 GiB."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30));"
        "sys.path.insert(0, 'tests'); from test_hostile import HOSTILE; from archc.compiler import compile_text;"
        "[compile_text(text) for text, _ in HOSTILE.values()]; print('done')"
    )
    root = Path(__file__).parent.parent
    ran = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=120)
    assert ran.stdout.strip() == "done", ran.stderr[-2000:]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"archc: 1\nname: \xff\xfe\n")
    assert [one.code for one in compile_spec(str(path)).diagnostics] == ["A701"]


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_bom_and_line_ends_do_not_matter(tmp_path: Path, change: object) -> None:
    text = HEAD + "layers:\n  - {conv: 8}\n  - cnov\n"
    path = tmp_path / "spec.yaml"
    path.write_bytes(change(text).encode())  # type: ignore[operator]
    (found,) = compile_spec(str(path)).diagnostics
    assert (found.code, found.span.line, found.span.column) == ("A301", 5, 5)


def test_a_folder_and_a_missing_file() -> None:
    assert [one.code for one in compile_spec(".").diagnostics] == ["A701"]
    assert [one.code for one in compile_spec("no/such/file.yaml").diagnostics] == ["A701"]
    assert [one.code for one in compile_spec("a\0b").diagnostics] == ["A701"]


@pytest.mark.parametrize("named", ["../outside.yaml", "/etc/hosts.yaml", "link.yaml", "a/../../outside.yaml"])
def test_no_path_leaves_the_folder(tmp_path: Path, named: str) -> None:
    (tmp_path / "outside.yaml").write_text(HEAD + "layers: [relu]\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    spec = inside / "spec.yaml"
    for text in (f"extends: {named}\n", HEAD + f"use: [{named}]\nlayers: [relu]\n"):
        spec.write_text(text)
        assert [one.code for one in compile_spec(str(spec)).diagnostics] == ["A702"]


def test_circles(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: c.yaml\n")
    (tmp_path / "c.yaml").write_text("extends: b.yaml\n")
    (found,) = compile_spec(str(tmp_path / "a.yaml")).diagnostics
    assert found.code == "A703"


def test_a_text_can_name_no_files() -> None:
    assert [one.code for one in compile_text("extends: spec.yaml\n").diagnostics] == ["A702"]
