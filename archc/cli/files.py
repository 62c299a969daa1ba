"""Files that commands write: checked before any work, written whole or not at all, and never over what a command reads."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from archc.cli.console import complain
from archc.text.atomic import is_stream, open_file, write
from archc.text.diagnostics import printable

LONGEST = 255  # bytes of a name
_WRITTEN = ("output", "confusion", "plot", "pictures", "file")  # options that name what is written
_SETS = ("source", "data")  # options that name sets of images
_REPLACED = ("weights",)  # weights are read before they are written: a file of them may be brought up to date


def write_whole(name: str, content: str | bytes, args: argparse.Namespace) -> int:
    """Writes a text or picture, unless the command reads that file; an exit status."""
    refusal = _read_by(name, args)
    if refusal is None:
        try:
            write(Path(name), content)
        except (OSError, ValueError) as error:
            refusal = f"cannot write {shown(name)}{_why(error, Path(name))}"
    if refusal is not None:
        complain(refusal)
        return 2
    announce(name)
    return 0


def announce(name: str, more: str = "") -> None:
    """Says that a file was written, unless that would stand in it."""
    if not is_output(name):
        print(f"wrote {printable(name)}{more}")


def refuse_place(name: str, args: argparse.Namespace) -> str | None:
    """Why nothing is written to a place, as far as that can be told before any work; None where it can be."""
    path = Path(name)
    try:
        if is_stream(path):
            return None
        return _refuse_file(name, path) or _read_by(name, args)
    except (OSError, ValueError) as error:
        return f"-o {shown(name)}{_why(error, path)}"


def _refuse_file(name: str, path: Path) -> str | None:
    if path.is_dir():
        return f"-o {shown(name)}: that is a folder"
    place = Path(os.path.realpath(path))
    longest = max(len(os.fsencode(part)) for part in (path.name, place.name))
    if longest > LONGEST:
        return f"-o {shown(name)}: a file name has at most {LONGEST} bytes; this one has {longest}"
    if not place.parent.is_dir():
        return f"-o {shown(name)}: there is no folder {shown(str(place.parent if path.is_symlink() else path.parent))}"
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        reason = "it is read-only" if place.exists() else f"there is no permission to write in the folder {shown(str(path.parent))}"
        return f"-o {shown(name)}: {reason}"
    return None


def _read_by(name: str, args: argparse.Namespace) -> str | None:
    """Whether a command reads the file that it would write, under this name or another."""
    for options in filter(None, (getattr(args, option, None) for option in _SETS)):
        if isinstance(options, str) and _among_images(Path(name), Path(options)):
            return f"-o {shown(name)}: this command reads its images from there;\nwrite elsewhere"
    target = _regular(name)
    if target is None:
        return None
    for path in inputs_of(args):
        found = _regular(path)
        if found is not None and os.path.samestat(found, target):
            called = "" if path == name else f", as {shown(path)}"
            return f"-o {shown(name)}: this command reads that file{called},\nand would write over it; name another file"
    return None


def _among_images(target: Path, images: Path) -> bool:
    """Whether a file would be one of a set's images, or stand in the place of one."""
    try:
        place, folder = Path(os.path.realpath(target)), images.resolve()
        return folder.is_dir() and place.is_relative_to(folder) and (place.exists() or place.parent != folder)
    except (OSError, ValueError):
        return False


def _regular(name: str) -> os.stat_result | None:
    """What is known of a regular file; None where a name is none."""
    try:
        found = Path(name).stat()
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def inputs_of(args: argparse.Namespace) -> list[str]:
    """The files that a command may read: those that its words name, and those that its specs extend and use."""
    found: list[str] = []
    for option, value in vars(args).items():
        if option not in (*_WRITTEN, *_REPLACED):
            found += [path for path in (value if isinstance(value, list) else [value]) if isinstance(path, str)]
    return found


def refuse_places(names: Sequence[str], args: argparse.Namespace) -> str | None:
    """As `refuse_place`, of several; no two of them may be one file."""
    places: dict[object, str] = {}
    for name in names:
        refusal = refuse_place(name, args)
        if refusal is not None:
            return refusal
        place = _place(Path(name))
        if place in places:
            also = "" if places[place] == name else f" and -o {shown(places[place])}"
            return f"-o {shown(name)}{also}: two outputs would go to the same file; name another"
        if not is_stream(Path(name)):
            places[place] = name
    return None


def _place(path: Path) -> object:
    """What tells one file from another, whether it is there or not yet."""
    try:
        found = path.stat()
        return found.st_dev, found.st_ino
    except OSError:
        real = Path(os.path.realpath(path))
        return str(real.parent), real.name


def shown(name: str) -> str:
    """A path for a message: without what a terminal would obey, and cut in the middle where it is long."""
    text = printable(name)
    return text if len(text) <= 120 else f"{text[:80]}…{text[-30:]}"


def own_name(parts: Iterable[str], ending: str) -> str:
    """A name of a file in this folder out of other names, of no more bytes than a name may have."""
    stem = os.fsencode("-".join(parts))[: LONGEST - len(os.fsencode(ending))]
    return os.fsdecode(stem).encode("utf-8", "ignore").decode("utf-8", "ignore") + ending


def is_output(name: str) -> bool:
    """Whether a place is this process's standard output, under whatever name."""
    if open_file(Path(name)) == 1:
        return True
    try:
        found = Path(name).stat()
        return not stat.S_ISREG(found.st_mode) and os.path.samestat(found, os.fstat(1))
    except (OSError, ValueError):
        return False


def _why(error: Exception, path: Path) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"\n  there is no folder {shown(str(path.parent))}; make it, or write elsewhere"
    return f": {getattr(error, 'strerror', None) or error}"
