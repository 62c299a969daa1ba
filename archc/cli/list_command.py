"""The shipped specs in order of their history. They are found by name from
anywhere, as in `archc analyze vgg16`.

archc list
archc list resnet 2015    (with these words in name, paper or description)

A family that stands in one file is one row, with the number of its other
members; with words, each member has its own.
"""

from __future__ import annotations

import argparse
import json

from archc.cli.console import table_text, track
from archc.language.loading import shipped
from archc.reference.zoo import ZooEntry, history, listing, summary
from archc.text.table import to_csv, to_markdown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help="only those with the words in their name, paper or description")
    parser.add_argument("--format", choices=("table", "json", "csv", "markdown"), default="table", help="the form of the output")


def run(args: argparse.Namespace) -> int:
    entries = [
        entry
        for entry in history(track(shipped(), "reading the shipped specs"))
        if all(word.lower() in _text(entry) for word in args.words)
    ]
    if args.format == "json":
        print(json.dumps({"networks": [summary(entry) for entry in entries]}, indent=2))
    elif args.format == "csv":
        print(to_csv(listing(entries)))
    else:
        table = listing(entries, fold=not args.words)
        print(to_markdown(table) if args.format == "markdown" else table_text(table))
    return 0 if entries or not args.words else 1


def _text(entry: ZooEntry) -> str:
    paper = entry.paper
    return f"{entry.name} {entry.doc} {paper.title} {paper.authors} {paper.venue} {paper.year}".lower()
