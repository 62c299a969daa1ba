"""The JSON Schema with which an editor completes and checks specs.

archc schema -o archc.schema.json
archc schema my.yaml -o archc.schema.json    (also knows the blocks of my.yaml)
archc schema --of analyze    (of what `archc analyze --format json` prints)

For an editor, begin a spec with this line:

# yaml-language-server: $schema=archc.schema.json
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from archc.cli.common import load_plugins, refuse_model, show
from archc.cli.console import complain
from archc.cli.files import write_whole
from archc.elaborate.compiler import compile_spec
from archc.language.blocks import Block
from archc.ops.plugins import load_installed
from archc.reference.schema import schema
from archc.text.diagnostics import printable
from archc.text.suggest import did_you_mean


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="specs whose own blocks the schema should know")
    parser.add_argument("--of", metavar="COMMAND", help="the schema of a command's --format json, instead of the one for specs")
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write (default: standard output)")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="load operators from a Python file, which is run")


def run(args: argparse.Namespace) -> int:
    if args.of is not None:
        return _output(args)
    load_plugins(args.plugin)
    load_installed()
    blocks: list[Block] = []
    for named in args.specs:
        refuse_model(named, "the schema is one of specs and their blocks")
        model = compile_spec(named)
        args.read = [*getattr(args, "read", []), *map(str, model.files)]
        if model.spec is None:
            show(model.diagnostics)
            return 2
        blocks += model.spec.blocks.values()
    return _written(schema(blocks), args)


def _output(args: argparse.Namespace) -> int:
    """The schema of what a command prints."""
    from archc.reference.outputs.schema import OUTPUTS, output_schema

    if args.specs:
        complain("--of is for the output of a command; leave out the specs")
        return 2
    if args.of not in OUTPUTS:
        hint = did_you_mean(args.of, OUTPUTS) or f"choose from {', '.join(OUTPUTS)}"
        complain(f"no command with --format json is called {printable(args.of)!r}; {hint}")
        return 2
    try:
        made = output_schema(args.of)
    except ImportError:
        complain("the schema of an output needs pydantic, which cannot be loaded: pip install pydantic")
        return 2
    return _written(made, args)


def _written(made: dict[str, Any], args: argparse.Namespace) -> int:
    text = json.dumps(made, indent=1)
    if args.output is None:
        print(text)
        return 0
    return write_whole(args.output, text + "\n", args)
