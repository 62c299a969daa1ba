"""A spec as PyTorch: source that is yours, weights, ONNX, torch.export.

archc build resnet50 -o resnet50.py
archc build resnet50 --weights resnet50.pth -o resnet50.safetensors -o resnet50.onnx
archc build resnet50 --set classes=10 --weights resnet50.pth --partial -o start.safetensors
archc build resnet50 --optimize inference --explain-passes -o fast.py

Without -o, the source goes to standard output.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from archc.cli.common import compiled, spec_options, usable
from archc.cli.files import write_whole
from archc.graph import Graph
from archc.lowering import lower
from archc.passes.pipeline import OPTIMIZATIONS
from archc.text.suggest import did_you_mean

SUFFIXES = {
    ".py": "source",
    ".safetensors": "weights",
    ".pth": "weights",
    ".pt": "weights",
    ".onnx": "export",
    ".pt2": "export",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=False)
    parser.add_argument("-o", "--output", action="append", default=[], metavar="FILE", help=f"{', '.join(SUFFIXES)}; may be given again")
    parser.add_argument("--deployed", action="store_true", help="leave out what is there in training alone; exports always do")
    weights = parser.add_argument_group("weights")
    weights.add_argument("--weights", metavar="FILE", help="load a .safetensors or .pth file by name")
    weights.add_argument(
        "--rename", action="append", default=[], metavar="s/A/B/", help="change the file's names first; may be given again"
    )
    weights.add_argument("--partial", action="store_true", help="load what fits, and say what does not, as for another head")
    fast = parser.add_argument_group("speed")
    fast.add_argument("--optimize", choices=tuple(OPTIMIZATIONS), default="", help="passes over the network")
    fast.add_argument("--explain-passes", action="store_true", help="what each pass did")
    where = parser.add_argument_group("where and as what")
    where.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps or auto")
    where.add_argument("--dtype", metavar="DTYPE", help="float32, bf16, …")
    where.add_argument("--memory-format", metavar="FORMAT", help="contiguous, channels_last or auto")
    export = parser.add_argument_group("export")
    export.add_argument("--batch", default="dynamic", help="a number, if the file shall take that batch alone")
    export.add_argument("--opset", type=int, help="of ONNX")
    export.add_argument("--no-check", action="store_true", help="do not run the file and compare it")


def run(args: argparse.Namespace) -> int:
    wrong = _wrong(args)
    if wrong:
        print(f"archc: {wrong}", file=sys.stderr)
        return 2
    graph = usable(compiled(args, args.spec))
    if graph is None:
        return 2
    try:
        lowered = lower(graph.deployed() if args.deployed else graph, args.optimize)
    except ValueError as error:
        print(f"archc: {error}", file=sys.stderr)
        return 2
    if args.explain_passes:
        print("\n".join(lowered.result.said) or "no pass was asked for: see --optimize", file=sys.stderr)
    if not args.output and not _wants_module(args):
        print(lowered.source.text, end="")
        return 0
    for name in args.output:
        if Path(name).suffix == ".py" and (status := write_whole(name, lowered.source.text)):
            return status
    return _with_torch(args, graph) if _wants_module(args) else 0


def _wants_module(args: argparse.Namespace) -> bool:
    """Whether torch is needed."""
    placed = args.weights or args.device or args.dtype or args.memory_format
    return bool(placed) or any(SUFFIXES[Path(name).suffix] != "source" for name in args.output)


def _wrong(args: argparse.Namespace) -> str | None:
    """What is wrong with the options, before any work."""
    for name in args.output:
        suffix = Path(name).suffix
        if suffix not in SUFFIXES:
            hint = did_you_mean(suffix, SUFFIXES) or f"there are {', '.join(SUFFIXES)}"
            return f"-o {name}: no format is called {suffix or 'nothing'}; {hint}"
        if not Path(name).parent.is_dir():
            return f"-o {name}: there is no folder {Path(name).parent}"
    if (args.rename or args.partial) and not args.weights:
        return "--rename and --partial are about --weights FILE, which is not given"
    if args.batch != "dynamic" and not (args.batch.isdigit() and 0 < int(args.batch) < 2**31):
        return f"--batch {args.batch}: a number from 1 up, or dynamic"
    return None


def _with_torch(args: argparse.Namespace, graph: Graph) -> int:
    """Weights and exports."""
    try:
        from archc.cli.build_files import write_files
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "numpy", "safetensors"):
            raise
        print(f"archc: this needs {error.name}, which is not installed: pip install 'archc[torch]'", file=sys.stderr)
        return 2
    return write_files(args, graph, [name for name in args.output if SUFFIXES[Path(name).suffix] != "source"])
