"""What programs read of commands: one top level for one and for several specs, and tables whose columns have names of their own."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from archc.cli.main import main

# command line without specs -> the key under which all of them stand
LISTS = {
    "analyze": "networks",
    "analyze --training": "networks",
    "analyze --as thop": "networks",
    "compare": "networks",
    "check": "diagnostics",
    "lint": "findings",
}


def printed(capsys: pytest.CaptureFixture[str], words: str, status: int = 0) -> str:
    assert main(words.split()) == status
    return capsys.readouterr().out


@pytest.mark.parametrize("words", LISTS)
def test_one_top_level(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The list for several specs is that of each alone, one after the other."""
    command, _, options = words.partition(" ")

    def read(*specs: str) -> list[Any]:
        found = json.loads(printed(capsys, f"{command} {' '.join(specs)} {options} --format json"))
        assert list(found) == [LISTS[words]], found.keys()
        rows = found[LISTS[words]]
        assert isinstance(rows, list)
        return rows

    alone, other = read("lenet5"), read("vgg16_bn")
    assert read("lenet5", "vgg16_bn") == alone + other


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("explain lenet5", {"name", "totals", "kinds", "definitions"}),
        ("explain lenet5 conv1", {"name", "layers"}),
        ("explain lenet5 *", {"name", "layers"}),
        ("explain lenet5 --paper", {"name", "paper", "published"}),
        ("list 1998", {"networks"}),
        ("devices", {"devices"}),
        ("devices a100", {"devices"}),
        ("time lenet5 --device a100", {"name", "layers"}),
        ("memory lenet5", {"name", "peak"}),
        ("fit lenet5 --memory 1GiB", {"name"}),
        ("diff lenet5 lenet5_32", {"old", "new", "changes"}),
    ],
)
def test_an_object(words: str, keys: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert keys <= json.loads(printed(capsys, f"{words} --format json")).keys()


def test_a_wrong_spec_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "analyze none_such lenet5 --format json", 2))
    assert [one["spec"] for one in found["networks"]] == ["lenet5"]
    assert json.loads(printed(capsys, "analyze none_such --format json", 2)) == {"networks": []}


def test_csv_of_several_specs_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    names, *rows = csv.reader(io.StringIO(printed(capsys, "analyze lenet5 resnet18 --format csv")))
    assert {len(row) for row in rows} == {len(names)} and names[0] == "spec"
    alone = [row for name in ("lenet5", "resnet18") for row in csv.reader(io.StringIO(printed(capsys, f"analyze {name} --format csv")))]
    assert rows == [row for row in alone if row != names]
    assert printed(capsys, "analyze none_such --format csv", 2) == ""


@pytest.mark.parametrize(
    "words", ["analyze lenet5 lenet5_32", "compare lenet5 vgg11", "list densely", "devices", "time lenet5 --device a100", "memory lenet5"]
)
def test_names_of_columns_are_unique(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = next(csv.reader(io.StringIO(printed(capsys, f"{words} --format csv"))))
    assert len(set(names)) == len(names) and all(names)


@pytest.mark.parametrize("words", ["--as thop --format csv", "--view lecture --format markdown"])
def test_a_text_has_no_form_as_a_table(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "lenet5", *words.split()]) == 2
    assert "leave --format out" in capsys.readouterr().err
