"""Where a module is and as what it counts: device, dtype, order of memory. Mistakes are told before PyTorch meets them."""

from __future__ import annotations

import os
import re
import warnings

import torch
from torch import nn

from archc.catalog.dtypes import NETWORK, dtype_name
from archc.errors import Argument, ArgumentError
from archc.text.diagnostics import printable
from archc.text.suggest import did_you_mean

DEVICES = ("auto", "cpu", "cuda", "mps", "meta")
_FORMATS = {
    "contiguous": (torch.contiguous_format, (4, 5)),
    "channels_last": (torch.channels_last, (4,)),
    "channels_last_3d": (torch.channels_last_3d, (5,)),
}


class PlaceError(ArgumentError):
    """A device, dtype or memory format that does not exist or is not here. Its text is complete."""


def best_device() -> torch.device:
    """CUDA where PyTorch sees a GPU, else Apple's GPU, else the CPU."""
    if _cuda_devices():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def place(module: nn.Module, device: str | None = None, dtype: str | None = None, memory_format: str | None = None) -> nn.Module:
    """Moves and casts a module in place, and returns it; what is None stays as it is.

    device: cpu, cuda, cuda:1, mps, meta, or auto for the best there is
    dtype: of its floats: float32, float64, float16, bfloat16, or a short form of these
    memory_format: contiguous, channels_last (of 4-D weights), channels_last_3d (of 5-D weights), or auto: channels_last where
        a convolution has 4-D weights

    Raises PlaceError, before anything is moved unless the device's memory runs out.
    """
    where = None if device is None else device_of(device)
    number = None if dtype is None else dtype_of(dtype)
    layout = None if memory_format is None else _layout_of(memory_format, module)
    _require_possible(module, where, number)
    try:
        module.to(device=where, dtype=number)
    except torch.OutOfMemoryError:
        raise PlaceError(f"the network does not fit in the memory of {where}; parts of it may be there now") from None
    if layout:
        _lay_out(module, *_FORMATS[layout])
    return module


def _given(argument: str, name: str) -> Argument:
    return Argument(argument, printable(name[:40]))


def device_of(name: str) -> torch.device:
    """The device of a name; PlaceError where there is none."""
    found = re.fullmatch(r"([a-z]+)(?::([0-9]{1,6}))?", name)
    if not found or found[1] not in DEVICES:
        near = 'did you mean "cuda"?' if name.lower() == "gpu" else did_you_mean(name, DEVICES)
        raise PlaceError(_given("device", name), f": no such device; {near or 'one of auto, cpu, cuda, cuda:1, mps, meta'}")
    kind, index = found[1], found[2]
    if index is not None and kind != "cuda":
        raise PlaceError(_given("device", name), ": only cuda takes a number; write ", Argument("device", kind))
    if kind == "auto":
        return best_device()
    if kind == "cuda":
        _require_cuda(name, index)
        return torch.device(kind) if index is None else torch.device(kind, int(index))
    if kind == "mps" and not torch.backends.mps.is_available():
        why = "needs macOS 12.3 and a Mac with a GPU" if torch.backends.mps.is_built() else f"is not in this PyTorch ({torch.__version__})"
        raise PlaceError(_given("device", kind), f": Apple's GPU {why}. To run without it write ", Argument("device", "cpu"), ".")
    return torch.device(kind)


def _cuda_devices() -> int:
    """GPUs that can be used; PyTorch's own warning on a driver too old is told in words elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _require_cuda(name: str, index: str | None) -> None:
    count = _cuda_devices()
    if count == 0:
        raise PlaceError(
            _given("device", name), f": PyTorch sees no GPU. {_why_no_cuda()} To run without a GPU write ", Argument("device", "cpu"), "."
        )
    if index is not None and int(index) >= count:
        here = "there is 1 GPU, cuda:0" if count == 1 else f"there are {count} GPUs, cuda:0 to cuda:{count - 1}"
        raise PlaceError(_given("device", name), f": {here}")


def _why_no_cuda() -> str:
    version = torch.version.cuda or torch.version.hip
    if version is None:
        return f"This PyTorch ({torch.__version__}) is built for the CPU only: install a CUDA build of PyTorch, see pytorch.org."
    built = f"It is built for {'CUDA' if torch.version.cuda else 'ROCm'} {version}"
    hidden = next((variable for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES") if variable in os.environ), None)
    if hidden:
        value = printable(os.environ[hidden][:30])
        return f'{built}, and {hidden}="{value}" limits what it may see: unset that, or name a GPU that exists (nvidia-smi).'
    return f"{built}, but the driver is missing, or is too old for it, or the machine has no GPU: `nvidia-smi` shows what the driver sees."


def dtype_of(name: str) -> torch.dtype:
    floats = [dtype for dtype in NETWORK if dtype != "int8"]
    full = dtype_name(name)
    if full == "int8":
        raise PlaceError(_given("dtype", name), ": weights become integers by quantization, not by a cast: write " + ", ".join(floats))
    if full is None:
        raise PlaceError(_given("dtype", name), f": no such dtype; {did_you_mean(name, floats) or 'one of ' + ', '.join(floats)}")
    found = getattr(torch, full)
    assert isinstance(found, torch.dtype)
    return found


def _layout_of(name: str, module: nn.Module) -> str | None:
    if name == "auto":
        convolutions = (layer for layer in module.modules() if isinstance(layer, nn.modules.conv._ConvNd))
        return "channels_last" if any(convolution.weight.dim() == 4 for convolution in convolutions) else None
    if name not in _FORMATS:
        known = ("auto", *_FORMATS)
        near = did_you_mean(name, known) or "one of " + ", ".join(known)
        raise PlaceError(_given("memory_format", name), f": no such format; {near}")
    return name


def _require_possible(module: nn.Module, where: torch.device | None, number: torch.dtype | None) -> None:
    tensors = [*module.parameters(), *module.buffers()]
    if where is not None and where.type != "meta" and any(tensor.is_meta for tensor in tensors):
        raise PlaceError(f"the network is on the meta device and has no values to move to {where}: load weights first, or build it there")
    if where is not None and where.type == "mps":
        dtypes = {number if number is not None and tensor.is_floating_point() else tensor.dtype for tensor in tensors}
        if torch.float64 in dtypes:
            raise PlaceError(Argument("device", "mps"), ": Apple's GPU has no float64; write ", Argument("dtype", "float32"))


def _lay_out(module: nn.Module, layout: torch.memory_format, ranks: tuple[int, ...]) -> None:
    """Orders the memory of weights of some ranks. Names of one tensor stay one tensor."""
    for parameter in module.parameters():
        if parameter.dim() in ranks:
            parameter.data = parameter.data.contiguous(memory_format=layout)
