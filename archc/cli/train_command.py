"""Train a network on images. The run's folder holds everything: the network, the
recipe, figures, checkpoints, the best weights, pictures.

  archc train lenet5
  archc train lenet5 --data photos/ --epochs 30 -o runs/photos
  archc train resnet18 --weights resnet18.pth --replace-head classes=10
  archc train resnet50 --data /data/imagenet --processes 8 --precision bf16

The recipe is the spec's `train`; options change it. `archc resume RUN`
continues a run that was killed. Under torchrun or SLURM, each process takes
part in the training: torchrun --nproc-per-node 8 -m archc train SPEC …
"""

from __future__ import annotations

import argparse
import sys

from archc.analysis.recompute import CheckpointPlan, plan_of
from archc.cli.common import compile_model, refuse_model, spec_options, usable
from archc.cli.console import complain
from archc.cli.memory_command import positive
from archc.cli.recipe_options import overrides, recipe_options
from archc.cli.training import processes_option, relaunch, run_guarded, say
from archc.elaborate.recipe.overrides import recipe_with
from archc.graph import Graph
from archc.recipe import Recipe
from archc.recipe.keys import PLANS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    spec_options(parser, several=False)
    parser.add_argument("-o", "--output", metavar="DIR", help="the run's folder (default: runs/NAME-N)")
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder of -o, or begin one")
    parser.add_argument("--dry-run", action="store_true", help="show what would happen, without training")
    parser.add_argument("--tensorboard", action="store_true", help="also write events for TensorBoard")
    weights = parser.add_argument_group("weights to start from")
    weights.add_argument("--weights", metavar="FILE", help="load a .safetensors or .pth file by name")
    weights.add_argument(
        "--rename", action="append", default=[], metavar="s/A/B/", help="first rename what is in the file; may be repeated"
    )
    weights.add_argument("--partial", action="store_true", help="load what fits and report the rest, for example for another head")
    weights.add_argument("--replace-head", metavar="NAME=VALUE", help="like --set, with new weights for what it changes: classes=10")
    weights.add_argument("--features", action="store_true", help="freeze all but the last linear layer, and compute its input once")
    where = parser.add_argument_group("where")
    where.add_argument("--device", default="auto", metavar="DEVICE", help="cpu, cuda, cuda:1, mps or auto (default)")
    processes_option(where, positive)
    recipe_options(parser)


def run(args: argparse.Namespace) -> int:
    refuse_model(args.spec, "train makes networks of its own from a spec: `archc build` writes the source of one like this")
    alone = next((name for name in ("rename", "partial", "replace_head") if getattr(args, name)), None)
    if alone and not args.weights:
        complain(f"--{alone.replace('_', '-')} needs --weights FILE, which is missing")
        return 2
    before = _otherwise(args) if args.replace_head else None
    args.set = [*args.set, *([args.replace_head] if args.replace_head else [])]
    graph = usable(compile_model(args, args.spec)) if before is not None or not args.replace_head else None
    if graph is None:
        return 2
    plan = _plan(args, graph)
    recipe = recipe_with(graph, overrides(args), args.recipe)
    if args.processes and args.processes > 1 and not args.dry_run:
        return run_guarded(lambda: relaunch(args.processes))
    return run_guarded(lambda: _train(args, before, graph, recipe, plan))


def _plan(args: argparse.Namespace, graph: Graph) -> CheckpointPlan | None:
    """The plan in the file of --checkpoint; a word is left to the recipe. Raises SpecError, ValueError."""
    if args.checkpoint is None or args.checkpoint in PLANS:
        return None
    plan = plan_of(graph, args.checkpoint)
    args.checkpoint = "none"
    return plan


def _otherwise(args: argparse.Namespace) -> Graph | None:
    """The network with another value for what --replace-head sets: where the two differ is the head, also if its size stays."""
    name, _, value = args.replace_head.partition("=")
    other = [f"{name}={int(value) + 1}"] if value.strip().isdecimal() and len(value) < 10 else []
    return usable(compile_model(argparse.Namespace(**(vars(args) | {"set": [*args.set, *other]})), args.spec))


def _train(args: argparse.Namespace, before: Graph | None, graph: Graph, recipe: Recipe, plan: CheckpointPlan | None) -> int:
    from archc.training.extraction import extract
    from archc.training.fit import dry_run, fit, resume_run
    from archc.training.options import TrainOptions
    from archc.training.run import fresh, is_run
    from archc.training.transfer import new_tensors

    train_options = TrainOptions(
        device=args.device,
        weights=args.weights,
        rename=tuple(args.rename),
        partial=args.partial,
        tensorboard=args.tensorboard,
        say=say,
        bar=sys.stderr.isatty(),
        fresh=new_tensors(before, graph) if before is not None else (),
        checkpoint=plan,
    )
    if args.dry_run:
        dry_run(graph, recipe, train_options, args.output)
        return 0
    if args.resume and args.output and is_run(args.output):
        resume_run(args.output, train_options)
        return 0
    (extract if args.features else fit)(graph, recipe, fresh(args.output, graph.name), train_options)
    return 0
