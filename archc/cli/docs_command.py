"""The layers and blocks that a spec can use, and what a recipe can choose, with
their arguments.

archc docs               (all of them, one line each)
archc docs conv          (one, with its arguments and formulas)
archc docs nn.Conv2d     (the layer that another framework calls by that name)
archc docs adamw         (an optimizer, or another choice of a recipe)
archc docs --format markdown
archc docs --zoo                    (the specs that ship, with their figures)
archc docs --zoo --pictures docs    (the pictures of that page)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from archc.cli.common import load_plugins
from archc.cli.console import complain, prose, table_text, width
from archc.language import library
from archc.language.blocks import Block
from archc.language.packages import offered_blocks
from archc.ops import OPERATORS
from archc.ops.plugins import load_installed
from archc.recipe.tables import TABLES
from archc.reference.operators import block_text, choice_text, definitions_markdown, listing, markdown, operator_text, recipe_markdown
from archc.text.diagnostics import printable
from archc.text.suggest import did_you_mean


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="layers or blocks")
    parser.add_argument("--format", choices=("text", "markdown"), default="text", help="the form of the output")
    parser.add_argument("--definitions", action="store_true", help="what each figure means, with the formulas of each layer, as Markdown")
    parser.add_argument("--recipe", action="store_true", help="the settings of `train` and what they choose from, as Markdown")
    parser.add_argument("--json", action="store_true", help="what each command prints as JSON, as Markdown")
    parser.add_argument("--zoo", action="store_true", help="the shipped specs, with their papers and published figures, as Markdown")
    parser.add_argument("--pictures", metavar="DIR", help="with --zoo: write zoo.svg and ilsvrc.svg there, in place of the page")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="load operators from a Python file, which is run")


def run(args: argparse.Namespace) -> int:
    load_plugins(args.plugin)
    load_installed()
    if args.pictures and not args.zoo:
        complain("--pictures goes with --zoo")
        return 2
    if args.zoo:
        return _pictures(Path(args.pictures), args) if args.pictures else _zoo()
    if args.json:
        from archc.reference.outputs.page import json_markdown

        print(json_markdown())
        return 0
    if args.definitions:
        print(definitions_markdown())
        return 0
    if args.recipe:
        print(recipe_markdown())
        return 0
    found = [_find(name) for name in args.names]
    if unknown := next((name for name, entry in zip(args.names, found, strict=True) if entry is None), None):
        complain(f"no layer or block is called {printable(unknown)!r}; {_hint(unknown)}")
        return 2
    known = [entry for entry in found if entry is not None]
    if args.format == "markdown":
        print(markdown([name for name, _ in known] or None))
    elif not known:
        print("\n\n".join([*(table_text(table) for table in listing(offered_blocks())), "archc docs NAME tells more about one of them."]))
    else:
        print("\n\n".join(prose("\n\n".join(filter(None, (sentence, _text(name))))) for name, sentence in known))
    return 0


def _find(name: str) -> tuple[str, str] | None:
    """The layer, block or choice of a recipe that a name is, or is an alias of, and then a sentence that says so."""
    if OPERATORS.get(name) is not None or library.find(name) is not None or choice_text(name) is not None or _offered(name) is not None:
        return name, ""
    from archc.aliases.hints import describe_layer
    from archc.elaborate.unknown import known_layers

    return describe_layer(name, known_layers({}))


def _text(name: str) -> str:
    op, block = OPERATORS.get(name), library.find(name)
    if op is not None:
        return operator_text(op, width())
    if block is None and choice_text(name) is None and (offered := _offered(name)) is not None:
        file, block = offered
        return f"{block_text(block, width())}\n\n  use: [{file}]"
    return block_text(block, width()) if block is not None else choice_text(name, width()) or ""


def _offered(name: str) -> tuple[str, Block] | None:
    """A block of an installed package, the first that has the name, and what `use` names."""
    return next(((file, block) for file, block in offered_blocks() if block.name == name), None)


def _hint(name: str) -> str:
    """What a name may have meant that is none."""
    from archc.aliases.hints import explain_word, near_kind
    from archc.elaborate.unknown import known_layers

    known = known_layers({})
    chosen = [entry for table in TABLES.values() for entry in table]
    return explain_word(name, known) or near_kind(name, known) or did_you_mean(name, chosen) or "`archc docs` lists them"


def _zoo() -> int:
    from archc.reference.zoo import markdown

    print(markdown())
    return 0


def _pictures(folder: Path, args: argparse.Namespace) -> int:
    from archc.cli.files import write_whole
    from archc.draw.charts import Bar, bubbles, timeline
    from archc.reference.zoo import challenge, history, plot_entries

    bars = [Bar(row["entry"], row["year"], float(row["top5_error"])) for row in challenge()]
    pictures = {"zoo.svg": bubbles(plot_entries(history()), "svg"), "ilsvrc.svg": timeline(bars, "svg")}
    return max(write_whole(str(folder / name), picture, args) for name, picture in pictures.items())
