"""Files written whole or not at all: made in a private folder beside their place, brought to the disk, then moved there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from archc.text.locks import Held, lock_folder

Content = str | bytes | Callable[[Path], object]
PART = re.compile(r"\.archc-[0-9a-f]{16}\.part\Z")  # a folder of what is under way; such a folder without a lock was left behind
READER = 5.0  # seconds in which someone has to open the other end of a named pipe
_LINKS = 40  # that lead to each other, as Linux has it
_HANDLE = re.compile(r"/dev/fd/(\d{1,6})|/proc/(?:self|thread-self|(?P<pid>\d+))/fd/(?P<of>\d{1,6})")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_CHUNK = 1 << 20


def write(path: Path, content: Content, *, follow: bool = True, new: bool = False) -> int:
    """Writes a text, bytes, or what `content` puts into the file that it is given; the size in bytes. Raises OSError.

    A regular file is replaced, and is as it was where that fails; its permissions stay, and so do links to it. Devices,
    pipes and open files (/dev/stdout) are written to. Once this returns, the file is on the disk.

    follow: whether `path` may be a link, as where a person named it; else what is there is replaced, whatever it is
    new: an existing file is left as it is: FileExistsError
    """
    handle = open_file(path) if follow else None
    before = None if handle is not None else _before(path, follow)
    if handle is not None or (before is not None and not stat.S_ISREG(before.st_mode)):
        return _pour_into(path, handle, content)
    place = Path(os.path.realpath(path)) if follow else path
    if new and before is not None:
        raise FileExistsError(errno.EEXIST, "it is there already", str(path))
    if before is not None and follow and not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only", str(path))
    with workplace(place) as folder:
        made = folder / place.name
        make(made, content, before)
        size = made.stat().st_size
        _put(made, place, before if follow else None, new)
    return size


def _before(path: Path, follow: bool) -> os.stat_result | None:
    """What is at a place; None where nothing is, or what may be replaced by a new file. Raises IsADirectoryError."""
    try:
        found = path.stat() if follow else path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "that is a folder", str(path))
    return found if follow or stat.S_ISREG(found.st_mode) else None


@contextmanager
def beside(place: Path) -> Iterator[Path]:
    """A private folder beside a place, of a name that nobody can foresee; gone afterwards, whatever happens.

    Those that killed processes left there are removed first.
    """
    _tidy(place.parent)
    with contextlib.ExitStack() as held:
        folder = _private(place.parent, held)
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def write_folder(path: Path, files: Mapping[str, Content]) -> None:
    """Writes a folder of files in their order, each from a text, bytes, or what puts it into the place that it is given.

    The folder is there with all of them or not at all, and takes the place of one of its name. Raises OSError.
    """
    with beside(path) as folder:
        made = folder / path.name
        made.mkdir()
        for name, content in files.items():
            make(made / name, content)
        sync(made)
        # a folder cannot be replaced in one step: the old one steps aside into what is removed in the end
        if path.exists():
            path.rename(folder / "older")
        made.rename(path)
        sync(path.parent)


def _private(parent: Path, held: contextlib.ExitStack) -> Path:
    """A new folder, with its lock. One that another process took for left behind, before the lock was there, is made anew."""
    while True:
        folder = parent / f".archc-{os.urandom(8).hex()}.part"
        folder.mkdir(0o700)
        with contextlib.suppress(Held, FileNotFoundError):
            held.enter_context(lock_folder(folder))
            return folder


def _tidy(folder: Path) -> None:
    """Removes what killed processes left in a folder. What is under way has a lock."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if PART.match(entry.name) and entry.is_dir(follow_symlinks=False):
                _remove(Path(entry.path))


def _remove(left: Path) -> None:
    with contextlib.suppress(OSError):
        if not hasattr(os, "geteuid") or left.lstat().st_uid == os.geteuid():
            with lock_folder(left):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def workplace(place: Path) -> Iterator[Path]:
    """Where a file is made: beside its place, or elsewhere for one that is copied there, as to a device."""
    if not is_stream(place) and not (place.exists() and not os.access(Path(os.path.realpath(place)).parent, os.W_OK)):
        with beside(Path(os.path.realpath(place))) as folder:
            yield folder
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as elsewhere:
        yield Path(elsewhere)


def make(path: Path, content: Content, before: os.stat_result | None = None) -> None:
    """A new file, on the disk, with the rights of the one before it, or those that new files have here."""
    # O_EXCL: never through a link that someone put there; 0o666 leaves the rights to the umask
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    rights = stat.S_IMODE((before or path.stat()).st_mode) & 0o777
    if callable(content):
        content(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    if before is not None and hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # only the superuser can give files away
            os.chown(path, before.st_uid, before.st_gid)
    if stat.S_IMODE(path.stat().st_mode) != rights:
        path.chmod(rights)
    sync(path)


def _put(made: Path, place: Path, before: os.stat_result | None, new: bool) -> None:
    if new:
        _place_new(made, place)
    elif before is not None and (before.st_nlink > 1 or not os.access(place.parent, os.W_OK)):
        _copy(made, place)  # another file at this place would leave the other names of this one behind
    else:
        try:
            made.replace(place)
        except OSError as error:
            if error.errno != errno.EBUSY:  # a file that is mounted by itself
                raise
            _copy(made, place)
    sync(place.parent)


def _place_new(made: Path, place: Path) -> None:
    """A file to where none is. Raises FileExistsError."""
    try:
        os.link(made, place)
    except FileExistsError:
        raise
    except OSError:  # a file system where a file has one name alone
        with place.open("xb") as target, made.open("rb") as source:
            shutil.copyfileobj(source, target, _CHUNK)


def _copy(made: Path, place: Path) -> None:
    """The content of a file into another one. The room for it is had before a byte is changed."""
    with made.open("rb") as source, place.open("r+b") as target:
        size, before = made.stat().st_size, place.stat().st_size
        try:
            if size > before and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(target.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                target.truncate(before)
                raise
        shutil.copyfileobj(source, target, _CHUNK)
        target.truncate(size)
        target.flush()
        os.fsync(target.fileno())


def sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # where folders cannot be opened
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def open_file(path: Path) -> int | None:
    """The number of the open file that a path names, also through links: 1 of /dev/stdout, 63 of /dev/fd/63; else None."""
    name = os.path.abspath(path)  # noqa: PTH100 - links are followed one by one
    for _ in range(_LINKS):
        if name in _STANDARD:
            return _STANDARD[name]
        match = _HANDLE.fullmatch(name)
        if match and (match["pid"] is None or int(match["pid"]) == os.getpid()):
            return int(match[1] or match["of"])
        try:
            name = os.path.join(os.path.dirname(name), os.readlink(name))  # noqa: PTH115, PTH118, PTH120
        except OSError:
            return None
        name = os.path.abspath(name)  # noqa: PTH100
    return None


def is_stream(path: Path) -> bool:
    """Whether a path names something that is written to and not replaced: an open file, a pipe, a device."""
    if open_file(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _pour_into(path: Path, handle: int | None, content: Content) -> int:
    """Writes to what is no regular file. What can only be written to a place is made elsewhere first."""
    if callable(content):
        with workplace(path) as folder:
            file = folder / (path.name or "output")
            content(file)
            content = file.read_bytes()
    data = content.encode() if isinstance(content, str) else content
    if handle is not None:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()  # what was printed before stands before
        _send(handle, data)
        return len(data)
    opened = _entrance(path)
    try:
        _send(opened, data)
    finally:
        os.close(opened)
    return len(data)


def _entrance(path: Path) -> int:
    """A device or pipe, opened. Raises OSError where nobody reads a pipe."""
    until = time.monotonic() + READER
    while True:
        try:
            # without O_NONBLOCK, opening a pipe that nobody reads would wait for ever
            handle = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > until or not stat.S_ISFIFO(path.stat().st_mode):
                problem = "nothing is reading from that pipe" if error.errno == errno.ENXIO else error.strerror
                raise OSError(error.errno, problem, str(path)) from None
            time.sleep(0.05)
            continue
        os.set_blocking(handle, True)
        return handle


def _send(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left[:_CHUNK]) :]
