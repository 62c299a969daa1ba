"""The JSON Schema accepts what archc accepts, and finds what an editor should find. yaml-language-server reads draft 7."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from archc.elaborate.compiler import load_spec
from archc.reference.schema import schema
from archc.text.diagnostics import Diagnostics
from tests.helpers.paths import ROOT

jsonschema = pytest.importorskip("jsonschema")
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
PLAIN = jsonschema.Draft7Validator(schema())


def faults(document: dict[str, Any]) -> list[list[object]]:
    return [list(error.absolute_path) for error in PLAIN.iter_errors({"input": [3, 8, 8], **document})]


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_that_ship_are_valid(path: Path) -> None:
    spec = load_spec(str(path), Diagnostics())
    assert spec is not None
    jsonschema.Draft7Validator(schema(spec.blocks.values())).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "entry",
    [
        *("relu", "$act", ["relu", {"conv": 8}], None),
        *({"conv": {"channels": "${2 * 4}", "kernel": [3, 3]}}, {"repeat": "$n", "relu": None}, {"$act": None}, {"share": "a"}),
        *({"add": {"body": ["relu"], "skip": "identity", "broadcast": True}}, {"from": ["a", "b"], "concat": None}),
        *({"for": {"c": [1, 2]}, "parallel": True, "conv": "$c"}, {"from": "branch.*", "concat": None}),
    ],
)
def test_right_entries(entry: Any) -> None:
    assert faults({"layers": [entry]}) == []


@pytest.mark.parametrize(
    ("entry", "at"),
    [
        ("rleu", ["layers", 0]),
        ({"cnov": 8}, ["layers", 0]),
        ({"conv": {"chanels": 8}}, ["layers", 0, "conv"]),
        ({"conv": {"channels": "many"}}, ["layers", 0, "conv", "channels"]),
        ({"conv": {"channels": 0}}, ["layers", 0, "conv", "channels"]),
        ({"repeat": -1, "relu": None}, ["layers", 0, "repeat"]),
        ({"repeat": 2, "parallel": "yes", "relu": None}, ["layers", 0, "parallel"]),
        ({"maxpool": {"kernel": 2, "ceil": 3}}, ["layers", 0, "maxpool", "ceil"]),
        ({"layers": [{"batchnorm": {"epsilon": 1}}]}, ["layers", 0, "layers", 0, "batchnorm"]),
    ],
)
def test_wrong_entries(entry: Any, at: list[object]) -> None:
    assert faults({"layers": [entry]}) == [at]


def test_wrong_keys() -> None:
    assert faults({"layers": ["relu"], "expct": {}}) == [[]]
