"""What `archc time` and `archc devices` share: a device by its name or file, mistakes shown."""

from __future__ import annotations

import argparse

from archc.catalog.devices.catalogue import find, load_file
from archc.catalog.devices.device import Device


def files_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--devices", action="append", default=[], metavar="FILE.yaml", help="a file with more devices; may be given again")


def device_file(paths: list[str]) -> dict[str, Device]:
    """The devices of files. Raises SpecError."""
    return {name: device for path in paths for name, device in load_file(path).items()}


def found(name: str, more: dict[str, Device]) -> Device:
    """The device of a name or file. Raises SpecError, DeviceError."""
    return find(name, more)
