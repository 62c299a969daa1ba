"""A family in one file: its members are named, checked, extended and listed like any spec."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

import archc
from archc.cli.main import main
from archc.elaborate.compiler import compile_spec
from archc.language import loading
from archc.reference.zoo import history, listing

FAMILY = """
name: net18
doc: A family.
input: [3, 16, 16]
params: {depths: [2, 2], width: 8}
expect: {parameters: OWN}
layers:
  stem: {conv: {channels: $width, kernel: 3, padding: 1}, expect: {parameters: 224}}
  stages:
    for: {i: "${range(len(depths))}"}
    repeat: "${depths[i]}"
    conv: {channels: "${width * 2 ** i}", kernel: 3, padding: 1}
  pool: global_avgpool
  flat: flatten
  fc: {linear: 10}
variants:
  net34:
    doc: A deeper one.
    params: {depths: [3, 4]}
    expect: {parameters: EXPECTED}
    published: [{parameters: 10K, by: "a table"}]
  wide-net: {params: {width: 16}}
  same: {train: {epochs: 3}}
"""


def counted(*channels: int) -> int:
    """Parameters of convolutions of 3x3 after each other, and of a dense layer of 10 after them."""
    return sum(9 * a * b + b for a, b in pairwise(channels)) + 10 * channels[-1] + 10


OWN, DEEP, WIDE = counted(3, 8, 8, 8, 16, 16), counted(3, *[8] * 4, *[16] * 4), counted(3, 16, 16, 16, 32, 32)


def written(folder: Path, own: int = OWN, deep: int = DEEP) -> None:
    (folder / "net.yaml").write_text(FAMILY.replace("OWN", str(own)).replace("EXPECTED", str(deep)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    written(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_members_of_a_file(folder: Path) -> None:
    names = ("net.yaml", "net.yaml:net34", "net.yaml:wide-net")
    assert [archc.analyze(archc.load(name)).parameters for name in names] == [OWN, DEEP, WIDE]
    model = compile_spec("net.yaml:net34")
    assert model.spec is not None and (model.spec.name, model.spec.doc, len(model.spec.published)) == ("net34", "A deeper one.", 1)
    assert model.files == [Path("net.yaml")]


def test_a_member_keeps_its_own_promises_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the file are of its own network; a member that changes nothing of the network is held to them."""
    assert main(["check", "net.yaml"]) == 0
    assert "4 specs: 4 good" in "".join(capsys.readouterr())
    written(folder, deep=DEEP + 1)
    assert main(["check", "."]) == 1
    said = "".join(capsys.readouterr())
    assert f"{DEEP:,}" in said and "net.yaml:20:26" in said
    written(folder, own=OWN + 1)
    assert main(["check", "net.yaml:same"]) == 1
    assert main(["check", "net.yaml:wide-net"]) == 0


def test_a_member_is_extended(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "more.yaml").write_text("extends: net.yaml:net34\nname: more\nparams: {width: 4}\n")
    model = compile_spec("more.yaml")
    assert model.spec is not None and model.graph is not None
    assert len(model.graph.nodes) == 11 and not model.spec.variants
    for name, text, said in (
        ("wrong.yaml", "extends: net.yaml:net43", 'did you mean "net34"?'),
        ("up.yaml", "extends: ../net.yaml:net34", "A702"),
    ):
        (folder / name).write_text(text + "\n")
        assert main(["check", name]) == 2
        assert said in "".join(capsys.readouterr())
    assert main(["analyze", "net.yaml:net43"]) != 0
    assert 'net.yaml has no variant "net43"' in capsys.readouterr().err


def test_a_family_that_ships_is_found_by_its_members_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "shipped_folder", lambda: folder)
    monkeypatch.chdir("/")
    assert len(archc.load("net34").nodes) == 11 and archc.load("net").name == "net18"
    assert len(archc.loads("extends: net34\nparams: {width: 4}").nodes) == 11
    entries = history()
    assert {entry.name: entry.family for entry in entries} == {"net": "", "net34": "net", "wide-net": "net", "same": "net"}
    assert [row[1] for row in listing(entries, fold=True).rows] == ["net (+3)"] and len(listing(entries).rows) == 4
    with pytest.raises(archc.SpecError, match="net34"):
        archc.load("net43")
