"""The JSON Schema that makes an editor complete and check specs.

  archc schema -o archc.schema.json
  archc schema my.yaml -o archc.schema.json     (knows the blocks of my.yaml, too)

Then begin a spec with the line: # yaml-language-server: $schema=archc.schema.json
"""

from __future__ import annotations

import argparse
import json

from archc.cli.common import load_plugins, show
from archc.cli.files import write_whole
from archc.elaborate.compiler import compile_spec
from archc.language.blocks import Block
from archc.ops.plugins import load_installed
from archc.reference.schema import schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="specs whose own blocks the schema should know")
    parser.add_argument("-o", "--output", metavar="FILE", help="the file to write (default: standard output)")
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="load operators from a Python file (it is run)")


def run(args: argparse.Namespace) -> int:
    load_plugins(args.plugin)
    load_installed()
    blocks: list[Block] = []
    for named in args.specs:
        model = compile_spec(named)
        args.read = [*getattr(args, "read", []), *map(str, model.files)]
        if model.spec is None:
            show(model.diagnostics)
            return 2
        blocks += model.spec.blocks.values()
    text = json.dumps(schema(blocks), indent=1)
    if args.output is None:
        print(text)
        return 0
    return write_whole(args.output, text + "\n", args)
