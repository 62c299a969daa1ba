"""Standard output and standard error that are closed, full, gone, or in an encoding that lacks a character."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import cast

ESCAPES = "archc.escapes"
# What tables and charts are drawn with; one sign of ASCII for each, so that columns stay.
_ALIKE = dict(zip("─═│└├┌┐┘┤┬┴┼▁▂▃▄▅▆▇█░▒▓", "-=|`|..'|.'+_..--==#.:#", strict=True))
_ALIKE |= {"×": "x", "…": "...", "≥": ">=", "≤": "<="}


class Muted(io.TextIOWrapper):
    """Standard error that may be closed or full: what cannot be said there is not said, and changes no exit status."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().flush()


def prepare() -> None:
    """Makes the standard streams of this process safe to write to.

    The numbers of closed ones are taken, so that no file that is opened later gets them; writing to such an output fails
    as writing to a full one does. Lines, signs and blocks that an encoding lacks are written as those of ASCII that look like them,
    other characters as escapes, which JSON has, too.
    """
    codecs.register_error(ESCAPES, _escape)
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (handle := os.open(os.devnull, os.O_RDONLY)) <= 2:
            os.set_inheritable(handle, True)
        os.close(handle)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPES)
    if isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        sys.stderr = Muted(cast(io.BufferedWriter, sys.stderr.detach()), encoding, ESCAPES, line_buffering=True)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ALIKE.get(sign) or _units(sign) for sign in error.object[error.start : error.end]), error.end


def _units(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def silence() -> None:
    """Nothing more comes out of standard output, and nothing that is left of it raises at the end."""
    with contextlib.suppress(OSError):
        number, null = sys.stdout.fileno(), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def unwritten(error: OSError) -> str:
    """What is told of an error of the system that no command expected: nearly always, of standard output."""
    if error.filename is not None:
        return f"{os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else error.filename}: {error.strerror}"
    return f"cannot write to standard output: {error.strerror or error}"
