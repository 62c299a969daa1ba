"""What a program can allocate on a device: its memory less what is never there for tensors, each part with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from archc.catalog.devices.device import Device
from archc.text.quantity import read_size, reading

CONTEXT = 512 * 2**20
WORKSPACES = 256 * 2**20
UNSEEN = 0.03


class Reserve(NamedTuple):
    """Bytes that tensors cannot have; `how` they are known in a word or two, and at length."""

    what: str
    bytes: int
    how: str
    source: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """A memory and what is reserved of it. `name` is the device, or how the memory was written."""

    name: str
    total: int
    reserves: tuple[Reserve, ...] = ()

    @property
    def usable(self) -> int:
        """Bytes for the allocator's segments and cuBLAS: what a step's `needed_bytes` is compared with."""
        return max(self.total - sum(reserve.bytes for reserve in self.reserves), 0)


def of_device(device: Device, reserve: int | None = None) -> Capacity:
    """A device's. `reserve` takes the place of all that is stated here. The device must state a memory."""
    assert device.memory is not None
    if reserve is not None:
        return Capacity(device.key, device.memory, (Reserve("reserved", reserve, "as asked", "--reserve"),) if reserve else ())
    return Capacity(device.key, device.memory, tuple(_reserves(device, device.memory)))


def of_size(text: str, reserve: int | None = None) -> Capacity:
    """That of a memory as it was written: all of it is a program's own, unless something is to be reserved."""
    reserves = (Reserve("reserved", reserve, "as asked", "--reserve"),) if reserve else ()
    return Capacity(reading(text), read_size(text) or 0, reserves)


def _reserves(device: Device, memory: int) -> list[Reserve]:
    if not device.cuda:
        return []
    if device.visible is not None:
        source = "the data sheet's memory less the total capacity that PyTorch's messages of memory running out give"
        hidden = Reserve("driver", memory - device.visible, "seen", source)
    else:
        hidden = Reserve("driver", int(UNSEEN * memory), "assumed", "3 %, since it is not known what a program is told of this device")
    return [
        hidden,
        Reserve("CUDA context", CONTEXT, "assumed", "kernels are loaded as they are used, 300 to 500 MiB in all"),
        Reserve("cuDNN", WORKSPACES, "assumed", "workspaces of convolutions, on which PyTorch sets no limit"),
    ]
