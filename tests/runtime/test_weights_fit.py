"""What is said where names and shapes do not fit, what is loaded in part, and what happens where a file cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors.torch")

from torch import nn

from archc.runtime.weights import write as weights_write
from archc.runtime.weights.load import load_weights, save_weights
from archc.runtime.weights.mismatch import find_rules
from archc.runtime.weights.renaming import WeightsError, parse_rule
from tests.runtime.weights_common import Net, Tied, refused, same, snapshot


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def saved(tmp_path: Path, change: Any) -> Path:
    """A file whose names are changed."""
    torch.save({change(name): one for name, one in Net().state_dict().items()}, tmp_path / "a.pth")
    return tmp_path / "a.pth"


# the text


def test_another_head(tmp_path: Path) -> None:
    save_weights(Net(1000), tmp_path / "a.pth")
    assert refused(Net(10), tmp_path / "a.pth") == (
        "does not fit the network: 14 tensors fit, of 16 in the file and 16 in the network\n"
        "different: 2\n"
        "  head.weight  1000x4 in the file, 10x4 in the network\n"
        "  head.bias    1000 in the file, 10 in the network\n"
        "--partial would load the 14 that fit, and leave the rest"
    )


def test_a_part_renamed(tmp_path: Path) -> None:
    def change(name: str) -> str:
        return name.replace("blocks.", "layers.").replace("head.", "fc.")

    path = saved(tmp_path, change)
    assert refused(Net(), path) == (
        "does not fit the network: 2 tensors fit, of 16 in the file and 16 in the network\n"
        "  2 num_batches_tracked are not in the file, which may leave them out\n"
        "in the network, not in the file: 12\n"
        "  blocks.{0-1}.0.weight        4x4x1x1\n"
        "  blocks.{0-1}.1.weight        4\n"
        "  blocks.{0-1}.1.bias          4\n"
        "  blocks.{0-1}.1.running_mean  4\n"
        "  blocks.{0-1}.1.running_var   4\n"
        "  head.weight                  10x4\n"
        "  head.bias                    10\n"
        "in the file, not in the network: 14\n"
        "  layers.{0-1}.0.weight               4x4x1x1\n"
        "  layers.{0-1}.1.weight               4\n"
        "  layers.{0-1}.1.bias                 4\n"
        "  layers.{0-1}.1.running_mean         4\n"
        "  layers.{0-1}.1.running_var          4\n"
        "  layers.{0-1}.1.num_batches_tracked  scalar\n"
        "  fc.weight                           10x4\n"
        "  fc.bias                             10\n"
        "--rename 's/^layers\\./blocks./'\n"
        "--rename 's/^fc\\./head./' would make all 16 tensors fit\n"
        "--partial would load the 2 that fit, and leave the rest"
    )
    net = Net()
    load_weights(net, path, rename=[r"s/^layers\./blocks./", r"s/^fc\./head./"])
    assert torch.equal(net.head.weight, torch.load(path)["fc.weight"])


RENAMINGS: list[tuple[Any, list[str]]] = [
    (lambda name: f"backbone.{name}", [r"s/^backbone\.//"]),
    (lambda name: f"a.b.{name}", [r"s/^a\.b\.//"]),
    (lambda name: name.replace("stem", "conv1"), [r"s/^conv1\./stem./"]),
    (lambda name: name.replace("running_mean", "moving_mean"), [r"s/\.moving_mean$/.running_mean/"]),
    (lambda name: name.replace(".0.weight", ".0.conv.weight"), [r"s/\.conv\./../".replace("..", ".")]),
    (lambda name: name.replace("blocks.", "body.layers."), [r"s/^body\.layers\./blocks./"]),
    (lambda name: "net." + name.replace("head", "fc"), [r"s/^net\.//", r"s/^fc\./head./"]),
]


@pytest.mark.parametrize(("change", "rules"), RENAMINGS)
def test_rules_that_are_proposed_do_what_is_said(change: Any, rules: list[str], tmp_path: Path) -> None:
    path, net = saved(tmp_path, change), Net()
    said = refused(net, path).split("\n")
    assert [line for line in said if line.startswith("--rename")] == [
        *(f"--rename '{rule}'" for rule in rules[:-1]),
        f"--rename '{rules[-1]}' would make all 16 tensors fit",
    ]
    found = load_weights(net, path, rename=rules)
    assert found.notes == [] and len(found.loaded) == 16
    assert all(torch.equal(net.state_dict()[name], one) for name, one in zip(net.state_dict(), torch.load(path).values(), strict=True))


def test_a_prefix_of_the_network(tmp_path: Path) -> None:
    save_weights(Net(), tmp_path / "a.pth")
    net = nn.ModuleDict({"backbone": Net()})
    assert "\n--rename 's/^/backbone./' would make all 16 tensors fit" in refused(net, tmp_path / "a.pth")
    load_weights(net, tmp_path / "a.pth", rename=["s/^/backbone./"])


def test_no_rule_is_proposed_for_another_network(tmp_path: Path) -> None:
    torch.save({f"x{i}.y": torch.ones(3, i + 1) for i in range(20)}, tmp_path / "a.pth")
    assert "--" not in refused(Net(), tmp_path / "a.pth")


def test_a_proposed_rule_is_never_a_command(tmp_path: Path) -> None:
    """Names are a stranger's, and rules are pasted into a shell."""
    for evil in ("'; touch x; '", "$(touch x)", "`x`", "a b", "a\nb", "\x1b[2J", "é"):
        said = refused(Net(), saved(tmp_path, lambda name, evil=evil: f"{evil}.{name}"))
        assert "--rename" not in said and "\x1b" not in said


def test_the_same_shapes_under_other_names(tmp_path: Path) -> None:
    torch.save({f"{chr(97 + i)}": one for i, one in enumerate(Net().state_dict().values())}, tmp_path / "a.pth")
    assert refused(Net(), tmp_path / "a.pth").endswith("\nboth hold the same shapes in the same order; only names differ")


def test_the_nearest_name(tmp_path: Path) -> None:
    state = Net().state_dict()
    torch.save({**state, "heed.weight": torch.ones(3, 3), "head.weight": None}, tmp_path / "a.pth")
    assert "\nnearest to head.weight in the file: heed.weight\n" in refused(Net(), tmp_path / "a.pth")


def test_thousands_of_names_in_few_lines(tmp_path: Path) -> None:
    width = {f"blocks.{i}.part{j}.w": torch.ones(2) for i in range(300) for j in range(10)}
    torch.save({f"{name}.{chr(97 + i % 7)}{i}": one for i, (name, one) in enumerate(width.items())}, tmp_path / "a.pth")
    net = nn.Module()
    for name in width:
        net.register_buffer(name.replace(".", "_"), torch.ones(2))
    start = time.process_time()
    said = refused(net, tmp_path / "a.pth").split("\n")
    assert len(said) < 50 and time.process_time() - start < 20
    assert "in the network, not in the file: 3,000" in said and "in the file, not in the network: 3,000" in said
    assert "  blocks_{0-299}_part{0-9}_w  2" in said


def test_names_made_to_tire(tmp_path: Path) -> None:
    names = ["9" * 6000, "a" * 100_000, "x.\0.y", ".".join("1" * 5000), "", ".", *(f"{i * i}.{i * 7919 % 10007}" for i in range(9000))]
    torch.save({name: torch.ones(1) for name in names}, tmp_path / "a.pth")
    start = time.process_time()
    assert len(refused(Net(), tmp_path / "a.pth").split("\n")) < 40
    assert time.process_time() - start < 30


def test_rules_are_found_in_time() -> None:
    theirs = {f"m{i}.{chr(97 + i % 26)}.{i % 9}.weight": (i % 5, 3) for i in range(15_000)}
    ours = {f"n{i}.{chr(98 + i % 25)}.{i % 8}.weight": (i % 5, 3) for i in range(15_000)}
    start = time.process_time()
    assert find_rules(theirs, ours)[0] == []
    assert time.process_time() - start < 20
    rules, count = find_rules({f"{'q.' * 3}{name}": shape for name, shape in ours.items()}, ours)
    assert [rule.text for rule in rules] == [r"s/^q\.q\.q\.//"] and count == 15_000 and rules[0] == parse_rule(rules[0].text)


# in part


def test_a_changed_head(tmp_path: Path) -> None:
    a, b = Net(1000), Net(10)
    save_weights(a, tmp_path / "a.pth")
    head = b.head.weight.detach().clone()
    found = load_weights(b, tmp_path / "a.pth", partial=True)
    assert found.different == ["head.weight", "head.bias"] and found.missing == found.unexpected == []
    assert torch.equal(b.head.weight, head) and torch.equal(a.stem.weight, b.stem.weight)
    assert set(found.loaded) == {name for name in b.state_dict() if not name.startswith("head")}
    assert found.text() == (
        "loaded 14 of 16 tensors from a.pth\ndifferent: 2\n"
        "  head.weight  1000x4 in the file, 10x4 in the network\n  head.bias    1000 in the file, 10 in the network"
    )


def test_a_deeper_network_with_another_head(tmp_path: Path) -> None:
    a, b = Net(), Net(blocks=5)
    torch.save(
        {name.replace("head", "fc"): one.bfloat16() if one.ndim else one for name, one in a.state_dict().items()}, tmp_path / "a.pth"
    )
    found = load_weights(b, tmp_path / "a.pth", partial=True)
    assert found.text() == (
        "loaded 14 of 34 tensors from a.pth\n"
        "  3 num_batches_tracked are not in the file, which may leave them out\n"
        "  12 tensors cast from bfloat16 to float32\n"
        "in the network, not in the file: 17\n"
        "  blocks.{2-4}.0.weight        4x4x1x1\n"
        "  blocks.{2-4}.1.weight        4\n"
        "  blocks.{2-4}.1.bias          4\n"
        "  blocks.{2-4}.1.running_mean  4\n"
        "  blocks.{2-4}.1.running_var   4\n"
        "  head.weight                  10x4\n"
        "  head.bias                    10\n"
        "in the file, not in the network: 2\n"
        "  fc.weight  10x4\n"
        "  fc.bias    10"
    )


def test_nothing_that_fits(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1), "blocks.0.1.num_batches_tracked": torch.tensor(1)}, tmp_path / "a.pth")
    said = refused(Net(), tmp_path / "a.pth", partial=True)
    assert said.startswith("has nothing that fits the network: 1 tensor fits, of 2 in the file and 16 in the network\n")


def test_a_tie_is_loaded_once(tmp_path: Path) -> None:
    torch.save({"embed.weight": torch.ones(7, 3), "more": torch.ones(1)}, tmp_path / "a.pth")
    net = Tied()
    found = load_weights(net, tmp_path / "a.pth", partial=True)
    assert found.missing == [] and found.unexpected == ["more"] and bool((net.head.weight == 1).all())


# writing


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_what_stood_there_still_stands(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, net = tmp_path / f"a{suffix}", Net()
    save_weights(net, path)
    before = path.read_bytes()

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(WeightsError) as caught:
        save_weights(Net(), path)
    assert str(caught.value).endswith(" cannot be written: No space left on device")
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == [path.name]
    monkeypatch.undo()
    monkeypatch.setattr(weights_write.Sink, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    if suffix == ".pth":
        with pytest.raises(KeyboardInterrupt):
            save_weights(Net(), path)
        assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == [path.name]


FULL = """
import resource, sys, torch
from archc.runtime.weights.load import WeightsError, save_weights
net = torch.nn.Linear(300, 300)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_weights(net, sys.argv[1])
except WeightsError as error:
    print("told: " + str(error)[str(error).index("cannot be written"):])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_full_disk(suffix: str, tmp_path: Path) -> None:
    """A limit of the system on the size of files, which PyTorch's own writer does not survive."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"before")
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "told: cannot be written: " + ("File too large\n" if suffix == ".pth" else done.stdout.split("written: ")[1])
    assert "too large" in done.stdout
    assert path.read_bytes() == b"before" and [one.name for one in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    def told(module: nn.Module, name: str, **options: Any) -> str:
        with pytest.raises(WeightsError) as caught:
            save_weights(module, tmp_path / name, **options)
        assert not list(tmp_path.iterdir())
        return str(caught.value).removeprefix(f"{tmp_path / name} ")

    assert told(Net(), "a.txt") == "has no ending that tells the format: write a name that ends in .safetensors or .pth"
    assert told(Net(), "no/a.pth") == "cannot be written: No such file or directory"
    assert told(Net(), "a.pth", metadata={"a": 1}) == "metadata must be texts by name: {'dataset': 'imagenet'}"
    assert told(Net(), "a.pth", metadata={"a": "b"}).startswith("is a plain state_dict, which holds no metadata")
    assert told(Net(), "a.safetensors", metadata={"a": "\ud800"}).startswith("cannot be written: ")
    assert told(nn.Linear(2, 2, device="meta"), "a.pth") == '"weight" is on the meta device and has no values to save'
    assert told(nn.LazyLinear(2), "a.pth") == '"weight" of the network has no shape yet: run the network once before'


def test_state_that_is_no_tensor(tmp_path: Path) -> None:
    class Extra(nn.Linear):
        def get_extra_state(self) -> Any:
            return {"a": 1}

    with pytest.raises(WeightsError, match=r'^"_extra_state" of the network is no tensor but a dict; only tensors are loaded and saved$'):
        save_weights(Extra(2, 2), tmp_path / "a.pth")


def test_files_can_be_read_by_others_as_far_as_the_mask_allows(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        for name in ("a.safetensors", "a.pth"):
            save_weights(Net(), tmp_path / name)
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(old)


def test_a_file_may_be_written_over_while_it_is_loaded_from(tmp_path: Path) -> None:
    a, b = Net(), Net()
    for name in ("a.safetensors", "a.pth"):
        save_weights(a, tmp_path / name)
        load_weights(b, tmp_path / name)
        before = snapshot(b)
        save_weights(Net(), tmp_path / name)
        assert same(a, b) and all(torch.equal(before[key], one) for key, one in b.state_dict().items())
