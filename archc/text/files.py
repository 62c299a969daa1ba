"""Files that a person or a spec names: regular ones, opened without waiting for a pipe, and their text, within bounds."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from archc.text.diagnostics import Diagnostics
from archc.text.source import Source, Span
from archc.text.suggest import did_you_mean
from archc.text.tree import MOST_CHARACTERS


def read_file(path: Path, name: str, where: Span | None, diagnostics: Diagnostics) -> Source | None:
    """A file's text as a source; where it cannot be read, a diagnostic at the place that named it."""
    problem = None
    try:
        if path.is_dir():
            problem = "a folder"
        elif where is not None and path.exists() and not path.is_file():  # a pipe may be read where a person names it
            problem = "not a file"
        else:
            with path.open("rb") as file:
                data = file.read(4 * MOST_CHARACTERS + 1)
            if len(data) <= 4 * MOST_CHARACTERS:
                return Source(name, data.decode("utf-8-sig").replace("\r\n", "\n"), str(path), where)
            problem = "too large for a spec"
    except FileNotFoundError:
        problem = "no such file"
    except (OSError, ValueError) as error:
        problem = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or "not a path"
    span = where or Span(Source(name, ""), 0, 0)
    near = did_you_mean(path.name, (entry.name for entry in path.parent.glob("*.yaml"))) if path.parent.is_dir() else None
    diagnostics.error("A701", span, f"cannot read {name}: {problem}", near if problem == "no such file" else None)
    return None


def open_regular(path: Path, follow: bool = True) -> BinaryIO:
    """A regular file for reading. Raises OSError for what is none; with `follow` False, also for a link."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise OSError(errno.EINVAL, "it is not a regular file", str(path)) from None
        if error.errno == errno.ELOOP and path.is_symlink() and not follow:
            raise OSError(errno.ELOOP, "it is a link, which is not followed here", str(path)) from None
        raise
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file", str(path))
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most: int, follow: bool = True) -> bytes:
    """The content of a regular file of at most so many bytes. Raises OSError."""
    with open_regular(path, follow) as file:
        content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content
