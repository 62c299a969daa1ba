"""Files of weights that are refused: none runs, none hangs, each is told in words."""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
library = pytest.importorskip("safetensors.torch")

from torch import nn

from archc.runtime.weights.load import load_weights, save_weights
from archc.runtime.weights.renaming import WeightsError
from tests.runtime.weights_common import Net, refused

SUFFIXES = [".safetensors", ".pth", ".pt", ".bin"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


SYSTEM = f"{os.name}.mkdir"
REFUSED = f"""holds more than tensors: {SYSTEM}
To load those would run code that the file chooses, so it was not read.
If you trust its author, save the tensors alone where those classes exist:
  held = torch.load(FILE, weights_only=False)
  torch.save(held.state_dict(), 'weights.pth')     # held is a module
  torch.save(held['state_dict'], 'weights.pth')    # held is a dict"""


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("suffix", [*SUFFIXES, ".ckpt"])
def test_a_bomb_does_not_go_off(zipped: bool, suffix: str, tmp_path: Path) -> None:
    path, crater = tmp_path / f"bomb{suffix}", tmp_path / "crater"
    torch.save({"state_dict": Net().state_dict(), "x": Bomb(crater)}, path, _use_new_zipfile_serialization=zipped)
    assert refused(Net(), path) == REFUSED
    assert refused(Net(), path, partial=True) == REFUSED
    assert not crater.exists()
    with contextlib.suppress(Exception), path.open("rb") as file:
        torch.load(file, weights_only=False)
    assert crater.exists(), "it was no bomb"


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_is_not_opened(protocol: int, tmp_path: Path) -> None:
    crater = tmp_path / "crater"
    (tmp_path / "a.pth").write_bytes(pickle.dumps(Bomb(crater), protocol=protocol))
    refused(Net(), tmp_path / "a.pth")
    assert not crater.exists()


def test_whole_modules_and_other_classes(tmp_path: Path) -> None:
    torch.save(Net().head, tmp_path / "whole.pth")
    assert refused(Net(), tmp_path / "whole.pth").startswith("holds more than tensors: torch.nn.modules.linear.Linear\n")
    torch.save({"state_dict": {}, "args": argparse.Namespace(lr=1)}, tmp_path / "args.pth")
    assert refused(Net(), tmp_path / "args.pth").startswith("holds more than tensors: argparse.Namespace\n")


CUT = "is cut short or damaged: it begins as an archive of torch.save, and its end is missing"
FOREIGN = {
    "is empty": b"",
    "is neither safetensors nor a file of torch.save": b"hello",
    "is a pickle, but not one that torch.save wrote; it was not opened, as a pickle can run code": b"\x80\x04K\x01.",
    "is a web page or XML, so a download may have failed": b"<!DOCTYPE html><html>",
    "is a pointer of Git LFS, not the weights: run `git lfs pull` in its repository": b"version https://git-lfs.github.com/spec/v1",
    CUT: b"PK\x03\x04 and no more",
}


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors"])
@pytest.mark.parametrize("told", FOREIGN)
def test_foreign_files(suffix: str, told: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").write_bytes(FOREIGN[told])
    said = refused(Net(), tmp_path / f"a{suffix}")
    assert said == told or (FOREIGN[told] == b"hello" and suffix == ".safetensors" and said.startswith("is cut short, damaged, or not"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".legacy.pth"])
def test_files_cut_short_anywhere(suffix: str, tmp_path: Path) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    if suffix == ".legacy.pth":
        torch.save(Net().state_dict(), whole, _use_new_zipfile_serialization=False)
    else:
        save_weights(Net(), whole)
    content = whole.read_bytes()
    net = Net()
    for size in [*range(1, 40), *range(40, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:size])
        assert refused(net, path), size


def test_damaged_bytes_never_crash(tmp_path: Path) -> None:
    """Any byte changed: either it is told, or what is loaded has the right shapes."""
    net, path = Net(), tmp_path / "a.pth"
    generator = torch.Generator().manual_seed(1)
    for suffix in (".safetensors", ".pth"):
        save_weights(Net(), tmp_path / f"b{suffix}")
        content = (tmp_path / f"b{suffix}").read_bytes()
        for at in torch.randint(len(content), (150,), generator=generator).tolist():
            path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
            with contextlib.suppress(WeightsError):
                load_weights(net, path, partial=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_archives_that_are_others(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("x", "y")
    assert refused(Net(), tmp_path / "a.pth") == "is a zip archive, but not one of torch.save"
    save_weights(Net(), tmp_path / "b.pth")
    with zipfile.ZipFile(tmp_path / "b.pth") as archive, zipfile.ZipFile(tmp_path / "c.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    assert refused(Net(), tmp_path / "c.pth").startswith("is a compressed archive, and torch.save compresses nothing")
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "d.pt")
    assert refused(Net(), tmp_path / "d.pt") == (
        "is TorchScript, a program. If you trust it, save its weights alone:\n"
        "  torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
    )


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ([1], "holds a list, and not tensors by name"),
        (torch.ones(2), "holds a Tensor, and not tensors by name"),
        ({}, "holds no tensors"),
        ({"epoch": 1}, "holds no tensors"),
        ({"a": torch.ones(2, device="meta")}, '"a" has no values'),
        ({"a": torch.eye(2).to_sparse()}, '"a" is quantized, sparse or nested: only plain tensors are read'),
        (
            {"a": {"x": torch.ones(1)}, "b": {"x": torch.ones(1)}},
            'holds several sets of weights: "a", "b"; save one of them: torch.save(torch.load(FILE)[KEY], \'weights.pth\')',
        ),
    ],
)
def test_what_is_no_set_of_weights(held: Any, told: str, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "a.pth")
    assert refused(Net(), tmp_path / "a.pth") == told


def test_places_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "resnet50.pth").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    assert refused(Net(), tmp_path / "resnet05.pth") == 'does not exist; did you mean "resnet50.pth"?'
    assert refused(Net(), tmp_path / "no" / "such") == "does not exist"
    assert refused(Net(), tmp_path) == "is a folder; name a file in it"
    assert refused(Net(), tmp_path / "pipe") == "is not a regular file"


def test_a_tensor_that_is_large_in_name_alone(tmp_path: Path) -> None:
    """One number seen as 10^12 is never written out."""
    torch.save({"weight": torch.ones(1).expand(10**6, 10**6), "bias": torch.ones(2)}, tmp_path / "a.pth")
    assert "1000000x1000000 in the file, 2x2 in the network" in refused(nn.Linear(2, 2), tmp_path / "a.pth")
