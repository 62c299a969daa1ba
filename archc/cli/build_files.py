"""What `archc build` does with torch: weights are loaded and saved, networks exported."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from archc.graph import Graph
from archc.runtime.building import Wishes, finished
from archc.runtime.export import export
from archc.runtime.export_check import ExportError
from archc.runtime.place import PlaceError
from archc.runtime.renaming import WeightsError
from archc.runtime.weights import save_weights
from archc.table import bytes_text


def write_files(args: argparse.Namespace, graph: Graph, names: list[str]) -> int:
    """Builds the network and writes its files; an exit status."""
    exported = [name for name in names if Path(name).suffix in (".onnx", ".pt2")]
    saved = [name for name in names if name not in exported]
    try:
        if saved or not exported:
            _save(graph, _wishes(args, args.deployed), saved)
        if exported:
            _export(args, graph, exported, quiet=bool(saved))
    except (WeightsError, PlaceError, ExportError) as error:
        print(f"archc: {error}", file=sys.stderr)
        return 2
    return 0


def _wishes(args: argparse.Namespace, deployed: bool) -> Wishes:
    return Wishes(
        device=args.device,
        dtype=args.dtype,
        memory_format=args.memory_format,
        weights=args.weights,
        rename=tuple(args.rename),
        partial=args.partial,
        deployed=deployed,
        optimize=args.optimize,
    )


def _save(graph: Graph, wishes: Wishes, names: list[str]) -> None:
    module, loaded = finished(graph, wishes)
    if loaded is not None:
        print(loaded.text())
    for name in names:
        size = save_weights(module, name, {"archc": graph.name})
        print(f"wrote {name}  {bytes_text(size)}")


def _export(args: argparse.Namespace, graph: Graph, names: list[str], quiet: bool) -> None:
    """Exports hold the deployed network."""
    module, loaded = finished(graph, _wishes(args, deployed=True))
    if loaded is not None and not quiet:
        print(loaded.text())
    indices = {
        value.name: int(node.args["entries"]) for node in graph.nodes if node.kind == "embedding" for value in node.inputs if value.name
    }
    for name in names:
        made = export(
            module,
            {key: tuple(map(int, value.shape)) for key, value in graph.inputs.items()},
            name,
            outputs=tuple(graph.deployed().outputs),
            batch=args.batch if args.batch == "dynamic" else int(args.batch),
            opset=args.opset,
            dtypes=dict.fromkeys(indices, "int64"),
            limits=indices,
            check=not args.no_check,
        )
        print(made.text())
