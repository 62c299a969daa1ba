"""What `archc time` and `archc devices` share: a device by its name or file, mistakes shown."""

from __future__ import annotations

import argparse

from archc.catalog.devices.catalogue import find, load_file
from archc.catalog.devices.device import Device, DeviceError
from archc.cli.common import show
from archc.cli.console import complain
from archc.text.diagnostics import SpecError


def files_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--devices", action="append", default=[], metavar="FILE.yaml", help="a file with more devices; may be given again")


def device_file(paths: list[str]) -> dict[str, Device]:
    """The devices of files; one that cannot be read ends the command."""
    more: dict[str, Device] = {}
    try:
        for path in paths:
            more |= load_file(path)
    except SpecError as error:
        show(error.diagnostics)
        raise SystemExit(2) from None
    return more


def found(name: str, more: dict[str, Device]) -> Device:
    """The device of a name or file; where there is none, the command ends."""
    try:
        return find(name, more)
    except SpecError as error:
        show(error.diagnostics)
    except DeviceError as error:
        complain(error)
    raise SystemExit(2)
