"""How good a run's network is on images: accuracy, loss, and a table by class.

archc eval runs/lenet5-1
archc eval runs/lenet5-1 --split validation --format json
archc eval runs/photos --data new/photos --confusion confusion.png
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.cli.common import load_plugins
from archc.cli.console import DEFAULT_WIDTH, table_text
from archc.cli.files import write_whole
from archc.cli.memory_command import positive
from archc.cli.training import plugin_option, refuse, run_guarded
from archc.text.diagnostics import printable
from archc.text.quantity import counted
from archc.text.table import Column, Table, to_csv

if TYPE_CHECKING:
    from archc.training.evaluation import EvaluationReport

SPLITS = ("test", "validation", "train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--data", metavar="NAME|PATH", help="other images of the same classes")
    parser.add_argument("--split", choices=SPLITS, help="which images (default: test, or what there is)")
    parser.add_argument("--batch", type=positive, default=256, metavar="N", help="images in a batch (default: 256)")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="cpu, cuda, cuda:1, mps or auto (default)")
    parser.add_argument("--confusion", metavar="FILE", help="draw which class was taken for which: .png, .svg or .pdf")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="the form of the output; csv lists the classes")
    plugin_option(parser)


def run(args: argparse.Namespace) -> int:
    load_plugins(args.plugin)
    return run_guarded(lambda: _eval(args))


def _eval(args: argparse.Namespace) -> int:
    from archc.training.predict import TrainedRun
    from archc.training.run import open_run

    trained = TrainedRun(open_run(Path(args.run)), args.device)
    data = trained.data(args.data)
    split = args.split or next(name for name in SPLITS if name in data.splits())
    if split not in data.splits():
        return refuse(f"--split {split}: {data.name} has no such images; choose from {', '.join(data.splits())}")
    report = trained.evaluate(data.splits()[split], args.batch)
    table = _table(report, trained.classes)
    if args.format == "json":
        print(json.dumps(_to_dict(data.name, split, report, trained.classes), indent=2, ensure_ascii=False))
    elif args.format == "csv":
        print(to_csv(_exact(report, trained.classes)))
    else:
        print("\n".join(_lines(trained.graph.name, data.name, split, report, table)))
    with nullcontext() if args.format == "text" else redirect_stdout(sys.stderr):  # what is read by programs stays alone
        return _draw(args, report, trained.classes) if args.confusion else 0


def _lines(network: str, data: str, split: str, report: EvaluationReport, table: Table) -> list[str]:
    figures = [f"accuracy {report.accuracy:.2%}"]
    figures += [f"top-5 {report.top5:.2%}"] if report.top5 is not None else []
    head = [
        printable(f"{network} on {data}, {split}: {counted(report.images, 'image')}"),
        f"{'  '.join(figures)}  loss {report.loss:.4f}",
        "",
    ]
    return [*head, table_text(table, DEFAULT_WIDTH)] if table.rows else head[:2]


def _table(report: EvaluationReport, classes: tuple[str, ...]) -> Table:
    """Of each class its images, how many were found, how many that were taken for it are, and what it is taken for most."""
    table = Table([Column("class"), Column("images", "count"), Column("recall"), Column("precision"), Column("taken for")])
    for figure in _figures(report, classes):
        other = f"{figure['taken_for']} ({figure['times']:,})" if figure["times"] else ""
        table.rows.append([figure["class"], figure["images"], _percent(figure["recall"]), _percent(figure["precision"]), other])
    return table


def _percent(part: float | None) -> str:
    return "" if part is None else f"{part:.1%}".rjust(6)


def _figures(report: EvaluationReport, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Of each class: recall and precision are None where there is nothing to count."""
    pairs = [] if report.pairs is None else report.pairs.tolist()
    guessed = [sum(column) for column in zip(*pairs, strict=True)]
    found = []
    for index, row in enumerate(pairs):
        wrong = max((other for other in range(len(row)) if other != index and row[other]), key=lambda other: row[other], default=None)
        figures = {"class": classes[index], "images": sum(row), "recall": _part(row[index], sum(row))}
        figures |= {"precision": _part(row[index], guessed[index])}
        found.append(figures | {"taken_for": None if wrong is None else classes[wrong], "times": 0 if wrong is None else row[wrong]})
    return found


def _part(part: int, total: int) -> float | None:
    return part / total if total else None


def _exact(report: EvaluationReport, classes: tuple[str, ...]) -> Table:
    table = Table([Column(name) for name in ("class", "images", "recall", "precision", "taken_for", "times")])
    table.rows = [["" if cell is None else cell if isinstance(cell, str) else repr(cell) for cell in row.values()]
                  for row in _figures(report, classes)]  # fmt: skip
    return table


def _to_dict(data: str, split: str, report: EvaluationReport, classes: tuple[str, ...]) -> dict[str, Any]:
    return {"data": data, "split": split, "images": report.images} | report.figures() | {"classes": _figures(report, classes)}


def _draw(args: argparse.Namespace, report: EvaluationReport, classes: tuple[str, ...]) -> int:
    from archc.draw.charts import confusion

    if report.pairs is None:
        return refuse("--confusion: too many classes to draw all pairs")
    return write_whole(args.confusion, confusion(report.pairs.tolist(), classes, Path(args.confusion).suffix[1:].lower()), args)
