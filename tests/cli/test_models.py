"""Models in the place of specs: which are found, what is told where they cannot be had, and that nothing else runs their code."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from archc.cli.common import is_model
from archc.cli.main import main
from archc.tracing.source import load_model
from tests.helpers.paths import ROOT
from tests.test_outputs import check as check_output

MODEL = """
import torch
from torch import nn
from beside import Block

print("the model's own words")


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.block = Block(width)
        self.fc = nn.Linear(width, 2)

    def forward(self, x):
        return self.fc(self.block(self.conv(x)).mean((2, 3)))


class Two(Net):
    def forward(self, left, right=None):
        return super().forward(left) + (0 if right is None else super().forward(right))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 3)

    def forward(self, words):
        return self.table(words)


class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()


class Broken(Net):
    def forward(self, x):
        return self.conv(x).no_such_thing


class Frozen(Net):
    def __init__(self):
        super().__init__()
        self.conv.requires_grad_(False)
        self.extra = nn.Linear(3, 3)

    def forward(self, x):
        return super().forward(x.rot90(2, (2, 3)))


class Decides(Net):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


class Half(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(3, 3))
        self.bfloat16()


def seven():
    return 7


def leaves():
    raise SystemExit("bye")


net = Net(8)
number = 7
"""
BESIDE = """
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 1)

    def forward(self, x):
        return self.conv(x) + x
"""
TIMM = """
import torch
from torch import nn

class Small(nn.Module):
    default_cfg = {"input_size": (3, 16, 16)}

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.on = str(self.conv.weight.device)

    def forward(self, x):
        return self.conv(x)

def is_model(name):
    return name == "small"

def list_models():
    return ["small"]

def list_pretrained(pattern):
    return ["small.in1k"]

def create_model(name, pretrained):
    assert not pretrained
    made = Small()
    print(name, made.on)
    return made
"""
TORCHVISION = """
import sys
from torch import nn

class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        float(self.conv.weight.sum())  # not on meta

    def forward(self, x):
        return self.conv(x)

def inception_v3(weights=None, weights_backbone=None):
    assert weights is None and weights_backbone is None
    return Inception()

MODELS = {"inception_v3": inception_v3, "video": inception_v3}

def list_models(module=None):
    return ["inception_v3"] if module is sys.modules[__name__] else list(MODELS)

def get_model_builder(name):
    return MODELS[name]

def get_model(name, **options):
    return MODELS[name](**options)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model, and packages that are not the real ones; afterwards nothing of it is imported any more."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "beside.py").write_text(BESIDE)
    package = tmp_path / "mypkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("from .blocks import Block\n\ndef make():\n    return Block(3)\n")
    (package / "blocks.py").write_text(BESIDE)
    (package / "lacks.py").write_text("import no_such_package_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "80")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def zoos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "timm.py").write_text(TIMM)
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text("")
    (folder / "torchvision" / "models.py").write_text(TORCHVISION)
    for name in [name for name in sys.modules if name.split(".")[0] in ("timm", "torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    sys.path.insert(0, str(folder))


Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = main(words)
        except SystemExit as error:
            status = int(str(error.code))
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.mark.parametrize("named", ["model.py:Net", "model.py:net", "model:Net", "mypkg.nets:make", "./model.py:Net"])
def test_what_is_named_is_analyzed(folder: Path, told: Told, named: str) -> None:
    status, out, err = told("analyze", named, "--input", "3x8x8", "--format", "json")
    (network,) = json.loads(out)["networks"]
    assert status == 0 and network["spec"] == named and network["parameters"]["total"] > 0
    assert "the model's own words" not in out and ("the model's own words" in err) == ("mypkg" not in named)
    assert not list(folder.rglob("__pycache__"))


def test_default_inputs_and_no_values(zoos: None, told: Told) -> None:
    status, out, err = told("analyze", "timm:small.in1k", "torchvision:inception_v3")
    assert status == 0 and "small.in1k meta" in err
    assert "small.in1k  input 3x16x16" in out and "inception_v3  input 3x299x299" in out


def test_an_import_has_the_weights_of_a_model_that_is_named(zoos: None) -> None:
    assert not any(weight.is_meta for weight in load_model("timm:small.in1k", empty=False).module.parameters())
    assert all(weight.is_meta for weight in load_model("timm:small.in1k").module.parameters())


def test_inputs_by_name_and_of_whole_numbers(folder: Path, told: Told) -> None:
    status, out, _ = told("analyze", "model.py:Two", "--input", "left=3x8x8", "--input", "right=3x4x4")
    assert status == 0 and "left 3x8x8, right 3x4x4" in out
    status, out, _ = told("analyze", "model.py:Words", "--input", "5:int64")
    assert status == 0 and "embedding" in out


def test_a_class_that_is_a_leaf(folder: Path, told: Told) -> None:
    status, out, _ = told("analyze", "model.py:Net", "--input", "3x8x8", "--leaf", "beside.Block")
    assert status == 0 and "opaque" in out and "block.conv" not in out


WRONG: dict[str, tuple[str, str]] = {
    "model.py": ("--input 3x8x8", "does not say what makes the model; write model.py:NAME with one of Net, Two"),
    "model.py:": ("--input 3x8x8", "does not say what makes the model"),
    "mdel.py:Net": ("--input 3x8x8", 'there is no file mdel.py; did you mean "model.py"'),
    "model.py:Nett": ("--input 3x8x8", 'model.py has nothing called Nett; did you mean "Net"'),
    "model.py:Needs": ("--input 3x8x8", "wants arguments (missing a required argument: 'width'); name a function"),
    "model.py:seven": ("--input 3x8x8", "model.py:seven returns an int, not a module of PyTorch"),
    "model.py:number": ("--input 3x8x8", "model.py:number is an int: no module of PyTorch"),
    "model.py:Net": ("", "does not say what it takes: give the shape without the batch, --input 3x224x224"),
    "model.py:net": ("--input 3,x", "'3,x' is no shape; write 3x224x224, without the batch"),
    "model:Net": ("--input 3x8x8 --set width=3", "--set changes parameters of a spec, and model:Net is a model"),
    "model:net": ("--input y=3x8x8", "forward of model:net takes no y; it takes x"),
    "model.py:Two": ("--input left=3x8x8 --input 3x8x8", "name all inputs or none; model.py:Two takes left, right"),
    "model:Two": ("--input 3x8x8 --input 3x8x8 --input 3x8x8", "is not called with 3 inputs: too many positional arguments"),
    "model:Decides": ("--input 3x8x8", "decides by the values of a tensor, and the command line gives shapes alone; in Python"),
    "model:Words": ("--input 5:int63", "'int63' is no dtype; write 5:int64"),
    "nothing:Net": ("--input 3x8x8", "there is no module 'nothing', here or installed"),
    "mypkg.netz:Net": ("--input 3x8x8", "there is no module 'netz' in mypkg"),
    "mypkg/nets.py:make": ("--input 3x8x8", "a file of a package is named by its module: package.module:NAME"),
    "net.pt2": ("", "may hold pickled objects, and torch.export.load runs what they say"),
    "timm:smal": ("", 'timm has no model called smal; did you mean "small"?'),
    "timm:small.in2k": ("", 'did you mean "small.in1k"'),
    "timm:hf-hub:someone/model": ("", "timm has no model called hf-hub:someone/model"),
    "torchvision:inception": ("", 'torchvision has no model called inception; did you mean "inception_v3"?'),
    "torchvision:video": ("", "torchvision:video does not say what it takes"),
}


@pytest.mark.parametrize("named", WRONG)
def test_what_is_wrong_is_said(zoos: None, told: Told, named: str) -> None:
    options, text = WRONG[named]
    status, out, err = told("analyze", named, *options.split())
    assert status == 2 and not out and text in " ".join(err.split()), err
    assert "archc/" not in err and all(len(line) <= 80 for line in err.splitlines() if not line.startswith("  File"))


def test_an_error_of_the_model_is_shown_by_its_own_lines(folder: Path, told: Told) -> None:
    status, _, err = told("analyze", "model.py:Broken", "--input", "3x8x8")
    assert status == 2 and "return self.conv(x).no_such_thing" in err and "archc: model.py:Broken raised this on --input 3x8x8" in err
    assert err.count('File "') == 1 and "site-packages" not in err
    status, _, err = told("analyze", "model.py:Net", "--input", "1x3x8x8")
    assert status == 2 and "shapes are without the batch: --input 3x8x8" in " ".join(err.split())
    for named in ("model.py:leaves", "mypkg.lacks:Net"):
        status, _, err = told("analyze", named, "--input", "3x8x8")
        assert status == 2 and ("SystemExit: bye" in err or "no_such_package_at_all" in err)


def test_what_the_figures_leave_out_is_said(folder: Path, told: Told) -> None:
    """Opaque layers and where they are called, unused and frozen parameters, and bounds in place of what is plausible and wrong."""
    status, out, err = told("analyze", "model.py:Frozen", "--input", "3x8x8")
    line = next(number for number, text in enumerate(MODEL.splitlines(), 1) if "x.rot90" in text)
    assert status == 0 and f"opaque 1 layer that no operator describes: rot90 at model.py:{line}" in " ".join(out.split())
    assert "note: 2 parameters (extra.weight, extra.bias: 12 values) of the model, which no layer uses, are left out" in " ".join(
        err.split()
    )
    assert "note: 2 parameters (conv.weight, conv.bias: 112 values) are frozen, and not trained" in " ".join(err.split())
    _, out, _ = told("analyze", "model.py:Frozen", "--input", "3x8x8", "--format", "json")
    printed = json.loads(out)
    check_output("analyze", printed)
    (network,) = printed["networks"]
    assert network["captured"]["unused"] == {"extra.weight": 9, "extra.bias": 3}
    assert network["parameters"]["trainable"] == network["parameters"]["total"] - 112
    assert [layer["place"] for layer in network["captured"]["opaque"]] == [f"model.py:{line}"]
    _, out, _ = told("memory", "model.py:Frozen", "--input", "3x8x8", "--format", "json")
    memory = json.loads(out)
    assert memory["bound"] == "about" and any("froze" in reason for reason in memory["reasons"])
    assert any("rot90 (opaque) does not state" in reason for reason in memory["reasons"])


def test_files_are_named_as_the_model(folder: Path, told: Told) -> None:
    for words in (["render", "--style", "volumes"], ["report"]):
        assert told(*words, "model.py:Net", "--input", "3x8x8")[0] == 0
    assert {path.name for path in folder.iterdir()} >= {"Net.svg", "Net.html"}


def test_the_dtype_is_the_models_own(folder: Path, told: Told) -> None:
    for command in (["analyze"], ["memory"], ["fit", "--memory", "1GiB"], ["time", "--device", "a100-40gb"]):
        _, out, _ = told(*command, "model.py:Half", "--input", "3")
        assert "bfloat16" in out, command
    status, _, err = told("memory", "model.py:Half", "--input", "3", "--amp", "bf16")
    assert status == 2 and "--amp needs parameters in float32, not bfloat16" in err


@pytest.mark.parametrize(("command", "text"), [("resolve", "where each value of a spec"), ("train", "from a spec"), ("schema", "of specs")])
def test_commands_about_specs_alone(folder: Path, told: Told, command: str, text: str) -> None:
    status, out, err = told(command, "model.py:Net")
    assert status == 2 and not out and "model.py:Net is a model, and" in err and text in " ".join(err.split())


def test_a_leaf_of_a_spec(told: Told) -> None:
    status, _, err = told("analyze", "lenet5", "--leaf", "Block")
    assert status == 2 and "--leaf is about the code of a model" in err


def test_packages_that_are_not_there(folder: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("timm", "torchvision", "torch"):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, package, None)
            named = f"{package}:resnet18" if package != "torch" else "model.py:Net"
            status, _, err = told("analyze", named, "--input", "3x8x8")
            assert status == 2 and f"pip install {package}" in " ".join(err.split()) and "not installed" in err


def test_a_spec_runs_no_code(folder: Path, told: Told) -> None:
    for text in ("extends: model.py:Net\n", "extends: model:Net\n", "input: [3, 8, 8]\nlayers: [{'model.py:Net': }]\n"):
        (folder / "net.yaml").write_text(text)
        status, _, err = told("analyze", "net.yaml")
        assert status == 2 and "the model's own words" not in err and "model" not in sys.modules


def test_the_commands_of_the_page_run(zoos: None, folder: Path, told: Told) -> None:
    """With models of these names, and packages that have them."""
    two = "\n\nclass Two(Net):\n    def forward(self, image, words):\n        return super().forward(image), words * 2\n"
    (folder / "model.py").write_text(MODEL + two + "\n\nmake_net = Net\n")
    (folder / "mypkg" / "nets.py").write_text("from .blocks import Block\n\ndef Net():\n    return Block(3)\n")
    (folder / "timm.py").write_text(TIMM.replace('"small"', '"resnet18"'))
    (folder / "torchvision" / "models.py").write_text(TORCHVISION.replace("inception_v3", "resnet50"))
    page = (ROOT / "docs" / "import.md").read_text()
    lines = [line for line in re.findall(r"^archc .*$", page, re.MULTILINE) if "model.py" in line or ":" in line]
    assert len(lines) == 6
    for line in lines:
        status, _, err = told(*shlex.split(line, comments=True)[1:])
        assert status == 0, (line, err)


def test_a_file_that_is_there_is_a_spec(folder: Path) -> None:
    (folder / "a:b").write_text("input: [3, 8, 8]\nlayers: [relu]\n")
    assert not is_model("a:b") and is_model("a:c") and not is_model("a.yaml") and not is_model("C:\\nets\\a.yaml")


def test_one_model_is_compared_with_nothing(folder: Path, told: Told) -> None:
    status, out, err = told("diff", "model.py:Net", "--input", "3x8x8")
    assert status == 2 and not out
    assert "what should model.py:Net be compared with? name another network: archc diff model.py:Net NEW --input 3x8x8" in " ".join(
        err.split()
    )
