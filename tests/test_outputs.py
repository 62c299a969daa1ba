"""What each command prints as JSON is what its schema says, and its schema says all of it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from archc.cli.main import COMMANDS, main
from archc.reference.outputs.page import json_markdown
from archc.reference.outputs.schema import OUTPUTS, VERSION, dataclasses_in, meanings, output_schema

ROOT = Path(__file__).parent.parent
TWO_INPUTS = "input: {a: [2, 8, 8], b: [2, 8, 8]}\nlayers:\n  c: {from: a, conv: 2}\n  d: {from: [c, b], add: }\n  e: {share: c}\n"
RULES = """\
input: [3, 8, 8]
expect: {parameters: 7}
layers: [{conv: 2}, batchnorm, {conv: 4}, dropout, flatten, {linear: 5}, softmax]
"""
PLAN = "checkpoint: [layer1, [layer2.0.conv1, layer2.0.bn1]]\n"


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for one in schema.values():
            yield from objects(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from objects(one)


def check(command: str, printed: Any) -> None:
    """Valid by the schema that is published; and each key is described, though a program has to pass over those that are not."""
    schema = output_schema(command)
    Draft202012Validator.check_schema(schema)
    closed = copy.deepcopy(schema)
    for one in list(objects(closed)):
        one["additionalProperties"] = False
    for used in (schema, closed):
        errors = [f"{error.json_path}: {error.message[:200]}" for error in Draft202012Validator(used).iter_errors(printed)]
        assert not errors, errors[:5]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("two.yaml", TWO_INPUTS), ("rules.yaml", RULES), ("plan.yaml", PLAN)):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "analyze lenet5",
        "analyze lenet5 vgg16 two.yaml --batch 4 --optimizer adam",
        "analyze resnet18 unet --training",
        "analyze lenet5 resnet18 --as torchinfo",
        "analyze resnet18 lambda_resnet26t --input 3xHxW",
        "analyze unet --input 1xHxW --optimizer adam --batch 4",
        "explain resnet18 --input 3xHxW",
        "list 1998",
        "list googlenet",
        "compare lenet5 two.yaml",
        "explain lenet5",
        "explain resnet18 layer1.0 conv1",
        "explain googlenet --paper",
        "explain resnet18 --structure",
        "diff resnet18 resnet34",
        "memory lenet5",
        "memory resnet18 --batch 2 --amp bf16 --memory 24GiB --checkpoint plan.yaml",
        "memory resnet18 --inference --device a100-40gb",
        "memory gpt2 --generate 32 --memory 2GiB",
        "fit lenet5 --memory 1GiB --batch 64",
        "fit resnet18 --memory 900MiB --batch 64",
        "fit lenet5 --device a100-40gb",
        "time lenet5 --device a100-40gb",
        "time resnet18 --device cpu --batch 4 --training",
        "devices",
        "devices a100-40gb",
        "check lenet5 rules.yaml",
        "lint rules.yaml unet",
        "data info digits",
    ],
)
def test_what_is_printed_is_what_the_schema_says(words: str, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, *rest = words.split()
    assert main([command, *rest, "--format", "json"]) in (0, 1, 2)
    check(command, json.loads(capsys.readouterr().out))


def test_what_a_run_prints(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "net.yaml").write_text("input: [1, 8, 8]\nlayers: [flatten, {linear: 10}]\ntrain: {epochs: 1, batch: 512}\n")
    assert main(["train", "net.yaml", "-o", "run", "--device", "cpu"]) == 0
    from PIL import Image

    Image.new("L", (8, 8)).save(files / "one.png")
    for words in (["eval", "run"], ["predict", "run", "one.png"]):
        capsys.readouterr()
        assert main([*words, "--device", "cpu", "--format", "json"]) == 0
        check(words[0], json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_wrong_output_is_refused(command: str) -> None:
    """The schema can fail: each of its objects needs its first key."""
    schema = output_schema(command)
    assert schema["$id"] == f"urn:archc:output:{command}:{VERSION}" and schema["version"] == VERSION
    assert not Draft202012Validator(schema).is_valid({}) and not Draft202012Validator(schema).is_valid([])
    assert all(one.__doc__ and meanings(one) for top in OUTPUTS[command] for one in dataclasses_in(top))


def test_every_command_with_json_has_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    with_json = set()
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = capsys.readouterr().out
        if (forms := re.search(r"--format\s+\{([^}]*)\}", text)) is not None and "json" in forms[1]:
            with_json.add(command)
    assert "analyze" in with_json and with_json <= set(OUTPUTS), with_json - set(OUTPUTS)


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "json.md").read_text(encoding="utf-8") == json_markdown() + "\n"


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["schema", "--of", "analyze", "-o", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text()) == output_schema("analyze")
    for words, told in ((["--of", "analyse"], "analyze"), (["--of", "time", "lenet5"], "leave out the specs")):
        capsys.readouterr()
        assert main(["schema", *words]) == 2
        assert told in capsys.readouterr().err
