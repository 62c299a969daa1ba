"""A spec as PyTorch: source that is yours to keep, weights, ONNX, torch.export.

  archc build resnet50 -o resnet50.py
  archc build resnet50 --weights resnet50.pth -o net.safetensors -o net.onnx
  archc build resnet50 --optimize inference --explain-passes -o fast.py
  archc build vgg16 --convolutional -o vgg16_fcn.py
  archc build resnet50 --checkpoint norms -o lean.py
  archc build resnet50 --set classes=10 --weights r50.pth --partial -o start.pth

Without -o, the source goes to standard output. With --weights and without -o,
archc says whether the weights fit, and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from archc.catalog.dtypes import dtype_name
from archc.cli.common import compile_model, spec_options, usable
from archc.cli.console import DEFAULT_WIDTH, complain, prose
from archc.cli.files import refuse_places, shown, write_whole
from archc.codegen.lowering import OPTIMIZATIONS, lower
from archc.graph import Graph
from archc.text.atomic import is_stream
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
    parser.add_argument("-o", "--output", action="append", default=[], metavar="FILE", help=f"{', '.join(SUFFIXES)}; may be repeated")
    parser.add_argument("--deployed", action="store_true", help="leave out what exists only in training, as exports always do")
    parser.add_argument(
        "--convolutional", action="store_true", help="make dense layers convolutions, weights kept, for larger images and maps of scores"
    )
    weights = parser.add_argument_group("weights")
    weights.add_argument("--weights", metavar="FILE", help="load a .safetensors or .pth file by name")
    weights.add_argument(
        "--rename", action="append", default=[], metavar="s/A/B/", help="first rename what is in the file; may be repeated"
    )
    weights.add_argument("--partial", action="store_true", help="load what fits and report the rest, for example for another head")
    weights.add_argument("--not-finite", action="store_true", help="load NaN and infinite values too, and report them")
    weights.add_argument("--seed", type=_seed, default=0, metavar="N", help="for weights that no file provides (default: 0)")
    fast = parser.add_argument_group("speed")
    fast.add_argument("--optimize", default="", metavar="FOR", help=f"passes over the network, for {' or '.join(OPTIMIZATIONS)}")
    fast.add_argument("--explain-passes", action="store_true", help="report what each pass did")
    fast.add_argument(
        "--checkpoint", metavar="PLAN", help="recompute parts in backward, to keep less until then: norms, blocks, or a file with a plan"
    )
    where = parser.add_argument_group("device and dtype")
    where.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps, meta or auto")
    where.add_argument("--dtype", metavar="DTYPE", help="float32, bf16, …")
    where.add_argument("--memory-format", metavar="FORMAT", help="contiguous, channels_last or auto")
    export = parser.add_argument_group("export")
    export.add_argument("--batch", metavar="N", help="the only batch size that the file accepts (default: any)")
    export.add_argument("--opset", type=int, metavar="N", help="of ONNX")
    export.add_argument("--no-check", action="store_true", help="do not run the file to compare it")


def run(args: argparse.Namespace) -> int:
    wrong = (*map(_wrong_name, args.output), refuse_places(args.output, args), _wrong_options(args), _wrong_for_export(args))
    refusal = next((message for message in wrong if message), None)
    if refusal:
        return _refuse(refusal)
    graph = usable(compile_model(args, args.spec))
    if graph is None:
        return 2
    if refusal := refuse_places(args.output, args):  # also for what the spec extends and uses
        return _refuse(refusal)
    _verify_plugins(graph)
    lowered = lower(graph.deployed() if args.deployed else graph, args.optimize, args.checkpoint, args.convolutional)
    if args.explain_passes:
        print(prose("\n".join(lowered.result.said) or "no pass did anything", stream=sys.stderr), file=sys.stderr)
    module = _wants_module(args)
    if module and (refusal := _with_torch(args, graph)):
        return _refuse(refusal)
    if not args.output and not module:
        print(lowered.source.text, end="")
        return 0
    return max((write_whole(name, lowered.source.text, args) for name in args.output if _kind(name) == "source"), default=0)


def _verify_plugins(graph: Graph) -> None:
    """Raises SpecError where a plugin's operator is not what it states. Without torch nobody can know: that is said."""
    unknown = sorted({node.kind for node in graph.nodes if not node.op.built_in})
    if not unknown:
        return
    try:
        from archc.runtime.build.verifying import verify
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        complain(f"without torch, what the plugin states about {', '.join(unknown)} is not verified")
        return
    verify(graph)


def _kind(name: str) -> str:
    """What goes to a file; to a device or an open file whose name tells nothing, the source."""
    return SUFFIXES.get(Path(name).suffix, "source")


def _wants_module(args: argparse.Namespace) -> bool:
    """Whether torch is needed."""
    placed = args.weights or args.device or args.dtype or args.memory_format
    return bool(placed) or any(_kind(name) != "source" for name in args.output)


def _wrong_name(name: str) -> str | None:
    """What is wrong with the name of a file that is to be written: it tells the format."""
    path = Path(name)
    if path.suffix in SUFFIXES or is_stream(path):
        return None
    hint = did_you_mean(path.suffix, SUFFIXES) if path.suffix else None
    what = f"{shown(path.suffix)} is not a known format" if path.suffix else "the name has no ending that tells the format"
    return f"-o {shown(name)}: {what};\n{hint or 'end it in one of ' + ', '.join(SUFFIXES)}"


def _wrong_options(args: argparse.Namespace) -> str | None:
    given = {"--rename": args.rename, "--partial": args.partial, "--not-finite": args.not_finite}
    if any(given.values()) and not args.weights:
        return f"{next(name for name, value in given.items() if value)} needs --weights FILE, which is missing"
    if args.optimize and args.optimize not in OPTIMIZATIONS:
        hint = did_you_mean(args.optimize, OPTIMIZATIONS) or f"there are {', '.join(OPTIMIZATIONS)}"
        return f"--optimize {args.optimize}: it is not an optimization;\n{hint}"
    if args.checkpoint and args.output and not any(_kind(name) == "source" for name in args.output):
        return "--checkpoint changes the source, and there is no -o FILE.py"
    if args.explain_passes and not (args.optimize or args.convolutional):
        return "--explain-passes needs --optimize or --convolutional, which is missing"
    return None


def _wrong_for_export(args: argparse.Namespace) -> str | None:
    suffixes = {Path(name).suffix for name in args.output}
    exported = sorted(suffixes & {".onnx", ".pt2"})
    if args.batch is not None and args.batch != "dynamic" and not (args.batch.isascii() and args.batch.isdigit() and _is_batch(args.batch)):
        return f"--batch {args.batch}: write a number from 1 up, or leave out --batch"
    idle = next((name for name, given in (("--batch", args.batch is not None), ("--no-check", args.no_check)) if given), None)
    if idle and not exported:
        return f"{idle} applies to exports, and there is no -o FILE.onnx or FILE.pt2"
    if args.opset is not None and ".onnx" not in suffixes:
        return "--opset applies to ONNX, and there is no -o FILE.onnx"
    if exported and args.dtype and dtype_name(args.dtype) not in (None, "float32"):
        return f"--dtype {args.dtype}: {' and '.join(exported)} files hold float32; leave out --dtype, or those files"
    if args.device == "meta" and any(_kind(name) != "source" for name in args.output):
        return "--device meta: on that device the network has no values to write"
    return None


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text[:20]) < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def _is_batch(digits: str) -> bool:
    return len(digits) < 11 and 0 < int(digits) < 2**31


def _with_torch(args: argparse.Namespace, graph: Graph) -> str | None:
    """Weights and exports; what went wrong, or None."""
    from archc.cli.build_files import write_files

    return write_files(args, graph, [name for name in args.output if _kind(name) != "source"])


def _refuse(message: str) -> int:
    """Says what is wrong, and that nothing was built."""
    complain(message, DEFAULT_WIDTH)
    return 2
