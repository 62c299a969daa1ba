"""Weights: round trips, files of every kind, what is said of those that do not fit, and that nothing is half done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
library = pytest.importorskip("safetensors.torch")

from torch import nn

from archc.runtime.weights.load import load_weights, save_weights
from archc.runtime.weights.renaming import WeightsError
from tests.runtime.weights_common import Net, Tied, refused, same, snapshot

SUFFIXES = [".safetensors", ".pth", ".pt", ".bin"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


# round trips


@pytest.mark.parametrize(
    ("suffix", "metadata"), [*((suffix, None) for suffix in SUFFIXES), (".safetensors", {"spec": "net.yaml", "größe": "ü"})]
)
def test_what_is_saved_is_loaded(suffix: str, metadata: dict[str, str] | None, tmp_path: Path) -> None:
    path, (a, b) = tmp_path / f"net{suffix}", (Net(), Net())
    size = save_weights(a, path, metadata)
    assert size == path.stat().st_size and [one.name for one in tmp_path.iterdir()] == [path.name]
    assert not same(a, b)
    found = load_weights(b, path)
    assert same(a, b)
    assert found.loaded == list(a.state_dict()) and not found.skipped and not found.cast
    assert found.metadata == (metadata or {})


def test_the_files_are_those_of_the_libraries(tmp_path: Path) -> None:
    net = Net()
    save_weights(net, tmp_path / "net.safetensors", {"a": "b"})
    save_weights(net, tmp_path / "net.pth")
    for state in (library.load_file(tmp_path / "net.safetensors"), torch.load(tmp_path / "net.pth", weights_only=True)):
        other = Net()
        other.load_state_dict(state)
        assert same(net, other)


def test_files_of_older_versions_are_read(tmp_path: Path) -> None:
    a, b = Net(), Net()
    torch.save({"state_dict": a.state_dict(), "metadata": {"archc": "net"}}, tmp_path / "a.pth")
    assert load_weights(b, tmp_path / "a.pth").metadata == {"archc": "net"} and same(a, b)


BAD = [("nan", 1, "1 NaN of "), ("inf", 3, "3 infinite of "), ("-inf", 2, "2 infinite of ")]


@pytest.mark.parametrize(("value", "count", "told"), BAD)
def test_weights_that_are_not_finite_are_refused(value: str, count: int, told: str, tmp_path: Path) -> None:
    a, b, before = Net(), Net(), Net()
    b.load_state_dict(before.state_dict())
    name, tensor = next((name, one) for name, one in a.state_dict().items() if one.is_floating_point() and one.numel() > 3)
    tensor.view(-1)[:count] = float(value)
    save_weights(a, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError) as error:
        load_weights(b, tmp_path / "a.safetensors")
    assert name in str(error.value) and told + f"{tensor.numel():,}" in str(error.value) and same(b, before)
    found = load_weights(b, tmp_path / "a.safetensors", finite=False)
    assert f"1 tensor with values that are not finite: {name}" in found.text()
    assert torch.equal(b.state_dict()[name].isfinite(), tensor.isfinite())


def test_a_mask_may_be_infinite(tmp_path: Path) -> None:
    class Masked(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.register_buffer("mask", torch.full((2, 2), float("-inf")).triu(1))

    save_weights(Masked(), tmp_path / "a.pth")
    assert not load_weights(Masked(), tmp_path / "a.pth").notes


@pytest.mark.parametrize("zipped", [True, False])
def test_files_that_pytorch_wrote(zipped: bool, tmp_path: Path) -> None:
    a, b = Net(), Net()
    torch.save(a.state_dict(), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    load_weights(b, tmp_path / "a.pth")
    assert same(a, b)


def test_the_suffix_does_not_matter_to_reading(tmp_path: Path) -> None:
    a, b = Net(), Net()
    save_weights(a, tmp_path / "net.safetensors")
    (tmp_path / "net.safetensors").rename(tmp_path / "net.ckpt")
    load_weights(b, tmp_path / "net.ckpt")
    assert same(a, b)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_that_lie_otherwise_in_memory(suffix: str, tmp_path: Path) -> None:
    a, b = Net().to(memory_format=torch.channels_last), Net()
    a.head.weight = nn.Parameter(torch.randn(20, 4).t()[:, ::2].t())  # strided, and a part of a storage
    a.stem.bias = nn.Parameter(torch.randn(100)[50:54])
    save_weights(a, tmp_path / f"net{suffix}")
    load_weights(b, tmp_path / f"net{suffix}")
    assert same(a, b)
    assert (tmp_path / f"net{suffix}").stat().st_size < 12_000


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_tensor_of_two_names(suffix: str, tmp_path: Path) -> None:
    a, b, path = Tied(), Tied(), tmp_path / f"tied{suffix}"
    save_weights(a, path)
    load_weights(b, path)
    assert same(a, b) and b.head.weight is b.embed.weight
    with torch.device("meta"):
        c = Tied()
        c.head.weight = c.embed.weight
    load_weights(c, path)
    assert same(a, c) and c.head.weight is c.embed.weight


@pytest.mark.parametrize("meta", [False, True])
def test_a_file_may_hold_one_name_of_two(meta: bool, tmp_path: Path) -> None:
    a = Tied()
    library.save_model(a, tmp_path / "tied.safetensors")  # writes one
    with torch.device("meta" if meta else "cpu"):
        b = Tied()
    assert len(load_weights(b, tmp_path / "tied.safetensors").loaded) == 1
    assert same(a, b) and b.head.weight is b.embed.weight


def test_two_values_of_one_tensor(tmp_path: Path) -> None:
    torch.save({"embed.weight": torch.ones(7, 3), "head.weight": torch.zeros(7, 3)}, tmp_path / "a.pth")
    assert refused(Tied(), tmp_path / "a.pth") == (
        '"embed.weight" and "head.weight" are one tensor in the network, and have different values in the file'
    )


def test_a_module_without_values_gets_its_own(tmp_path: Path) -> None:
    a = Net()
    save_weights(a, tmp_path / "a.pth")
    with torch.device("meta"):
        b = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
        c = Net()
        c.head.weight.requires_grad_(False)
    load_weights(c, tmp_path / "a.pth")
    assert same(a, c) and not c.head.weight.requires_grad and c.stem.weight.requires_grad
    (tmp_path / "a.pth").write_bytes(b"")  # the module does not hang on the file
    c(torch.randn(1, 3, 8, 8)).sum().backward()
    torch.save({"0.weight": torch.ones(4, 3, 3, 3)}, tmp_path / "part.pth")
    assert refused(b, tmp_path / "part.pth", partial=True) == (
        'the network is on the meta device, and "1.weight" would have no values: build the network on the CPU, then load'
    )
    state = {name: torch.ones(slot.shape) for name, slot in b.state_dict().items() if "tracked" not in name}
    torch.save(state, tmp_path / "old.pth")
    load_weights(b, tmp_path / "old.pth")
    assert b[1].num_batches_tracked.item() == 0 and b[1].num_batches_tracked.dtype == torch.int64


def test_a_buffer_that_no_file_holds(tmp_path: Path) -> None:
    with torch.device("meta"):
        net = nn.Linear(2, 2)
        net.register_buffer("index", torch.ones(3), persistent=False)
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "a.pth")
    assert '"index" would have no values' in refused(net, tmp_path / "a.pth")
    assert net.weight.is_meta


# kinds of numbers


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_floats_are_cast(dtype: Any, suffix: str, tmp_path: Path) -> None:
    a, b, path = Net().to(dtype), Net(), tmp_path / f"a{suffix}"
    save_weights(a, path)
    found = load_weights(b, path)
    for name, tensor in a.state_dict().items():
        assert torch.equal(b.state_dict()[name], tensor.to(b.state_dict()[name].dtype))
    assert b.head.weight.dtype == torch.float32
    short = str(dtype).removeprefix("torch.")
    assert found.text() == f"loaded all 16 tensors from a{suffix}\n  14 tensors cast from {short} to float32"


def test_values_that_float16_has_not(tmp_path: Path) -> None:
    torch.save({"weight": torch.full((2, 2), 1e5), "bias": torch.tensor([torch.inf, 1.0])}, tmp_path / "a.pth")
    net = nn.Linear(2, 2).half()
    assert "  weight  float32 values above 65504 in the file, float16 in the network\n" in refused(net, tmp_path / "a.pth")
    load_weights(nn.Linear(2, 2).bfloat16(), tmp_path / "a.pth", finite=False)


def test_a_counter_that_was_cast_with_the_rest(tmp_path: Path) -> None:
    a, b = Net(), Net()
    torch.save({name: one.float() for name, one in a.state_dict().items()}, tmp_path / "a.pth")
    load_weights(b, tmp_path / "a.pth")
    assert same(a, b) and b.blocks[0][1].num_batches_tracked.dtype == torch.int64
    torch.save({"weight": torch.ones(2, 2, dtype=torch.int8), "bias": torch.ones(2)}, tmp_path / "quantized.pth")
    assert "  weight  int8 in the file, float32 in the network\n" in refused(nn.Linear(2, 2), tmp_path / "quantized.pth")


def test_other_numbers_stay_exact(tmp_path: Path) -> None:
    net = nn.Module()
    net.register_buffer("index", torch.zeros(3, dtype=torch.int32))
    net.register_buffer("mask", torch.zeros(3, dtype=torch.bool))
    fits = {"index": torch.tensor([1, -2, 2**31 - 1]), "mask": torch.tensor([0, 1, 1], dtype=torch.uint8)}
    torch.save(fits, tmp_path / "fits.pth")
    load_weights(net, tmp_path / "fits.pth")
    assert net.index.tolist() == [1, -2, 2**31 - 1] and net.mask.tolist() == [False, True, True]
    torch.save({"index": torch.tensor([1, 2, 2**31]), "mask": torch.tensor([0, 2, 1], dtype=torch.uint8)}, tmp_path / "beyond.pth")
    assert refused(net, tmp_path / "beyond.pth") == (
        "does not fit the network: 0 tensors fit, of 2 in the file and 2 in the network\ndifferent: 2\n"
        "  index  int64 values beyond int32 in the file, int32 in the network\n"
        "  mask   uint8 values beyond bool in the file, bool in the network"
    )
    torch.save({"index": torch.tensor([1, 2, 2.5]), "mask": torch.ones(3, dtype=torch.complex64)}, tmp_path / "kinds.pth")
    assert "  index  float32 values beyond int32 in the file, int32 in the network\n  mask   complex64 in the" in refused(
        net, tmp_path / "kinds.pth"
    )


def test_numbers_that_pytorch_cannot_cast(tmp_path: Path) -> None:
    dtype = getattr(torch, "float4_e2m1fn_x2", None)
    if dtype is None:
        pytest.skip("this PyTorch has none")
    torch.save({"weight": torch.zeros(2, 2, dtype=torch.uint8).view(dtype), "bias": torch.ones(2)}, tmp_path / "a.pth")
    assert "  weight  float4_e2m1fn_x2 in the file, float32 in the network\n" in refused(nn.Linear(2, 2), tmp_path / "a.pth")


def test_a_module_that_cannot_be_written_to(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    net.weight = nn.Parameter(torch.ones(1, 1).expand(2, 2))
    torch.save({"weight": torch.ones(2, 2), "bias": net.bias.detach()}, tmp_path / "a.pth")
    assert refused(net, tmp_path / "a.pth").startswith("PyTorch refused, and part of the weights may be loaded:\n")


# checkpoints


WRAPPED: list[Any] = [
    (lambda w: {"state_dict": w, "epoch": 3}, ['the weights are its "state_dict"']),
    (lambda w: {"model": w, "optimizer": {"state": {0: {"step": 1}}}}, ['the weights are its "model"']),
    (lambda w: {"model_state_dict": w}, ['the weights are its "model_state_dict"']),
    (lambda w: {"model_ema": {"n_averaged": torch.tensor(3), **{f"module.{k}": v for k, v in w.items()}}, "model": None}, [
        'the weights are its "model_ema"', 'the prefix "module." was taken from every name of the file']),
    (lambda w: {"model": w, "model_ema": w}, ['the weights are its "model"; "model_ema" was left']),
    (lambda w: {"model": {"state_dict": w}}, ['the weights are its "model"', 'the weights are its "state_dict"']),
    (lambda w: {"generator": w, "step": 1}, ['the weights are its "generator"']),
    (lambda w: {f"module.{k}": v for k, v in w.items()}, ['the prefix "module." was taken from every name of the file']),
    (lambda w: {f"_orig_mod.module.{k}": v for k, v in w.items()}, [
        'the prefix "_orig_mod." was taken from every name of the file', 'the prefix "module." was taken from every name of the file']),
    (lambda w: {**w, "epoch": 3, "note": "x"}, ['left out, as no tensors: "epoch" (int), "note" (str)']),
    (lambda w: {**w, 7: torch.ones(1)}, ["left out, as no tensors: a int (Tensor)"]),
]  # fmt: skip


@pytest.mark.parametrize(("wrap", "notes"), WRAPPED)
def test_weights_inside_checkpoints(wrap: Any, notes: list[str], tmp_path: Path) -> None:
    a, b = Net(), Net()
    torch.save(wrap(dict(a.state_dict())), tmp_path / "a.pth")
    found = load_weights(b, tmp_path / "a.pth")
    assert same(a, b) and found.notes == notes


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wrapped_modules(tmp_path: Path) -> None:
    a, b, c = Net(), Net(), Net()
    save_weights(nn.DataParallel(a), tmp_path / "a.safetensors")
    load_weights(b, tmp_path / "a.safetensors")
    load_weights(torch.compile(c), tmp_path / "a.safetensors")
    assert same(a, b) and same(a, c)


def test_a_network_whose_own_names_begin_so(tmp_path: Path) -> None:
    a, b = nn.ModuleDict({"module": Net()}), nn.ModuleDict({"module": Net()})
    save_weights(a, tmp_path / "a.safetensors")
    assert load_weights(b, tmp_path / "a.safetensors").notes == []
    assert same(a, b)


@pytest.mark.parametrize("kind", ["plain", "ddp"])
def test_files_older_than_the_counter_of_batches(kind: str, tmp_path: Path) -> None:
    a, b = Net(), Net()
    prefix = "module." if kind == "ddp" else ""
    torch.save({prefix + name: one for name, one in a.state_dict().items() if "tracked" not in name}, tmp_path / "a.pth")
    kept = snapshot(b)["blocks.0.1.num_batches_tracked"]
    found = load_weights(b, tmp_path / "a.pth")
    assert found.missing == [] and len(found.loaded) == 14
    assert found.notes[-1] == "2 num_batches_tracked are not in the file, which may leave them out"
    assert torch.equal(b.blocks[0][1].num_batches_tracked, kept) and torch.equal(a.blocks[1][1].running_var, b.blocks[1][1].running_var)


def test_shards(tmp_path: Path) -> None:
    a, b = Net(), Net()
    state = {name: tensor.contiguous() for name, tensor in a.state_dict().items()}
    names = list(state)
    places = {name: f"model-0000{i % 2 + 1}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(places.values()):
        library.save_file({name: state[name] for name in names if places[name] == file}, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    assert load_weights(b, index).notes == ["read from 2 files"]
    assert same(a, b)
    index.write_text(json.dumps({"weight_map": {**places, "more": "model-00001-of-00002.safetensors"}}))
    assert refused(b, index) == 'places "more" in model-00001-of-00002.safetensors, where it is not'


@pytest.mark.parametrize(
    "file", ["../a.safetensors", "/etc/a.safetensors", "b/a.safetensors", "..", "a.pth", "a\\b.safetensors", ".x.safetensors"]
)
def test_shards_outside_the_folder(file: str, tmp_path: Path) -> None:
    index = tmp_path / "in" / "model.safetensors.index.json"
    index.parent.mkdir()
    save_weights(Net(), tmp_path / "a.safetensors")
    index.write_text(json.dumps({"weight_map": {"stem.bias": file}}))
    assert "only a .safetensors file beside it is read" in refused(Net(), index)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', "[" * 100_000, "\xff"])
def test_no_index(text: str, tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    assert " ".join(refused(Net(), index).split()).startswith(
        'is not an index of safetensors: {"weight_map": {name: file}} was expected; on'
    )
