"""A network, or two side by side, as one page that needs no connection.

  archc report resnet50 -o resnet50.html
  archc report mine.yaml --batch 64 --optimizer adamw --device h100
  archc report resnet50 resnext50_32x4d -o two.html

Batch, dtype, optimizer and device can be changed in the page. Without -o, the
file is named after the spec, and an existing file is not overwritten.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from archc.catalog.devices.catalogue import find, load_files
from archc.catalog.dtypes import dtype_name
from archc.catalog.optimizers import OPTIMIZERS
from archc.cli.common import compile_model, devices_option, is_member, spec_options, usable
from archc.cli.console import complain
from archc.cli.files import own_name, refuse_place, shown, write_whole
from archc.html import DEVICE, MOST_BATCH, NUMBERS, TrainingChoice, report
from archc.text.atomic import is_stream
from archc.text.suggest import did_you_mean

SUFFIXES = (".html", ".htm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser)
    parser.add_argument("-o", "--output", metavar="FILE.html", help="the file to write")
    begin = parser.add_argument_group("the initial choices on the page")
    begin.add_argument("--batch", type=_batch, default=32, metavar="N", help="images in a batch (default: 32)")
    begin.add_argument("--dtype", type=_dtype, metavar="DTYPE", help=f"{', '.join(NUMBERS)} (default: float32, or a model's own)")
    names = ", ".join(OPTIMIZERS)
    begin.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", metavar="NAME", help=f"{names} (default: sgd)")
    begin.add_argument("--inference", action="store_true", help="a forward pass instead of a training step")
    begin.add_argument("--device", default=DEVICE, metavar="NAME", help=f"a device by name, or a .yaml file with one (default: {DEVICE})")
    devices_option(parser)


def run(args: argparse.Namespace) -> int:
    wrong = _wrong(args)
    if wrong:
        complain(wrong)
        return 2
    device = find(args.device, load_files(args.devices))
    graphs = [graph for graph in (usable(compile_model(args, named)) for named in args.specs) if graph is not None]
    if len(graphs) < len(args.specs):
        return 2
    page = report(graphs, device, TrainingChoice(args.batch, args.dtype or graphs[0].dtype, args.optimizer, args.inference))
    return write_whole(args.output or _own_name(args.specs), page, args)


def _wrong(args: argparse.Namespace) -> str | None:
    """What is wrong with the options, if anything is."""
    if len(args.specs) > 2:
        return f"a page shows one network, or two side by side, not {len(args.specs)};\n`archc compare` prints a table of many"
    if args.output and Path(args.output).suffix.lower() not in SUFFIXES and not is_stream(Path(args.output)):
        return f"the page is HTML: write -o {shown(Path(args.output).stem) or 'report'}.html"
    if args.output:
        return refuse_place(args.output, args)
    name = _own_name(args.specs)
    return f"{shown(name)} already exists; write -o {shown(name)} to overwrite it" if Path(name).exists() else None


def _own_name(specs: list[str]) -> str:
    """The file of no -o: the specs' names, in this folder."""
    names = [named.rpartition(":")[2] if is_member(named) else re.sub(r"\.ya?ml$", "", Path(named).name) for named in specs]
    stems = [re.sub(r"[^\w.-]", "_", name).lstrip(".-") or "report" for name in names]
    return own_name(stems, ".html")


def _batch(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:12]) <= MOST_BATCH:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_BATCH:,}")
    return int(text)


def _dtype(text: str) -> str:
    name = text if text in NUMBERS else dtype_name(text)
    if name not in NUMBERS:
        hint = did_you_mean(text, NUMBERS) or f"there are {', '.join(NUMBERS)}"
        raise argparse.ArgumentTypeError(f"no dtype is called {text!r}; {hint}")
    return name
