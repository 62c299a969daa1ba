"""What `archc build` does with torch: weights are loaded and saved, networks exported."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from archc.analysis.cost.report import analyze
from archc.cli.console import DEFAULT_WIDTH, prose
from archc.cli.files import announce
from archc.codegen.lowering import lower
from archc.graph import Graph
from archc.graph.dtypes import input_dtypes, input_limits
from archc.runtime.build.build import BuildOptions, after_passes, build_with_report
from archc.runtime.export.export import export
from archc.runtime.weights.load import save_weights
from archc.text.quantity import bytes_text, counted

if TYPE_CHECKING:
    from torch import nn


def write_files(args: argparse.Namespace, graph: Graph, names: list[str]) -> str | None:
    """Builds the network and writes its files, exports first, as they can fail; what went wrong, or None."""
    exported = sorted((name for name in names if Path(name).suffix in (".onnx", ".pt2")), key=lambda name: Path(name).suffix)
    saved = [name for name in names if name not in exported]
    full = not args.deployed and (bool(saved) or not exported)
    try:
        module, loaded = build_with_report(graph, _build_options(args, deployed=not full))
        if loaded is not None:
            print(prose(loaded.text(), DEFAULT_WIDTH))
        if exported:
            _export(args, graph, _without_heads(module, graph, args) if full else module, exported)
        for name in saved:
            metadata = {"archc": graph.name} if Path(name).suffix == ".safetensors" else None
            announce(name, f"  {bytes_text(save_weights(module, name, metadata))}")
        if not names and (args.device or args.dtype or args.memory_format):
            print(_built_text(module, graph.name))
    except RuntimeError as error:
        if not any(text in str(error) for text in ("allocate memory", "overflow")):
            raise
        return f"the weights are {bytes_text(4 * analyze(graph).parameters)}, and there is not enough memory for them"
    return None


def _build_options(args: argparse.Namespace, deployed: bool) -> BuildOptions:
    return BuildOptions(
        device=args.device,
        dtype=args.dtype,
        memory_format=args.memory_format,
        weights=args.weights,
        rename=tuple(args.rename),
        partial=args.partial,
        deployed=deployed,
        optimize=args.optimize,
        convolutional=args.convolutional,
        finite=not args.not_finite,
        seed=args.seed,
    )


def _without_heads(module: nn.Module, graph: Graph, args: argparse.Namespace) -> nn.Module:
    """The deployed network, with the same tensors; exports hold that one."""
    deployed = graph.deployed()
    if deployed is graph or args.optimize == "inference":
        return module
    return after_passes(module, lower(deployed, args.optimize, convolutional=args.convolutional))


def _export(args: argparse.Namespace, graph: Graph, module: nn.Module, names: list[str]) -> None:
    limits = input_limits(graph)
    for name in names:
        made = export(
            module,
            {key: tuple(map(int, value.shape)) for key, value in graph.inputs.items()},
            name,
            outputs=tuple(graph.deployed().outputs),
            batch=int(args.batch) if args.batch not in (None, "dynamic") else "dynamic",
            opset=args.opset if Path(name).suffix == ".onnx" else None,
            dtypes={value.name: dtype for value, dtype in input_dtypes(graph).items() if value.name in limits},
            limits=limits,
            check=not args.no_check,
        )
        print(prose(made.text(), DEFAULT_WIDTH))


def _built_text(module: nn.Module, name: str) -> str:
    """One line on a network of which no file was wanted."""
    tensors = [*module.parameters(), *module.buffers()]
    size = bytes_text(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
    if not tensors:
        return f"built {name}, which has no weights"
    dtype = str(tensors[0].dtype).removeprefix("torch.")
    return f"built {name}  {size} in {counted(len(tensors), 'tensor')}, {dtype} on {tensors[0].device}"
