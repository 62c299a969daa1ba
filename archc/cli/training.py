"""What the commands on training share: mistakes told in words, torch that is missing, several processes."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from archc.cli.console import DEFAULT_WIDTH, complain, tell
from archc.cli.streams import silence, unwritten
from archc.errors import ArchcError

LATER = 3.0  # seconds
_LOST: list[OSError] = []  # why lines of this process's training were not read by anyone


def run_guarded(work: Callable[[], int]) -> int:
    """The exit status of work that needs torch; what the user got wrong is said, and is 2. One of several processes ends here."""
    try:
        status = _catch(work)
        if _LOST and not isinstance(_LOST[0], BrokenPipeError):
            status = refuse(f"the run is complete, but its printed output is not: {unwritten(_LOST[0])}")
    except KeyboardInterrupt:
        if not several():
            raise
        status = 130
    if several():
        # threads of gloo may still hold tensors, and abort the process while the interpreter goes (pytorch/pytorch#179291)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def several() -> bool:
    """Whether this process was started as one of several, and met them."""
    if "archc.training.distributed" not in sys.modules:  # without torch there is one process
        return False
    from archc.training.distributed import is_launched

    return is_launched()


def _catch(work: Callable[[], int]) -> int:
    try:
        return work()
    except (ArchcError, ModuleNotFoundError) as error:
        if os.environ.get("RANK", "0") != "0":
            time.sleep(LATER)  # where all processes meet the same mistake, the first one tells it, and the others are ended meanwhile
        return tell(error, "train")


def refuse(message: str) -> int:
    """Says what is wrong, and the status of what cannot be done."""
    complain(message, DEFAULT_WIDTH)
    return 2


def say(line: str) -> None:
    """A line at once, also through a pipe. A training goes on where nobody can read of it."""
    try:
        print(line, flush=True)
    except OSError as error:
        silence()
        _LOST.append(error)


def plugin_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE.py", help="load operators from a Python file, which is run")


def processes_option(parser: Any, positive: Callable[[str], int]) -> None:
    parser.add_argument("--processes", type=positive, metavar="N", help="train in N processes on this machine, one for each GPU")


def relaunch(processes: int) -> int:
    """This same command in several processes; its exit status."""
    from archc.training.distributed import launch

    return launch(_without_processes(sys.argv[1:]), processes)


def _without_processes(words: list[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if not skip and word != "--processes" and not word.startswith("--processes="):
            kept.append(word)
        skip = word == "--processes" and not skip
    return kept
