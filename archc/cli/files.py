"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path


def write_whole(name: str, content: str | bytes) -> int:
    """Writes a text or picture beside its place and moves it there; an exit status."""
    path = Path(name)
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
            mask = os.umask(0)
            os.umask(mask)
            Path(beside).chmod(0o666 & ~mask)
            Path(beside).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(beside).unlink()
            raise
    except OSError as error:
        print(f"archc: cannot write {path}{_why(error, path)}", file=sys.stderr)
        return 2
    print(f"wrote {path}")
    return 0


def _why(error: OSError, path: Path) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"\n  there is no folder {path.parent}; make it, or write elsewhere"
    return f": {error.strerror}"
