"""Devices read from YAML with diagnostics, and written as YAML that reads back as the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archc.catalog.devices.device import Calibration, Device, Rates
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
                diagnostics.error("A204", rates.span, "no rates are given", hint)


def _check_visible(device: Device, tree: t.Mapping, diagnostics: Diagnostics) -> None:
    stated = tree.get("visible")
    if stated is not None and device.visible is not None and (device.memory is None or device.visible > device.memory):
        diagnostics.error("A404", stated.span, "a program cannot see more memory than there is", "state `memory` too")


def to_yaml(device: Device) -> str:
    """A file with one device, that `read_devices` reads as it was."""
    lines = ["devices:", f"  {device.key}:", f"    name: {_quote(device.name)}"]
    lines += [
        f"    {key}: {value}"
        for key, value in (("year", device.year), ("memory", device.memory), ("visible", device.visible))
        if value is not None
    ]
    lines += ["    cuda: true"] if device.cuda else []
    lines.append(f"    bandwidth: {_number(device.bandwidth)}")
    if device.flops:
        lines.append(f"    flops: {{{', '.join(f'{dtype}: {_number(peak)}' for dtype, peak in device.flops.items())}}}")
    lines += [f"    {key}: {_quote(text)}" for key, text in (("source", device.source), ("note", device.note)) if text]
    if device.aliases:
        lines.append(f"    aliases: [{', '.join(map(_quote, device.aliases))}]")
    if device.calibration is not None:
        lines += ["    calibration:", *(f"      {line}" for line in _calibration(device.calibration))]
    return "\n".join([*lines, ""])


def _calibration(known: Calibration) -> Iterator[str]:
    yield f"dtype: {known.dtype}"
    if known.threads is not None:
        yield f"threads: {known.threads}"
    for way, classes in (("forward", known.forward), ("backward", known.backward)):
        if classes:
            yield f"{way}:"
            yield from (f"  {name}: {{{_rates(rates)}}}" for name, rates in classes.items())
    if known.trials:
        yield "trials:"
    for trial in known.trials:
        seconds = f"measured: {_number(trial.measured)}, forecast: {_number(trial.forecast)}"
        yield f"  - {{network: {_quote(trial.network)}, batch: {trial.batch}, training: {str(trial.training).lower()}, {seconds}}}"


def _rates(rates: Rates) -> str:
    parts = {"overhead": rates.overhead, "compute": rates.compute, "memory": rates.memory, "weights": rates.weights}
    return ", ".join(f"{name}: {_number(value)}" for name, value in parts.items() if value is not None)


def _number(value: float) -> str:
    """Four significant digits: a measurement has no more."""
    return f"{value:.4g}"


def _quote(text: str) -> str:
    """A text in double quotes, whatever it holds."""
    plain = [c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text]
    return '"' + "".join(plain) + '"'
