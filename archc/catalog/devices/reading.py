"""A `devices:` file as devices: each key checked, each mistake with its place."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from archc.catalog.devices.device import Calibration, Device, Rates, Trial
from archc.catalog.dtypes import ARITHMETIC
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.quantity import BANDWIDTH, BYTES, FLOPS, Units, read_amount
from archc.text.suggest import did_you_mean

KEYS = ("name", "year", "memory", "visible", "cuda", "bandwidth", "flops", "source", "note", "aliases", "calibration")
CLASSES = ("convolution", "pointwise", "depthwise", "matrix", "normalization", "elementwise", "pooling", "averaging")
MOST_DEVICES = 1000
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


def read_devices(tree: t.Tree, diagnostics: Diagnostics) -> dict[str, Device]:
    """The devices of a document."""
    reader = _Reader(diagnostics)
    top = reader.mapping(tree, "a file of devices", ("devices",), needs=("devices",))
    listed = reader.pairs(top["devices"], "devices") if "devices" in top else []
    if len(listed) > MOST_DEVICES:
        diagnostics.error("A603", tree.span, f"{len(listed):,} devices, more than the {MOST_DEVICES:,} that are read")
        return {}
    made = {}
    for key, value in listed:
        if not _KEY.match(key.value):
            diagnostics.error("A306", key.span, f'"{key.value}" cannot name a device', "lower-case letters, digits, `-`, `.` and `_`")
        elif (device := reader.device(key.value, value)) is not None:
            made[key.value] = device
    return made


class _Reader:
    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics

    def device(self, key: str, tree: t.Tree) -> Device | None:
        parts = self.mapping(tree, f"device {key}", KEYS, needs=("bandwidth",))
        if "bandwidth" not in parts:
            return None
        memory = self.quantity(parts["memory"], BYTES) if "memory" in parts else None
        visible = self.quantity(parts["visible"], BYTES) if "visible" in parts else None
        if visible is not None and (memory is None or visible > memory):
            self.diagnostics.error("A404", parts["visible"].span, "a program sees at most the memory that there is", "state `memory` too")
        return Device(
            key=key,
            name=self.text(parts.get("name"), key),
            bandwidth=self.quantity(parts["bandwidth"], BANDWIDTH),
            flops={name: self.quantity(one, FLOPS) for name, one in self.named(parts.get("flops"), "flops", ARITHMETIC).items()},
            memory=None if memory is None else int(memory),
            year=self.whole(parts["year"], 1940, 2100) if "year" in parts else None,
            source=self.text(parts.get("source"), ""),
            note=self.text(parts.get("note"), ""),
            aliases=tuple(self.text(one, "") for one in self.items(parts.get("aliases"))),
            calibration=self.calibration(parts["calibration"]) if "calibration" in parts else None,
            visible=None if visible is None else int(visible),
            cuda=self.flag(parts.get("cuda")),
        )

    def calibration(self, tree: t.Tree) -> Calibration:
        keys = ("dtype", "threads", "forward", "backward", "trials")
        parts = self.mapping(tree, "calibration", keys, needs=("dtype",))
        dtype = self.text(parts.get("dtype"), "float32")
        if dtype not in ARITHMETIC:
            self.diagnostics.error(
                "A404", parts["dtype"].span, f"no dtype is called {dtype}", did_you_mean(dtype, ARITHMETIC) or ", ".join(ARITHMETIC)
            )
        passes = [
            {name: self.rates(one) for name, one in self.named(parts.get(way), way, CLASSES).items()} for way in ("forward", "backward")
        ]
        trials = tuple(self.trial(one) for one in self.items(parts.get("trials")))
        threads = self.whole(parts["threads"], 1, 4096) if "threads" in parts else None
        return Calibration(dtype, threads, passes[0], passes[1], trials)

    def rates(self, tree: t.Tree) -> Rates:
        parts = self.mapping(tree, "rates", ("overhead", "compute", "memory", "weights"))
        if not parts:
            self.diagnostics.error("A204", tree.span, "rates of nothing", "overhead: seconds; compute, memory, weights: parts of the peak")
        numbers = {name: self.number(one, least=0.0 if name == "overhead" else None) for name, one in parts.items()}
        return Rates(**numbers)

    def trial(self, tree: t.Tree) -> Trial:
        names = ("network", "batch", "training", "measured", "forecast")
        parts = self.mapping(tree, "a trial", names, needs=names)
        if len(parts) < len(names):
            return Trial("", 1, False, 1.0, 1.0)
        training = parts["training"]
        if not isinstance(training, t.Scalar) or not isinstance(training.value, bool):
            self.diagnostics.error("A402", training.span, "training is true or false")
        seconds = [self.number(parts[name]) for name in ("measured", "forecast")]
        batch = self.whole(parts["batch"], 1, 10**9)
        return Trial(self.text(parts["network"], ""), batch, getattr(training, "value", False) is True, *seconds)

    def mapping(self, tree: t.Tree, what: str, keys: Collection[str], needs: Collection[str] = ()) -> dict[str, t.Tree]:
        """The parts of a mapping by name; what is unknown or missing is told."""
        parts = self.named(tree, what, keys)
        if isinstance(tree, t.Mapping) and not tree.broken:
            for name in needs:
                if name not in parts:
                    self.diagnostics.error("A204", tree.span.within(0, 1), f"{what} needs `{name}`", f"write {name}: …")
        return parts

    def named(self, tree: t.Tree | None, what: str, keys: Collection[str]) -> dict[str, t.Tree]:
        found = {}
        for key, value in self.pairs(tree, what) if tree is not None else ():
            if key.value in keys:
                found[key.value] = value
            else:
                hint = did_you_mean(key.value, keys) or f"there are {', '.join(keys)}"
                self.diagnostics.error("A201", key.span, f'{what} has no key "{key.value}"', hint)
        return found

    def pairs(self, tree: t.Tree, what: str) -> list[tuple[t.Scalar, t.Tree]]:
        if isinstance(tree, t.Mapping):
            return tree.items
        self.diagnostics.error("A202", tree.span, f"{what}: this is no mapping", "write `name: value` below it")
        return []

    def items(self, tree: t.Tree | None) -> list[t.Tree]:
        if tree is None or isinstance(tree, t.Sequence):
            return tree.items if tree is not None else []
        self.diagnostics.error("A202", tree.span, "this is no list", "write [a, b]")
        return []

    def text(self, tree: t.Tree | None, otherwise: str) -> str:
        if tree is None:
            return otherwise
        if isinstance(tree, t.Scalar) and isinstance(tree.value, str):
            return tree.value
        if not _broken(tree):
            self.diagnostics.error("A402", tree.span, "this should be a text", "put it in quotes")
        return otherwise

    def quantity(self, tree: t.Tree, units: Units) -> float:
        """A number above 0, plain or with a unit; 1 where it is neither, with the reason told."""
        value: Any = tree.value if isinstance(tree, t.Scalar) else None
        if isinstance(value, str):
            read = read_amount(value, units)
            if read is None:
                hint = f'write it as "{units.example}"; the units are {", ".join(units.names)}'
                self.diagnostics.error("A402", tree.span, f'"{value}" is no quantity that is meant here', hint)
                return 1.0
            value = read
            if 0 < value <= 1e24:
                return float(value)
        return self.number(tree, value)

    def number(self, tree: t.Tree, value: Any = None, least: float | None = None) -> float:
        """A number from `least` up, or above 0 without it."""
        if value is None:
            value = tree.value if isinstance(tree, t.Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            if not _broken(tree):
                self.diagnostics.error("A402", tree.span, "this should be a number")
        elif value > 1e24 or (value <= 0 if least is None else value < least):
            self.diagnostics.error("A404", tree.span, f"{value:g} is out of range", "it is above 0 and finite")
        else:
            return float(value)
        return 1.0

    def flag(self, tree: t.Tree | None) -> bool:
        if tree is None or (isinstance(tree, t.Scalar) and isinstance(tree.value, bool)):
            return tree is not None and tree.value is True
        if not _broken(tree):
            self.diagnostics.error("A402", tree.span, "this is true or false")
        return False

    def whole(self, tree: t.Tree, least: int, most: int) -> int:
        value = tree.value if isinstance(tree, t.Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        if not _broken(tree):
            self.diagnostics.error("A404", tree.span, f"this should be a whole number from {least} to {most}")
        return least


def _broken(tree: t.Tree) -> bool:
    """Whether the reason is told already."""
    return isinstance(tree, t.Scalar) and tree.value is t.BROKEN
