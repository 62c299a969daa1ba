"""A `devices:` file as devices, by their description in device.py; and what is wrong in one, with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archc.catalog.devices.device import Device
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.suggest import did_you_mean
from archc.validation.description import shapes
from archc.validation.documents import data_of, read_tree

MOST_DEVICES = 1000


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """What a file holds."""

    devices: dict[str, Device]


def read_devices(tree: t.Tree, diagnostics: Diagnostics, *, ours: bool = False) -> dict[str, Device]:
    """The devices of a document; one that ships with archc is `ours`."""
    listed = list(_list_items(tree))
    if len(listed) > MOST_DEVICES:
        diagnostics.error("A603", tree.span, f"{len(listed):,} devices, more than the {MOST_DEVICES:,} that are read")
        return {}
    for _, device in listed:
        _check(device, diagnostics)
    found = read_tree(DeviceFile, tree, diagnostics, what="a file of devices", data=_with_keys(tree), ours=ours)
    if found is None:
        return {}
    for key, device in listed:
        _check_visible(found.devices[key.value], device, diagnostics)
    return found.devices


def _list_items(tree: t.Tree) -> Iterator[tuple[t.Scalar, t.Mapping]]:
    devices = tree.get("devices") if isinstance(tree, t.Mapping) else None
    for key, device in devices.items if isinstance(devices, t.Mapping) else ():
        if isinstance(device, t.Mapping):
            yield key, device


def _with_keys(tree: t.Tree) -> Any:
    """The data of a file, each device with its key, which is its name where it states none."""
    data = data_of(tree)
    for key, _ in _list_items(tree):
        data["devices"][key.value] = {"name": key.value} | data["devices"][key.value] | {"key": key.value}
    return data


def _check(device: t.Mapping, diagnostics: Diagnostics) -> None:
    """What a description does not say: the key stands before the device, and rates are rates of something."""
    for key, _ in device.items:
        if key.value == "key":
            names = [name for name in shapes(Device) if name != "key"]
            diagnostics.error("A201", key.span, 'a device has no key "key"', did_you_mean("key", names) or f"it has {', '.join(names)}")
    known = device.get("calibration")
    for way in ("forward", "backward"):
        classes = known.get(way) if isinstance(known, t.Mapping) else None
        for _, rates in classes.items if isinstance(classes, t.Mapping) else ():
            if isinstance(rates, t.Mapping) and not rates.items and not rates.broken:
                hint = "overhead: seconds; compute, memory, weights: parts of the peak"
                diagnostics.error("A204", rates.span, "rates of nothing", hint)


def _check_visible(device: Device, tree: t.Mapping, diagnostics: Diagnostics) -> None:
    stated = tree.get("visible")
    if stated is not None and device.visible is not None and (device.memory is None or device.visible > device.memory):
        diagnostics.error("A404", stated.span, "a program sees at most the memory that there is", "state `memory` too")
