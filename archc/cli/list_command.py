"""The specs that ship: found by name from anywhere, as in `archc analyze vgg16`."""

from __future__ import annotations

import argparse
import json
import sys

from archc.analysis.cost import analyze
from archc.cli.common import colored, width
from archc.compiler import compile_spec
from archc.language.loading import shipped
from archc.table import Column, Table, to_csv, to_markdown, to_terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help="only those whose name or description has the word")
    parser.add_argument("--format", choices=("table", "json", "csv", "markdown"), default="table", help="the form of the output")


def run(args: argparse.Namespace) -> int:
    table = Table([Column("spec"), Column("input"), Column("parameters", "count"), Column("MACs", "count"), Column("what", "text")])
    records = []
    for path in shipped():
        graph = compile_spec(str(path)).graph
        if graph is None or not all(word.lower() in f"{path.stem} {graph.doc}".lower() for word in args.words):
            continue
        report = analyze(graph.deployed())
        shapes = ", ".join(str(value.shape) for value in graph.inputs.values())
        table.rows.append([path.stem, shapes, report.counts["parameters"], report.counts["macs"], " ".join(graph.doc.split())])
        records.append({"spec": path.stem, "input": shapes, "parameters": report.parameters, "macs": report.macs, "doc": graph.doc})
    if args.format == "json":
        print(json.dumps(records, indent=2))
    elif args.format == "csv":
        print(to_csv(table))
    else:
        print(to_markdown(table) if args.format == "markdown" else to_terminal(table, width(), colored(sys.stdout)))
    return 0 if records or not args.words else 1
