"""The devices that ship, and those of a user's file, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from os import PathLike, fspath
from pathlib import Path

from archc.catalog.devices.device import Device, DeviceError
from archc.catalog.devices.reading import read_devices
from archc.errors import Argument
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics, SpecError, printable
from archc.text.files import read_file
from archc.text.source import Source
from archc.text.suggest import did_you_mean

FOLDER = Path(__file__).parent


@cache
def shipped() -> dict[str, Device]:
    """The devices that ship, in the order of their files."""
    found: dict[str, Device] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        found |= parse_devices(Source(f"archc/catalog/devices/{path.name}", path.read_text(encoding="utf-8")), ours=True)
    return found


def load_file(path: str | PathLike[str]) -> dict[str, Device]:
    """The devices of a file. Raises SpecError, whose text is the drawn diagnostics."""
    diagnostics = Diagnostics()
    source = read_file(Path(path), fspath(path), None, diagnostics)
    if source is None:
        raise SpecError(diagnostics)
    return parse_devices(source)


def load_files(paths: Iterable[str | PathLike[str]]) -> dict[str, Device]:
    """The devices of several files; a later one of a name takes the place of an earlier. Raises SpecError."""
    return {name: device for path in paths for name, device in load_file(path).items()}


def parse_devices(source: Source, *, ours: bool = False) -> dict[str, Device]:
    """The devices of a text; one that ships with archc is `ours`. Raises SpecError."""
    diagnostics = Diagnostics()
    tree = t.parse(source, diagnostics)
    found = read_devices(tree, diagnostics, ours=ours) if tree is not None else {}
    if diagnostics.failed:
        raise SpecError(diagnostics)
    return found


def find(name: str, more: dict[str, Device] | None = None) -> Device:
    """The device of a name, of one of its aliases, or the one device of a file whose name ends in .yaml.

    `more` are devices that come before those that ship. Raises DeviceError, and SpecError for a bad file.
    """
    if name.endswith((".yaml", ".yml")):
        return _only(name)
    devices = {**shipped(), **(more or {})}
    if name in (more or {}):
        return devices[name]
    wanted = _plain(name)
    for device in reversed(devices.values()):
        if wanted in {_plain(alias) for alias in (device.key, device.name, *device.aliases)}:
            return device
    raise DeviceError(f"no device is called {printable(name)!r}; {_hint(name, devices.values())}")


def _only(path: str) -> Device:
    devices = load_file(path)
    if len(devices) != 1:
        raise DeviceError(
            f"{printable(path)} holds {len(devices)} devices ({', '.join(list(devices)[:6])}): name one, with the file as ",
            Argument("devices"),
        )
    return next(iter(devices.values()))


def _plain(name: str) -> str:
    """A name without what people write differently: case, spaces, `-` and `_`."""
    return re.sub(r"[\s_-]+", "", name.lower())


def _hint(name: str, devices: Iterable[Device]) -> str:
    names = [alias for device in devices for alias in (device.key, *device.aliases)]
    begins = [f'"{known}"' for known in names if _plain(name) and _plain(known).startswith(_plain(name))]
    if begins:
        return f"did you mean {' or '.join(begins[:4])}?"
    return did_you_mean(name.lower(), names) or "`archc devices` lists them; a file of your own ends in .yaml"
