"""What archc builds, on a GPU; and the script that measures there, in small on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import archc
from tests.benchmarks.hand_written import NETS

from . import peaks, throughput

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA GPU here: what runs on one is not tested")
everywhere = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
SMALL = ("resnet18", "mobilenet_v2", "densenet121", "vit_small")
SIDE = 64


@pytest.fixture(autouse=True)
def _as_before() -> Any:
    """What the script sets for all of PyTorch is put back; products of float32 are exact unless a test says otherwise."""
    before = torch.get_num_threads(), torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    peaks.use_tf32(False)
    yield
    torch.set_num_threads(before[0])
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before[1:3]
    torch.set_float32_matmul_precision(before[3])


def graph_of(name: str) -> Any:
    return archc.load(NETS[name].spec, input=[3, SIDE, SIDE], **NETS[name].params)


def by_hand(name: str) -> Any:
    """In double precision on the CPU, with statistics of random images, so that the signal does not die out on its way."""
    torch.manual_seed(0)
    module = NETS[name].make(SIDE).double()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        module.train()(images(8))
    return module.eval()


def images(count: int) -> Any:
    return torch.randn(count, 3, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def outputs(module: Any, device: str, dtype: Any = torch.float64, layout: Any = torch.contiguous_format) -> Any:
    """In double precision on the CPU again."""
    with torch.no_grad():
        return module(images(4).to(device, dtype).contiguous(memory_format=layout)).cpu().double()


def apart(found: Any, expected: Any) -> float:
    """The greatest difference over the greatest value."""
    return float((found - expected).abs().max() / expected.abs().max())


@everywhere
@pytest.mark.parametrize("name", SMALL)
def test_a_module_built_on_a_device_computes_what_one_by_hand_does_on_the_cpu(name: str, device: str) -> None:
    theirs = by_hand(name)
    ours = archc.build(graph_of(name), device=device, dtype="float64").eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert {value.device.type for value in ours.state_dict().values()} == {device}
    assert apart(outputs(ours, device), outputs(theirs, "cpu")) < 1e-11


@everywhere
@pytest.mark.parametrize("name", SMALL)
def test_channels_last(name: str, device: str) -> None:
    """Weights lie as wished, and outputs are as near to those in float64 as those of the one by hand on the same device."""
    theirs = by_hand(name)
    exact = outputs(theirs, "cpu")
    ours = archc.build(graph_of(name), device=device, memory_format="channels_last").eval()
    ours.load_state_dict(theirs.float().state_dict(), strict=True)
    kernels = [value for value in ours.parameters() if value.dim() == 4]
    assert kernels and all(value.is_contiguous(memory_format=torch.channels_last) for value in kernels)
    expected = outputs(theirs.to(device, memory_format=torch.channels_last), device, torch.float32, torch.channels_last)
    found = outputs(ours, device, torch.float32, torch.channels_last)
    assert 0 < apart(found, exact) < 1.5 * apart(expected, exact) < 1e-4


@pytest.mark.parametrize(
    ("device", "name"),
    [
        pytest.param(device, name, marks=[needs_cuda] if device == "cuda" else [pytest.mark.heavy] if name == "densenet121" else [])
        for device in ("cpu", "cuda")
        for name in SMALL
    ],
)
def test_autocast(name: str, device: str) -> None:
    """Outputs are bfloat16, and as near to those in float64 as those of the one by hand on the same device, under autocast too."""
    theirs = by_hand(name)
    exact = outputs(theirs, "cpu")
    ours = archc.build(graph_of(name), device=device, autocast="bfloat16").eval()
    ours.load_state_dict(theirs.float().state_dict(), strict=True)
    theirs.to(device)
    with torch.autocast(device, dtype=torch.bfloat16):
        expected = outputs(theirs, device, torch.float32)
    found = outputs(ours, device, torch.float32)
    assert torch.equal(found, found.bfloat16().double())
    assert 0 < apart(found, exact) < 1.5 * apart(expected, exact)


@everywhere
@pytest.mark.parametrize("name", SMALL)
def test_one_step_of_training(name: str, device: str) -> None:
    """The same gradients, in double precision, with dropout left out."""
    theirs, labels = by_hand(name).train(), torch.arange(4)
    ours = archc.build(graph_of(name), device=device, dtype="float64").train()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    for module in (*theirs.modules(), *ours.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for module, where in ((theirs, "cpu"), (ours, device)):
        torch.nn.functional.cross_entropy(module(images(4).to(where)), labels.to(where)).backward()
    expected = {key: value.grad for key, value in theirs.named_parameters()}
    for key, value in ours.named_parameters():
        torch.testing.assert_close(value.grad.cpu(), expected[key], rtol=1e-7, atol=1e-9)


def run(tmp_path: Path, *words: str) -> Any:
    out = tmp_path / "figures.json"
    assert throughput.main(["--device", "cpu", "--quick", "--out", str(out), *words]) == 0
    return json.loads(out.read_text())


def test_the_script_in_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(tmp_path, "--nets", "resnet18", "--modes", "autocast", "bf16", "optimized-tf32", "--peak", "1", "bfloat16=4")
    rows = found["rows"]
    assert [(row["task"], row["mode"]) for row in rows if row["who"] == "archc"] == [
        ("inference", "autocast"), ("training", "autocast"), ("inference", "bf16"), ("inference", "optimized-tf32"),
    ]  # fmt: skip
    macs = archc.analyze(graph_of("resnet18")).macs
    for row in rows:
        assert not row["problem"] and row["low"] <= row["images_per_second"] <= row["high"]
        assert row["tflops"] == pytest.approx(row["images_per_second"] * macs * (6 if row["task"] == "training" else 2) / 1e12)
        assert row["fraction"] == pytest.approx(row["tflops"] / (4 if row["mode"] in ("autocast", "bf16") else 1))
        assert row["who"] != "archc" or row["difference"] < (1e-5 if row["mode"] != "bf16" else 0.1)
    table = capsys.readouterr().out
    assert "images/s" in table and "peak in bfloat16: 4 TFLOP/s (given)" in table


def test_a_mode_that_fails_is_a_problem_of_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise torch.OutOfMemoryError("no memory for 3 GiB")

    monkeypatch.setattr(throughput, "step_of", fails)
    rows = run(tmp_path, "--nets", "resnet18", "--modes", "f32", "--peak", "1")["rows"]
    assert [row["problem"] for row in rows] == ["no memory for 3 GiB"] * 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is said where there is no GPU")
def test_without_a_gpu_the_script_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        throughput.main([])
    assert "PyTorch sees no GPU; --device cpu --quick" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["989TF", "bf16=9", "0", "-1", "float32="])
def test_a_peak_that_is_no_number(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        throughput.main(["--device", "cpu", "--quick", f"--peak={word}"])
    assert f"--peak {word}: write TFLOP/s, as 989" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "bfloat16"),
    [
        ("NVIDIA H200", 989), ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA A100-SXM4-40GB", 312), ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362), ("NVIDIA GeForce RTX 4090", 165.2), ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None), ("NVIDIA A10G", None), ("Tesla T4", None),
    ],
)  # fmt: skip
def test_data_sheets_by_the_name_of_a_device(name: str, bfloat16: float | None) -> None:
    assert peaks.of_sheet(name).get("bfloat16") == bfloat16


def test_a_peak_is_measured_where_nobody_says_it() -> None:
    found = peaks.peaks(torch.device("cpu"), ["tf32=5"], lambda: None, 64)
    assert (found["tf32"].by, found["tf32"].tflops) == ("given", 5)
    assert found["float32"].by == "measured" and 0 < found["float32"].tflops < 1000
