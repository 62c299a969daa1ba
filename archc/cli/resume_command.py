"""Continue a run that was interrupted, from its last checkpoint.

  archc resume runs/lenet5-1

On one machine it ends with the same numbers as a run that was never
interrupted, bit for bit on a CPU. The number of processes may change.
"""

from __future__ import annotations

import argparse
import sys

from archc.cli.common import load_plugins
from archc.cli.memory_command import positive
from archc.cli.training import plugin_option, processes_option, relaunch, run_guarded, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--data", metavar="PATH", help="where the images are now")
    parser.add_argument("--tensorboard", action="store_true", help="also write events for TensorBoard")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="cpu, cuda, cuda:1, mps or auto (default)")
    processes_option(parser, positive)
    plugin_option(parser)


def run(args: argparse.Namespace) -> int:
    load_plugins(args.plugin)
    if args.processes and args.processes > 1:
        return run_guarded(lambda: relaunch(args.processes))
    return run_guarded(lambda: _resume(args))


def _resume(args: argparse.Namespace) -> int:
    from archc.training.fit import resume_run
    from archc.training.options import TrainOptions

    resume_run(args.run, TrainOptions(device=args.device, tensorboard=args.tensorboard, say=say, bar=sys.stderr.isatty()), args.data)
    return 0
