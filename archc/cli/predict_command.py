"""What a run's network sees in images: the likeliest classes, with probabilities.

archc predict runs/lenet5-1 digit.png
archc predict runs/photos *.jpg --top 3 --format csv
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from archc.cli.common import load_plugins
from archc.cli.console import DEFAULT_WIDTH, table_text, tell
from archc.cli.memory_command import positive
from archc.cli.training import plugin_option, run_guarded
from archc.text.table import Column, Table, to_csv

Guesses = list[tuple[str, float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files of images")
    parser.add_argument("--top", type=positive, default=3, metavar="N", help="classes of each image (default: 3)")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="cpu, cuda, cuda:1, mps or auto (default)")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="the form of the output")
    plugin_option(parser)


def run(args: argparse.Namespace) -> int:
    load_plugins(args.plugin)
    return run_guarded(lambda: _predict(args))


def _predict(args: argparse.Namespace) -> int:
    """Images that cannot be read are named, the others are told of; then the exit status is 2."""
    from archc.data import DataError
    from archc.training.predict import TrainedRun
    from archc.training.run import open_run

    trained = TrainedRun(open_run(Path(args.run)), args.device)
    found: dict[str, Guesses] = {}
    status = 0
    for name in args.images:
        try:
            found[name] = trained.predict(Path(name), args.top)
        except DataError as error:
            status = tell(error)
    if args.format == "json":
        rows = [{"image": name, "classes": [{"class": label, "probability": p} for label, p in top]} for name, top in found.items()]
        print(json.dumps({"images": rows}, indent=2, ensure_ascii=False))
    elif args.format == "csv":
        print(to_csv(_exact(found)))
    elif found:
        print(table_text(_table(found), DEFAULT_WIDTH))
    return status


def _table(found: dict[str, Guesses]) -> Table:
    most = max(len(top) for top in found.values())
    table = Table([Column("image"), Column("is"), *(Column("or", rank=most - i) for i in range(1, most))])
    for name, top in found.items():
        table.rows.append([name, *(f"{label} {probability:.1%}" for label, probability in top)])
    return table


def _exact(found: dict[str, Guesses]) -> Table:
    table = Table([Column("image"), Column("rank", "count"), Column("class"), Column("probability")])
    for name, top in found.items():
        table.rows += [[name, rank, label, repr(probability)] for rank, (label, probability) in enumerate(top, 1)]
    return table
