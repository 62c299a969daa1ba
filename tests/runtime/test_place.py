"""Devices, dtypes and memory formats: what is done, and what is said where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from archc.cli.console import option
from archc.runtime.build.place import PlaceError, best_device, device_of, place


def net() -> Any:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    layers.register_buffer("index", torch.arange(3))
    return layers


def refused(*given: Any, module: Any = None) -> str:
    """The text of the error on the command line; the module is as it was, and the error itself is in the words of the library."""
    module = module or net()
    before = {name: (one.dtype, one.device, one.stride()) for name, one in module.state_dict().items()}
    with pytest.raises(PlaceError) as caught:
        place(module, *given)
    assert before == {name: (one.dtype, one.device, one.stride()) for name, one in module.state_dict().items()}
    assert str(caught.value).isprintable() and "--" not in str(caught.value), caught.value
    return caught.value.spelled(option)


def cuda(monkeypatch: pytest.MonkeyPatch, count: int, version: str | None = "12.8") -> None:
    """PyTorch as it would be with so many GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("HIP_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch, "__version__", "9.9.9")


# devices


def test_nothing_asked_is_nothing_done() -> None:
    module = net()
    before = dict(module.state_dict(keep_vars=True))
    assert place(module) is module
    assert all(one is before[name] for name, one in module.state_dict(keep_vars=True).items())


def test_cpu_and_meta() -> None:
    assert place(net(), "cpu")[0].weight.device.type == "cpu"
    module = place(net(), "meta")
    assert {one.device.type for one in module.state_dict().values()} == {"meta"}
    assert refused("cpu", module=module) == (
        "the network is on the meta device and has no values to move to cpu: load weights first, or build it there"
    )
    assert place(module, None, "bf16")[0].weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gpu", 'no such device; did you mean "cuda"?'),
        ("CPU", 'no such device; did you mean "cpu"?'),
        ("cude", 'no such device; did you mean "cuda"?'),
        ("", "no such device; one of auto, cpu, cuda, cuda:1, mps, meta"),
        ("cuda:", 'no such device; did you mean "cuda"?'),
        ("cuda:-1", 'no such device; did you mean "cuda"?'),
        ("xla:0", "no such device; one of auto, cpu, cuda, cuda:1, mps, meta"),
        ("cpu:1", "only cuda takes a number; write --device cpu"),
        ("auto:0", "only cuda takes a number; write --device auto"),
    ],
)
def test_devices_that_do_not_exist(name: str, told: str) -> None:
    assert refused(name) == f"--device {name}: {told}"


def test_names_are_a_strangers() -> None:
    assert refused("\x1b[2J" + "x" * 1000).startswith("--device \\x1b[2Jxxx")


def test_a_pytorch_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, 0, None)
    assert refused("cuda") == (
        "--device cuda: PyTorch sees no GPU. "
        "This PyTorch (9.9.9) is built for the CPU only: install "
        "a CUDA build of PyTorch, see pytorch.org. "
        "To run without a GPU write --device cpu."
    )


def test_a_pytorch_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, 0)
    assert refused("cuda:1") == (
        "--device cuda:1: PyTorch sees no GPU. "
        "It is built for CUDA 12.8, but the driver is missing, or is too old for "
        "it, or the machine has no GPU: `nvidia-smi` shows what the driver sees. "
        "To run without a GPU write --device cpu."
    )


def test_gpus_that_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert refused("cuda") == (
        "--device cuda: PyTorch sees no GPU. "
        'It is built for CUDA 12.8, and CUDA_VISIBLE_DEVICES="" '
        "limits what it may see: unset that, or name a GPU that exists (nvidia-smi). "
        "To run without a GPU write --device cpu."
    )


def test_too_high_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(monkeypatch, 1)
    assert refused("cuda:1") == "--device cuda:1: there is 1 GPU, cuda:0"
    cuda(monkeypatch, 2)
    assert refused("cuda:2") == "--device cuda:2: there are 2 GPUs, cuda:0 to cuda:1"
    assert refused("cuda:99999") == "--device cuda:99999: there are 2 GPUs, cuda:0 to cuda:1"
    assert device_of("cuda:1") == torch.device("cuda", 1) and device_of("cuda") == torch.device("cuda")


def test_this_machine() -> None:
    """What is said agrees with what PyTorch can do here."""
    if torch.cuda.is_available():
        assert place(net(), "cuda")[0].weight.is_cuda
    else:
        with pytest.raises((RuntimeError, AssertionError)):
            net().to("cuda")
        assert refused("cuda").startswith("--device cuda: PyTorch sees no GPU. ")


def test_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: False)
    monkeypatch.setattr(torch, "__version__", "9.9.9")
    end = " To run without it write --device cpu."
    assert refused("mps") == f"--device mps: Apple's GPU is not in this PyTorch (9.9.9).{end}"
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    assert refused("mps") == f"--device mps: Apple's GPU needs macOS 12.3 and a Mac with a GPU.{end}"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert refused("mps", "float64") == "--device mps: Apple's GPU has no float64; write --dtype float32"
    assert refused("mps", module=net().double()) == "--device mps: Apple's GPU has no float64; write --dtype float32"


def test_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpus, mps, best in ((1, False, "cuda"), (1, True, "cuda"), (0, True, "mps"), (0, False, "cpu")):
        cuda(monkeypatch, gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert best_device() == device_of("auto") == torch.device(best)


def test_memory_that_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(nn.Module, "to", fails)
    assert refused("cpu") == "the network does not fit in the memory of cpu; parts of it may be there now"


# dtypes


@pytest.mark.parametrize("name", ["float32", "f32", "float64", "float16", "half", "bfloat16", "bf16"])
def test_dtypes(name: str) -> None:
    full = {"f32": "float32", "half": "float16", "bf16": "bfloat16"}.get(name, name)
    module, other = place(net(), None, name), net().to(getattr(torch, full))
    assert [one.dtype for one in module.state_dict().values()] == [one.dtype for one in other.state_dict().values()]
    assert module.index.dtype == torch.int64


def test_dtypes_that_do_not_exist() -> None:
    assert refused(None, "floot16") == '--dtype floot16: no such dtype; did you mean "float16" or "bfloat16" or "float64"?'
    assert refused(None, "x") == "--dtype x: no such dtype; one of float32, float64, float16, bfloat16"
    assert refused(None, "int8") == (
        "--dtype int8: weights become integers by quantization, not by a cast: write float32, float64, float16, bfloat16"
    )


# memory formats


def convolutions() -> Any:
    return nn.ModuleList([nn.Conv1d(2, 4, 3), nn.Conv2d(2, 4, 3), nn.Conv3d(2, 4, 3), nn.ConvTranspose2d(2, 4, 3), nn.Linear(2, 4)])


def test_formats_as_pytorch_has_them() -> None:
    def strides(module: Any) -> list[Any]:
        return [one.stride() for one in module.parameters()]

    plain = strides(convolutions())
    for name, rank in (("channels_last", 4), ("channels_last_3d", 5)):
        module = place(convolutions(), None, None, name)
        wanted = getattr(torch, name)
        expected = [one.contiguous(memory_format=wanted) if one.dim() == rank else one for one in convolutions().parameters()]
        assert strides(module) == [one.stride() for one in expected] != plain
        assert strides(place(module, None, None, "contiguous")) == plain
    two = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 4))
    assert strides(place(two, None, None, "channels_last")) == strides(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 4)).to(
        memory_format=torch.channels_last))  # fmt: skip


def test_a_format_that_is_chosen() -> None:
    assert place(nn.Conv2d(3, 4, 3), None, None, "auto").weight.is_contiguous(memory_format=torch.channels_last)
    assert place(nn.Conv1d(3, 4, 3), None, None, "auto").weight.is_contiguous()
    tables = nn.ParameterList([nn.Parameter(torch.ones(2, 3, 4, 5))])  # has four axes, and is no convolution
    assert place(tables, None, None, "auto")[0].is_contiguous()


def test_formats_change_no_output_and_no_names() -> None:
    torch.set_num_threads(1)
    module, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)).double(), torch.randn(2, 3, 9, 9).double()
    module[2].weight = module[1].weight
    before = module(x)
    assert torch.allclose(place(module, None, None, "channels_last")(x), before, rtol=1e-12, atol=1e-12)
    assert module[2].weight is module[1].weight


def test_formats_that_do_not_exist() -> None:
    assert refused(None, None, "channel_last") == (
        '--memory-format channel_last: no such format; did you mean "channels_last" or "channels_last_3d"?'
    )
    assert refused(None, None, "x") == "--memory-format x: no such format; one of auto, contiguous, channels_last, channels_last_3d"
