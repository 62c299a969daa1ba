"""A model of another tool as a spec, under the model's own names, and its weights.

  archc import timm:resnet50 -o resnet50.yaml
  archc import model.py:make_net --input 3x64x64 -o net.yaml -o net.safetensors
  archc import net.onnx -o net.yaml -o net.safetensors
  archc import yolov3.cfg --weights yolov3.weights -o yolov3.yaml

Without -o, the spec goes to standard output. What was read is compared with
what is written: figures, outputs, training; the status is 1 where it differs.
The code of a PyTorch model is run; of a file, nothing is. See docs/import.md
for what comes through.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from archc.cli.common import load_plugins
from archc.cli.console import DEFAULT_WIDTH, complain
from archc.cli.files import announce, refuse_places, shown, write_whole
from archc.importing.importing import Import, import_source
from archc.importing.registry import FORMATS, FORMS, is_code
from archc.text.atomic import is_stream
from archc.text.diagnostics import printable
from archc.text.suggest import did_you_mean

SPECS, WEIGHTS = (".yaml", ".yml"), (".safetensors",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    endings = ", ".join(dict.fromkeys(ending for format in FORMATS for ending in format.endings))
    parser.add_argument("source", metavar="SOURCE", help=f"a PyTorch model, whose code is run: {FORMS}; or a file: {endings}")
    parser.add_argument("-o", "--output", action="append", default=[], metavar="FILE", help=".yaml, .safetensors; may be repeated")
    parser.add_argument("--weights", metavar="FILE", help="the weights that belong to the source, where they are not in it")
    parser.add_argument("--name", default="", metavar="NAME", help="the network's name, in place of the source's")
    parser.add_argument("--no-check", action="store_true", help="do not run the original to compare outputs and training")
    parser.add_argument("--flat", action="store_true", help="layer by layer, without blocks and repeats")
    shape = "what a PyTorch model takes, without the batch (128:int64: whole numbers)"
    parser.add_argument("--input", action="append", default=[], metavar="[NAME=]3x224x224", help=shape)
    leaf = "a class of a PyTorch model whose modules are one layer each: mypkg.Attention"
    parser.add_argument("--leaf", action="append", default=[], metavar="CLASS", help=leaf)
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="load operators from a Python file, which is run")


def run(args: argparse.Namespace) -> int:
    refusal = next((wrong for name in args.output if (wrong := _wrong_name(name))), None) or refuse_places(args.output, args)
    if refusal:
        complain(refusal, DEFAULT_WIDTH)
        return 2
    load_plugins(args.plugin)
    with _guard(args):
        made = import_source(args.source, inputs=args.input, weights=args.weights, leaves=args.leaf, name=args.name, flat=args.flat)
    args.read = [str(path) for path in made.imported.files]
    if refusal := refuse_places(args.output, args):  # also for what the model was read from
        complain(refusal, DEFAULT_WIDTH)
        return 2
    for note in made.notes:
        complain(f"note: {printable(note)}")
    status = max((_write(name, made, args) for name in args.output), default=0)
    with _guard(args):
        found = made.report(compare=not args.no_check)
    print(found.text(), file=sys.stdout if args.output else sys.stderr)
    if not args.output:
        print(made.text, end="")
    return status or (0 if found.good else 1)


def _guard(args: argparse.Namespace) -> AbstractContextManager[None]:
    if not is_code(args.source):
        return nullcontext()
    from archc.cli.models import their_code

    return their_code(args.source, args.input)


def _write(name: str, made: Import, args: argparse.Namespace) -> int:
    if Path(name).suffix not in WEIGHTS:
        return write_whole(name, made.text, args)
    size = made.save_weights(name)
    announce(name, f"  {size:,} bytes")
    return 0


def _wrong_name(name: str) -> str | None:
    """What is wrong with the name of a file that is to be written: it tells the format."""
    path = Path(name)
    if path.suffix in (*SPECS, *WEIGHTS) or is_stream(path):
        return None
    hint = did_you_mean(path.suffix, (*SPECS, *WEIGHTS)) if path.suffix else None
    return f"-o {shown(name)}: {hint or 'end it in ' + ' or '.join((*SPECS[:1], *WEIGHTS))}"
