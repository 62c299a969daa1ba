"""The layers and blocks that a spec can use, and what a recipe can choose, with their arguments.

archc docs               (all of them, a line each)
archc docs conv          (one, with its arguments and formulas)
archc docs adamw         (an optimizer, a schedule, a loss or an augmentation of a recipe)
archc docs --format markdown
archc docs --zoo --pictures docs    (the specs that ship, with their papers and figures; the pictures of that page)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from archc.cli.common import load_plugins, width
from archc.language import library
from archc.ops import OPERATORS
from archc.ops.plugins import load_installed
from archc.recipe.tables import TABLES
from archc.reference import block_text, choice_text, definitions_markdown, listing, markdown, operator_text, recipe_markdown
from archc.text.suggest import did_you_mean


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="layers or blocks")
    parser.add_argument("--format", choices=("text", "markdown"), default="text", help="the form of the output")
    parser.add_argument("--definitions", action="store_true", help="what each figure means, with every layer's formulas, as Markdown")
    parser.add_argument("--recipe", action="store_true", help="the settings of `train` and what they choose from, as Markdown")
    parser.add_argument("--zoo", action="store_true", help="the specs that ship, with their papers and published figures, as Markdown")
    parser.add_argument("--pictures", metavar="DIR", help="with --zoo: write zoo.svg and ilsvrc.svg there, in place of the page")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="load operators from a Python file (it is run)")


def run(args: argparse.Namespace) -> int:
    load_plugins(args.plugin)
    load_installed()
    if args.pictures and not args.zoo:
        print("archc: --pictures goes with --zoo", file=sys.stderr)
        return 2
    if args.zoo:
        return _pictures(Path(args.pictures)) if args.pictures else _zoo()
    if args.definitions:
        print(definitions_markdown())
        return 0
    if args.recipe:
        print(recipe_markdown())
        return 0
    if args.format == "markdown":
        print(markdown(args.names or None))
        return 0
    if not args.names:
        print(listing(width()))
        return 0
    texts = []
    for name in args.names:
        told = _told(name)
        if told is None:
            chosen = [one for table in TABLES.values() for one in table]
            hint = did_you_mean(name, [*OPERATORS, *library.index(), *chosen]) or "`archc docs` lists them"
            print(f"archc: no layer or block is called {name!r}; {hint}", file=sys.stderr)
            return 2
        texts.append(told)
    print("\n\n".join(texts))
    return 0


def _told(name: str) -> str | None:
    """A layer, a block, or what a recipe can choose."""
    op, block = OPERATORS.get(name), library.find(name)
    return operator_text(op) if op is not None else block_text(block) if block is not None else choice_text(name)


def _zoo() -> int:
    from archc.zoo import markdown

    print(markdown())
    return 0


def _pictures(folder: Path) -> int:
    from archc.cli.files import write_whole
    from archc.draw.charts import Bar, ChartError, bubbles, timeline
    from archc.zoo import challenge, history, plotted

    bars = [Bar(row["entry"], row["year"], float(row["top5_error"])) for row in challenge()]
    try:
        pictures = {"zoo.svg": bubbles(plotted(history()), "svg"), "ilsvrc.svg": timeline(bars, "svg")}
    except ChartError as error:
        print(f"archc: {error}", file=sys.stderr)
        return 2
    return max(write_whole(str(folder / name), picture) for name, picture in pictures.items())
