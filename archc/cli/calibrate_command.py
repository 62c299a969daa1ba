"""Measure this machine, so that `archc time` can forecast. Needs torch, and half a
minute of an idle machine.

archc calibrate -o mine.yaml
archc time resnet50 --device mine.yaml

Kernels of each class of layers are timed forward and backward in several sizes,
and rates are fitted to the times. Then networks that the fit did not use are
measured; the error of their forecasts is printed and stored in the file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from archc.catalog.devices.reading import to_yaml
from archc.catalog.dtypes import ARITHMETIC
from archc.cli.console import complain, progress, table_text
from archc.cli.files import refuse_place, shown, write_whole
from archc.text.atomic import is_stream
from archc.text.quantity import counted, rate_text, time_text
from archc.text.table import Column, Table

if TYPE_CHECKING:
    from archc.runtime.calibrate.calibrate import CalibrationResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE.yaml", help="the device file; without it, the file goes to standard output")
    parser.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:1, mps or auto (default: cpu)")
    parser.add_argument("--dtype", default="float32", help=f"{', '.join(ARITHMETIC)} (default: float32)")
    parser.add_argument("--threads", type=_threads, metavar="N", help="threads on the CPU (default: as PyTorch has it)")
    parser.add_argument("--quick", action="store_true", help="fewer kernels, and less time for each: a few seconds")


def run(args: argparse.Namespace) -> int:
    refusal = _wrong_file(args)
    if refusal:
        complain(refusal)
        return 2
    from archc.runtime.calibrate.calibrate import calibrate, steps

    with progress("starting", steps(args.quick), patience=0) as step:
        result = calibrate(args.device, args.dtype, args.quick, args.threads, step)
    text = to_yaml(result.device)
    print(report(result), file=sys.stdout if args.output else sys.stderr)
    if args.output:
        return write_whole(args.output, text, args)
    print(text, end="")
    return 0


def report(result: CalibrationResult) -> str:
    """What was found, and how far forecasts were off."""
    device = result.device
    known = device.calibration
    assert known is not None
    peak = device.peak(known.dtype)
    columns = [Column("class"), Column("pass"), Column("of peak", "count"), Column("of bandwidth", "count"), Column("weights", "count")]
    table = Table([*columns, Column("overhead", "count"), Column("off by", "count")])
    for way, classes in (("forward", known.forward), ("backward", known.backward)):
        for name, rates in classes.items():
            parts = [f"{part:.0%}" if part else "" for part in (rates.compute, rates.memory, rates.weights)]
            error = result.errors.get((way, name))
            table.rows.append([name, way, *parts, time_text(rates.overhead), "" if error is None else f"{error:.0%}"])
    head = f"{device.name}: {rate_text(peak, 'FLOP')} in {known.dtype}, {rate_text(device.bandwidth, 'B')} at most"
    notes = [
        "",
        "weights: the part of the bandwidth at which weights move",
        "off by: each kernel, forecast from the others of its class",
        "",
    ]
    return "\n".join([head, "", table_text(table), *notes, _trials(result)])


def _trials(result: CalibrationResult) -> str:
    known = result.device.calibration
    assert known is not None
    columns = [
        Column("network, not fitted to"),
        Column("step"),
        Column("measured", "count"),
        Column("forecast", "count"),
        Column("off", "count"),
    ]
    rows = [
        [f"{trial.network}, {counted(trial.batch, 'image')}", _step(trial.training), time_text(trial.measured), time_text(trial.forecast),
         f"{trial.error:+.0%}"]
        for trial in known.trials
    ]  # fmt: skip
    return table_text(Table(columns, rows))


def _step(training: bool) -> str:
    return "training" if training else "inference"


def _wrong_file(args: argparse.Namespace) -> str | None:
    """What is wrong with the file that is to be written, before any work."""
    if args.output is None:
        return None
    if Path(args.output).suffix not in (".yaml", ".yml") and not is_stream(Path(args.output)):
        return f"-o {shown(args.output)}: the name of a device file ends in .yaml"
    return refuse_place(args.output, args)


def _threads(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 4096")
    return int(text)
