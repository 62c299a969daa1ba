"""The devices that `archc time` knows: memory, bandwidth and peaks, each with its
source.

archc devices
archc devices a100-40gb
archc devices --devices mine.yaml     (with those of a file)
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from archc.catalog.devices.catalogue import find, load_files, shipped
from archc.catalog.devices.device import Device
from archc.catalog.dtypes import ARITHMETIC
from archc.cli.common import devices_option
from archc.cli.console import columns_of, table_text, width
from archc.text.diagnostics import printable
from archc.text.lines import wrap
from archc.text.quantity import bytes_text, rate_text, time_text
from archc.text.table import Column, Table, to_csv, to_markdown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="everything that is known about one device")
    devices_option(parser)
    parser.add_argument("--format", choices=("table", "json", "csv", "markdown"), default="table", help="the form of the output")


def run(args: argparse.Namespace) -> int:
    more = load_files(args.devices)
    if args.name is not None:
        device = find(args.name, more)
        print(_json([device]) if args.format == "json" else _details(device))
        return 0
    devices = list({**shipped(), **more}.values())
    if args.format == "json":
        print(_json(devices))
    elif args.format == "csv":
        print(to_csv(_numbers(devices)))
    else:
        table = _table(devices)
        print(to_markdown(table) if args.format == "markdown" else table_text(table))
    return 0


def _json(devices: list[Device]) -> str:
    return json.dumps({"devices": [to_dict(device) for device in devices]}, indent=2)


def to_dict(device: Device) -> dict[str, Any]:
    """The stable keys of `archc devices --format json`: bytes, bytes a second, FLOPs a second."""
    keys = ("key", "name", "year", "memory", "bandwidth", "flops", "source", "note")
    return {key: getattr(device, key) for key in keys} | {"aliases": list(device.aliases), "calibrated": device.calibration is not None}


_SHOWN = ("float32", "tf32", "float16", "bfloat16")


def _table(devices: list[Device]) -> Table:
    columns = [Column("device"), Column("year", "count", 2), Column("memory", "bytes"), Column("bandwidth", "count")]
    table = Table([*columns, *(Column(name, "count", rank) for name, rank in zip(_SHOWN, (7, 3, 4, 6), strict=True))])
    for device in devices:
        peaks = [_rate(device.flops.get(name)) for name in _SHOWN]
        year = None if device.year is None else str(device.year)
        table.rows.append([device.key, year, device.memory, _rate(device.bandwidth), *peaks])
    table.notes += ["", "bandwidth in bytes/s; peaks in FLOP/s, dense, a multiply-add counts as two"]
    return table


def _rate(value: float | None) -> str | None:
    return None if value is None else rate_text(value, "").removesuffix("/s")


def _numbers(devices: list[Device]) -> Table:
    """The table as plain numbers."""
    names = ("device", "name", "year", "memory", "bandwidth", *ARITHMETIC, "source")
    rows = [[d.key, d.name, d.year, d.memory, d.bandwidth, *(d.flops.get(dtype) for dtype in ARITHMETIC), d.source] for d in devices]
    return Table([Column(name) for name in names], rows)


def _details(device: Device) -> str:
    lines = [f"{device.key}: {device.name}"]
    lines += [f"  year       {device.year}"] if device.year else []
    lines += [f"  memory     {bytes_text(device.memory)}"] if device.memory else []
    lines.append(f"  bandwidth  {rate_text(device.bandwidth, 'B')}")
    lines += [
        f"  {dtype.ljust(9)}  {rate_text(peak, 'FLOP')}, reached from {_ridge(device, peak)} on" for dtype, peak in device.flops.items()
    ]
    lines += [line for name, text in (("source", device.source), ("note", device.note)) if text for line in _wrap_lines(name, text)]
    lines += [f"  names      {', '.join(device.aliases)}"] if device.aliases else []
    return "\n".join(printable(line) for line in [*lines, *_calibration(device)])


def _wrap_lines(name: str, text: str) -> list[str]:
    """A text in lines that the terminal has room for."""
    room = width()
    lines = wrap(text, room and max(room - 13, 30), "", columns_of)
    return [f"  {(name if not at else '').ljust(9)}  {line}" for at, line in enumerate(lines)]


def _ridge(device: Device, peak: float) -> str:
    """The intensity at which arithmetic becomes the bound."""
    return f"{peak / device.bandwidth:.3g} FLOP/byte"


def _calibration(device: Device) -> list[str]:
    if device.calibration is None:
        return []
    known = device.calibration
    lines = [f"  measured in {known.dtype}:"]
    for way, classes in (("forward", known.forward), ("backward", known.backward)):
        for name, rates in classes.items():
            parts = [
                f"{part:.0%} of {what}"
                for part, what in ((rates.compute, "peak"), (rates.memory, "bandwidth"), (rates.weights, "bandwidth for weights"))
                if part
            ]
            lines.append(f"    {way:8}  {name:13}  {', '.join([*parts, f'{time_text(rates.overhead)} a layer'])}")
    return lines
