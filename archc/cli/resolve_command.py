"""The spec as elaborated: no blocks, no expressions, each value with the file and
line that decided it. The output is itself a spec. With --fold, it is the
shortest one that archc finds: with blocks that ship, repeats, rows of a table.

archc resolve resnet50 > flat.yaml && archc analyze flat.yaml
archc resolve flat.yaml --fold
"""

from __future__ import annotations

import argparse

from archc.cli.common import compile_model, refuse_model, spec_options, usable
from archc.graph.write_spec import resolve_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=False)
    parser.add_argument("--fold", action="store_true", help="write the network as short as archc can, proved to be the same one")


def run(args: argparse.Namespace) -> int:
    refuse_model(args.spec, "resolve shows where each value of a spec comes from; `archc build` has its source, `archc analyze` its layers")
    model = compile_model(args, args.spec)
    graph = usable(model)
    if graph is None or model.spec is None:
        return 2
    if args.fold:
        from archc.folding import fold

        print(fold(graph), end="")
        return 0
    print(resolve_text(graph, model.spec, model.changes))
    return 0
