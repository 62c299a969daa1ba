"""Look inside a trained network; each look is a picture.

  archc look runs/lenet5-1 --filters -o filters.png
  archc look runs/lenet5-1 --attribution digit.png -o why.png
  archc look runs/lenet5-1 --attribution digit.png --method gradcam --class 3
  archc look runs/lenet5-1 --feature conv2.5 -o feature.png
  archc look runs/lenet5-1 --examples conv2.5 -o examples.png

A unit is a channel of a layer, or a feature of a vector: conv2.5 is the sixth
unit of conv2. A layer without a number stands for its first sixteen units.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from archc.cli.common import load_plugins
from archc.cli.files import write_whole
from archc.cli.memory_command import positive
from archc.cli.training import plugin_option, refuse, run_guarded
from archc.text.atomic import is_stream

METHODS = ("gradcam", "integrated", "lrp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "archc look [options] RUN\n  --filters | --attribution IMAGE | --feature LAYER.UNIT | --examples LAYER.UNIT"
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--filters", action="store_true", help="the filters of the first convolution, or of --layer")
    what.add_argument("--attribution", metavar="IMAGE", help="which pixels of an image count in favor of a class")
    what.add_argument("--feature", metavar="LAYER.UNIT", help="the input that excites a unit most, found by gradient ascent")
    what.add_argument("--examples", metavar="LAYER.UNIT", help="the images of the data that excite a unit most")
    parser.add_argument("-o", "--output", metavar="FILE.png", help="the picture (default: named after the run and the look)")
    parser.add_argument("--method", choices=METHODS, help="attribution: one method (default: all that are possible)")
    parser.add_argument("--class", dest="target", metavar="NAME", help="attribution: for this class (default: the likeliest)")
    parser.add_argument("--layer", default="", metavar="LAYER", help="filters of this layer; Grad-CAM on the maps of this layer")
    parser.add_argument("--data", metavar="NAME|PATH", help="examples: images other than the run's")
    parser.add_argument(
        "--split", choices=("train", "validation", "test"), default="train", help="examples: from these images (default: train)"
    )
    parser.add_argument("--top", type=positive, default=9, metavar="N", help="examples: images of each unit (default: 9)")
    parser.add_argument("--steps", type=positive, default=200, metavar="N", help="feature: steps of gradient ascent (default: 200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="feature: for the noise at the start")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="cpu, cuda, cuda:1, mps or auto (default)")
    plugin_option(parser)


def run(args: argparse.Namespace) -> int:
    load_plugins(args.plugin)
    return run_guarded(lambda: _look(args))


def _look(args: argparse.Namespace) -> int:
    from archc.inspect.look import attribution, examples, feature, filters
    from archc.training.predict import TrainedRun
    from archc.training.run import open_run

    output = args.output or f"{Path(args.run).name}-{_what(args)}.png"
    if not output.endswith(".png") and not is_stream(Path(output)):
        return refuse(f"{output}: pictures are .png")
    trained = TrainedRun(open_run(Path(args.run)), args.device)
    if args.filters:
        found = filters(trained, args.layer)
    elif args.attribution:
        found = attribution(trained, Path(args.attribution), args.method or "", args.target, args.layer)
    elif args.feature:
        found = feature(trained, args.feature, args.steps, args.seed)
    else:
        found = examples(trained, args.examples, args.data, args.split, args.top)
    for line in found.notes:
        print(line)
    return write_whole(output, found.png, args)


def _what(args: argparse.Namespace) -> str:
    named = {"attribution": args.attribution and Path(args.attribution).stem, "feature": args.feature, "examples": args.examples}
    what, of = next(((what, of) for what, of in named.items() if of), ("filters", args.layer))
    return f"{what}-{of}".rstrip("-").replace("/", "-")
