"""How much a device can compute: TFLOP/s in float32, TF32 and bfloat16."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

NUMBERS = ("float32", "tf32", "bfloat16")

# What the makers' data sheets say, without sparsity: words of the device's name, float32, TF32, bfloat16
_SHEETS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("H200 NVL", (60, 417, 835)),
    ("H200", (67, 494, 989)),
    ("H100 PCIe", (51, 378, 756)),
    ("H100 NVL", (60, 417, 835)),
    ("H100", (67, 494, 989)),
    ("A100", (19.5, 156, 312)),
    ("A10", (31.2, 62.5, 125)),
    ("L40S", (91.6, 183, 362)),
    ("L4", (30.3, 60, 121)),
    ("RTX 4090", (82.6, 82.6, 165.2)),
    ("RTX 3090", (35.6, 35.6, 71)),
)
_OTHERS = {"MIG", "Laptop", "D", "vGPU"}  # a part of the device, or another one of nearly the same name


@dataclass(frozen=True, slots=True)
class Peak:
    """TFLOP/s, and who says so: given, data sheet, measured."""

    tflops: float
    by: str


def peaks(device: torch.device, given: Sequence[str], sync: Callable[[], object], side: int) -> dict[str, Peak]:
    """The peak for each kind of number: given, else from a data sheet, else that of a product of two matrices of side x side.

    given: `989` for all, or `bfloat16=989`. Raises ValueError for another form.
    """
    found = {number: Peak(tflops, "given") for number, tflops in _given(given).items()}
    sheet = of_sheet(torch.cuda.get_device_name(device)) if device.type == "cuda" else {}
    for number in NUMBERS:
        if number not in found:
            found[number] = (
                Peak(sheet[number], "data sheet") if number in sheet else Peak(_measured(device, number, sync, side), "measured")
            )
    return found


def _given(words: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for word in words:
        matched = re.fullmatch(rf"(?:({'|'.join(NUMBERS)})=)?([0-9]+(?:\.[0-9]+)?)", word)
        if not matched or not float(matched[2]):
            raise ValueError(f"--peak {word}: write TFLOP/s, as 989, or for one kind of number, as bfloat16=989 ({', '.join(NUMBERS)})")
        found.update(dict.fromkeys([matched[1]] if matched[1] else NUMBERS, float(matched[2])))
    return found


def of_sheet(name: str) -> dict[str, float]:
    """The peaks of a device by its name as CUDA tells it; nothing where the name is not known."""
    words = set(re.split(r"[\s-]+", name))
    for key, figures in _SHEETS:
        if set(key.split()) <= words and not words & _OTHERS:
            return dict(zip(NUMBERS, figures, strict=True))
    return {}


def use_tf32(wanted: bool) -> None:
    torch.set_float32_matmul_precision("high" if wanted else "highest")
    torch.backends.cudnn.allow_tf32 = wanted


def _measured(device: torch.device, number: str, sync: Callable[[], object], side: int, goes: int = 20) -> float:
    """The best of many products; of each, 2 * side^3 operations."""
    use_tf32(number == "tf32")
    dtype = torch.bfloat16 if number == "bfloat16" else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(goes + 1):
        sync()
        start = time.perf_counter()
        torch.mm(a, b)
        sync()
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best / 1e12
