"""The formats that can be imported, and which of them a source has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from archc.importing.draft import Refused
from archc.importing.imported import Imported, ImportedError
from archc.text.diagnostics import Diagnostics, SpecError, printable
from archc.text.files import open_regular, read_file
from archc.text.suggest import did_you_mean

HEAD = 65_536  # bytes of a file by which a format is told where the ending does not tell it
ZOOS = ("torchvision:", "timm:")
FORMS = "model.py:NAME, package.module:NAME, torchvision:NAME, timm:NAME"


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its name, its reader as `module:function`, how its files end, whether the reader is given a text with places, or a path.

    recognises: a function of the module that tells from a file's first bytes whether it is of this format, where others end alike
    """

    name: str
    reader: str
    endings: tuple[str, ...]
    takes: Literal["text", "file"] = "file"
    recognises: str = ""

    def function(self, named: str = "") -> Callable[..., Any]:
        module, _, function = self.reader.partition(":")
        found = getattr(import_module(module), named or function)
        assert callable(found)
        return found  # type: ignore[no-any-return]


FORMATS = (
    Format("ONNX", "archc.importing.onnx:read_onnx", (".onnx",)),
    Format("darknet", "archc.importing.darknet:read_darknet", (".cfg",), "text"),
    Format("Caffe", "archc.importing.caffe:read_caffe", (".prototxt",), "text"),
    Format("Keras", "archc.importing.keras:read_keras", (".keras", ".json", ".h5", ".hdf5"), "file", "is_keras"),
    Format("Hugging Face", "archc.importing.huggingface:read_huggingface", (".json",), "text", "is_huggingface"),
    Format("Ultralytics", "archc.importing.ultralytics:read_ultralytics", (".yaml", ".yml"), "text", "is_ultralytics"),
)


def is_code(named: str) -> bool:
    """Whether a source is code, which is run: `model.py:make_net`, `package.module:Net`, `torchvision:NAME`, `timm:NAME`, a program."""
    source, colon, name = named.rpartition(":")
    if named.startswith(ZOOS) or named.endswith((".py", ".pt2")):
        return True
    parts = (*source.split("."), *name.split("."))
    return bool(colon) and (source.endswith(".py") or all(part.isidentifier() for part in parts)) and not _exists(named)


def read_file_of(named: str, weights: Path | None = None) -> tuple[Format, Imported]:
    """A file as its format's reader reads it. Raises SpecError at a place of its text, ImportedError where it has none."""
    path = Path(named)
    format = format_of(path)
    stem = path.stem or "network"
    try:
        if format.takes == "file":
            return format, format.function()(path, stem, weights)
        diagnostics = Diagnostics()
        source = read_file(path, str(path), None, diagnostics)
        if source is None:
            raise SpecError(diagnostics)
        return format, format.function()(source, stem, weights)
    except Refused as refused:
        raise SpecError([refused.found]) from None


def format_of(path: Path) -> Format:
    """The format of a file. Raises ImportedError where it is of none that is known, or not there."""
    shown = printable(str(path))
    if not _exists(str(path)):
        beside = [one.as_posix() for one in path.parent.iterdir()][:10_000] if _exists(str(path.parent)) and path.parent.is_dir() else []
        hint = did_you_mean(path.as_posix(), beside) or (None if path.suffix else f"a source is a file, or {FORMS}")
        raise ImportedError(f"there is no file {shown}{f'; {hint}' if hint else ''}")
    ending = path.suffix.lower()
    fitting = [format for format in FORMATS if ending in format.endings]
    for format in fitting:
        if not format.recognises or format.function(format.recognises)(_head(path)):
            return format
    endings = sorted({ending for format in FORMATS for ending in format.endings})
    if fitting:
        names = " nor ".join(format.name for format in fitting)
        raise ImportedError(f"{shown} is {'neither' if len(fitting) > 1 else 'not of'} {names}")
    hint = did_you_mean(ending, endings) if ending else None
    known = hint or f"there are {', '.join(endings)}, and models of PyTorch: {FORMS}"
    raise ImportedError(f"{shown} is of no format that is known; {known}")


def _exists(named: str) -> bool:
    try:
        return Path(named).exists()
    except (OSError, ValueError):
        return False


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(HEAD)
    except OSError as error:
        raise ImportedError(f"{printable(str(path))} cannot be read: {error.strerror or error}") from None
