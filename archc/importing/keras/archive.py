"""The parts of a .keras archive, within bounds: a small archive may unpack to more than a machine holds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archc.importing.imported import ImportedError
from archc.text.diagnostics import printable
from archc.text.files import open_regular

MOST_CONFIG = 16_000_000  # bytes
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def config_of(path: Path) -> str:
    """The configuration of a .keras file as text."""
    with _opened(path) as archive:
        data = _member(archive, path, CONFIG, MOST_CONFIG)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ImportedError(f"{printable(str(path))}: its {CONFIG} is not UTF-8 text") from None


def weights_of(path: Path, most: int) -> io.BytesIO | None:
    """The file of weights inside, if there is one."""
    with _opened(path) as archive:
        if WEIGHTS not in archive.namelist():
            return None
        return io.BytesIO(_member(archive, path, WEIGHTS, most))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    shown = printable(str(path))
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except OSError as error:
        raise ImportedError(f"{shown} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RuntimeError) as error:
        if isinstance(error, ImportedError):
            raise
        raise ImportedError(f"{shown} is no archive of Keras, or is cut short") from None


def _member(archive: zipfile.ZipFile, path: Path, name: str, most: int) -> bytes:
    shown = printable(str(path))
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ImportedError(f"{shown} has no {name}, which an archive of Keras has") from None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ImportedError(f"{shown}: {name} is packed in a way that Keras does not use")
    import zlib

    try:
        with archive.open(info) as file:
            data = file.read(most + 1)
    except zlib.error:
        raise ImportedError(f"{shown} is damaged: {name} cannot be unpacked") from None
    if len(data) > most:
        raise ImportedError(f"{shown}: {name} has more than {most:,} bytes, which this network cannot need")
    return data
