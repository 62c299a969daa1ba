"""Networks side by side, with their ratios to the first.

archc compare resnet50 vgg16 mobilenet_v2
archc compare resnet50 mine.yaml --plot chart.svg
archc compare --all --plot zoo.svg

The chart shows accuracy against MACs; the area of a bubble stands for the
parameters. Accuracies are those that a spec quotes under `published`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from archc.cli.common import compile_model, spec_options, usable
from archc.cli.console import complain, prose, table_text, track
from archc.cli.files import write_whole
from archc.language.loading import shipped
from archc.reference.zoo import ZooEntry, analyze_entry, comparison, history, plot_entries, sources, summary
from archc.text.table import to_csv, to_markdown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=True, optional=True)
    parser.add_argument("--all", action="store_true", help="also all shipped specs")
    parser.add_argument("--plot", metavar="FILE", help="draw accuracy against MACs and parameters: .svg, .png or .pdf")
    parser.add_argument("--format", choices=("table", "json", "csv", "markdown"), default="table", help="the form of the output")


def run(args: argparse.Namespace) -> int:
    entries = _entries(args)
    if entries is None:
        return 2
    if args.format == "json":
        print(json.dumps({"networks": [summary(entry) for entry in entries]}, indent=2))
    elif args.format == "csv":
        print(to_csv(comparison(entries, ratio="{} ratio")))
    elif args.format == "markdown":
        print(to_markdown(comparison(entries)))
    elif not (args.all and args.plot):
        table = comparison(entries)
        table.notes += sources(entries)
        print(table_text(table))
    return _plot(entries, args.plot, args) if args.plot else 0


def _entries(args: argparse.Namespace) -> list[ZooEntry] | None:
    entries = []
    for named in args.specs:
        model = compile_model(args, named)
        graph = usable(model)
        if graph is None:
            return None
        entries.append(analyze_entry(graph.name, model.spec, graph))
    if args.all:
        entries += [
            entry for entry in history(track(shipped(), "reading the shipped specs")) if entry.name not in {other.name for other in entries}
        ]
    if not entries:
        complain("which networks? name some, or write --all")
        return None
    return entries


def _plot(entries: list[ZooEntry], name: str, args: argparse.Namespace) -> int:
    from archc.draw.charts import bubbles

    points = plot_entries(entries)
    others = [entry.name for entry in entries if entry.name not in {point.name for point in points}]
    if not points:
        complain("none of these specs quotes an accuracy; add `published: [{top1: 76.1, by: me}]` to a spec")
        return 2
    picture = bubbles(points, Path(name).suffix[1:].lower())
    if others:
        left_out = f"{len(others)} networks" if len(others) > 8 else ", ".join(others)
        print(prose(f"left out, since they quote no accuracy: {left_out}", stream=sys.stderr), file=sys.stderr)
    return write_whole(name, picture, args)
