"""The spec as elaborated: no blocks, no expressions, each value with the file and
line that decided it. The output is itself a spec.

archc resolve resnet50 > flat.yaml && archc analyze flat.yaml
"""

from __future__ import annotations

import argparse

from archc.cli.common import compile_model, refuse_model, spec_options, usable
from archc.graph.write_spec import resolve_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=False)


def run(args: argparse.Namespace) -> int:
    refuse_model(args.spec, "resolve shows where each value of a spec comes from; `archc build` has its source, `archc analyze` its layers")
    model = compile_model(args, args.spec)
    graph = usable(model)
    if graph is None or model.spec is None:
        return 2
    print(resolve_text(graph, model.spec, model.changes))
    return 0
