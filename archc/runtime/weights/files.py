"""Files of weights, read without running anything that they hold."""

from __future__ import annotations

import contextlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from archc.runtime.weights.renaming import WeightsError, shown
from archc.text.diagnostics import printable
from archc.text.extras import how_to_install
from archc.text.quantity import counted
from archc.text.suggest import did_you_mean
from archc.validation.documents import Damaged, read_json

MOST_TENSORS = 200_000
_MOST_INDEX = 100 << 20  # bytes of the index of shards; safetensors' own limit for a header
_LEGACY = b"l\xfc\x9cF\xf9 j\xa8P\x19."  # the number that torch.save began with before 1.6
# Where checkpoints keep their weights, the likelier first.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params")
_AVERAGES = ("model_ema", "state_dict_ema", "ema_state_dict", "ema", "params_ema")
_FOREIGN = (
    (b"version https://git-lfs", "is a pointer of Git LFS, not the weights: run `git lfs pull` in its repository"),
    (b"<", "is a web page or XML, so a download may have failed"),
    (b"\x89HDF", "is HDF5, which Keras writes; PyTorch's weights are read"),
    (b"\x93NUMPY", "is an array of NumPy; PyTorch's weights are read"),
    (b"GGUF", "is GGUF; PyTorch's weights are read"),
    (b"\x1f\x8b", "is compressed: run gunzip first"),
    (b"\x80", "is a pickle, but not one that torch.save wrote; it was not opened, as a pickle can run code"),
)


class Stored(NamedTuple):
    """What a file holds: tensors by name, its own notes, and what the reader should know of how they lay in it."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    notes: tuple[str, ...] = ()


def read(path: Path) -> Stored:
    """The tensors of a file, on the CPU and mapped from the disk where that can be. Raises WeightsError."""
    _require_file(path)
    with _reading(path):
        stored = _read(path)
    if not stored.tensors:
        raise _unread(path, "holds no tensors")
    if len(stored.tensors) > MOST_TENSORS:
        raise _unread(path, f"holds {len(stored.tensors):,} tensors, more than the {MOST_TENSORS:,} that are read")
    for name, tensor in stored.tensors.items():
        if tensor.is_meta or tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
            kind = "has no values" if tensor.is_meta else "is quantized, sparse or nested: only plain tensors are read"
            raise _unread(path, f'"{shown(name)}" {kind}')
    return stored


def _read(path: Path) -> Stored:
    if path.name.endswith(".index.json"):
        return _shards(path)
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PK"):
        _require_saved_by_torch(path)
        return _unwrap(path, _unpickle(path, mapped=True))
    if _LEGACY in head:
        return _unwrap(path, _unpickle(path, mapped=False))
    foreign = next((what for magic, what in _FOREIGN if head.startswith(magic)), None)
    if head[8:9] == b"{" or (path.suffix == ".safetensors" and head and not foreign):
        return _safetensors(path)
    raise _unread(path, (foreign or "is neither safetensors nor a file of torch.save") if head else "is empty")


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise _unread(path, "is a folder; name a file in it")
    if not path.exists():
        with contextlib.suppress(OSError):
            if near := did_you_mean(path.name, (entry.name for entry in path.parent.iterdir())):
                raise _unread(path, f"does not exist; {near}")
        raise _unread(path, "does not exist")
    if not path.is_file():
        raise _unread(path, "is not a regular file")


def _unread(path: Path, what: str) -> WeightsError:
    return WeightsError(f"{printable(str(path))} {what}")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What reading raises, in words."""
    try:
        yield
    except OSError as error:
        raise _unread(path, f"cannot be read: {error.strerror or error}") from None


# safetensors


def safetensors_library() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise WeightsError(f"safetensors is not installed: {how_to_install('torch', 'safetensors')}") from None
    return safetensors


def _safetensors(path: Path, only: set[str] | None = None) -> Stored:
    """All tensors of a file, or those of some names. Mapped: values are read from the disk when they are used."""
    library = safetensors_library()
    try:
        with library.safe_open(path, framework="pt", device="cpu") as file:
            names = [name for name in file.keys() if only is None or name in only]  # noqa: SIM118 - it is not a dict
            return Stored({name: file.get_tensor(name) for name in names}, dict(file.metadata() or {}))
    except library.SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise _unread(path, f"is cut short, damaged, or not safetensors ({shown(reason)})") from None


@dataclass(frozen=True, slots=True)
class _Index:
    """Which file holds each tensor, as Hugging Face writes it."""

    weight_map: dict[str, str]


def _shards(path: Path) -> Stored:
    """The files that an index names, which lie beside it."""
    if path.stat().st_size > _MOST_INDEX:
        raise _unread(path, "is too large for an index")
    try:
        places = read_json(_Index, path.read_bytes()).weight_map
    except Damaged as error:
        wanted = '{"weight_map": {name: file}} was expected'
        raise _unread(path, f"is not an index of safetensors: {wanted}; on line {error.line}, {shown(str(error))}") from None
    tensors: dict[str, Tensor] = {}
    files = sorted(set(places.values()))
    for file in files:
        if not re.fullmatch(r"[\w][\w.+-]*\.safetensors", file):
            raise _unread(path, f'names "{shown(file)}": only a .safetensors file beside it is read')
        beside = path.with_name(file)
        _require_file(beside)
        names = {name for name, place in places.items() if place == file}
        tensors |= _safetensors(beside, names).tensors
    lost = next((name for name in places if name not in tensors), None)
    if lost is not None:
        raise _unread(path, f'places "{shown(lost)}" in {shown(places[lost])}, where it is not')
    return Stored({name: tensors[name] for name in places}, {}, (f"read from {counted(len(files), 'file')}",))


# torch.save


def _require_saved_by_torch(path: Path) -> None:
    """An archive as torch.save writes it: stored, not compressed, so that it cannot grow, and with one pickle of a known name."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise _unread(path, "is cut short or damaged: it begins as an archive of torch.save, and its end is missing") from None
    names = {member.filename.partition("/")[2] for member in members}
    if "constants.pkl" in names and "data.pkl" in names:
        hint = "  torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
        raise _unread(path, "is TorchScript, a program. If you trust it, save its weights alone:\n" + hint)
    if "data.pkl" not in names:
        raise _unread(path, "is a zip archive, but not one of torch.save")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise _unread(path, "is a compressed archive, and torch.save compresses nothing: save it again with torch.save")


def _unpickle(path: Path, mapped: bool) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if mapped and path.suffix != ".safetensors":  # where the name, not the content, tells PyTorch the format
                return cast(object, torch.load(path, map_location="cpu", weights_only=True, mmap=True))
            with path.open("rb") as file:
                return cast(object, torch.load(file, map_location="cpu", weights_only=True, mmap=False))
    except pickle.UnpicklingError as error:
        raise _refuse_pickle(path, str(error)) from None
    except Exception as error:  # a damaged pickle raises anything
        problem = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _unread(path, f"is cut short or damaged ({shown(problem)})") from None


def _refuse_pickle(path: Path, problem: str) -> WeightsError:
    """What the pickle holds besides tensors, as far as that can be told without loading it."""
    found: list[str] = []
    with contextlib.suppress(Exception):
        found = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    found = found or re.findall(r"GLOBAL ([\w.]+)", problem)[:1]
    if not found:
        reason = problem.partition("WeightsUnpickler error:")[2].strip().partition("\n")[0] or "it is not a pickle that torch.save writes"
        return _unread(path, f"was not read: PyTorch refuses its pickle ({shown(reason)})")
    names = ", ".join(shown(name, 40) for name in found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
    lines = [
        f"holds more than tensors: {names}",
        "To load those would run code that the file chooses, so it was not read.",
        "If you trust its author, save the tensors alone where those classes exist:",
        "  held = torch.load(FILE, weights_only=False)",
        "  torch.save(held.state_dict(), 'weights.pth')     # held is a module",
        "  torch.save(held['state_dict'], 'weights.pth')    # held is a dict",
    ]
    return _unread(path, "\n".join(lines))


def _unwrap(path: Path, held: object) -> Stored:
    """The weights inside a checkpoint, and where they lay."""
    notes: list[str] = []
    metadata: dict[str, str] = {}
    for _ in range(4):
        if not isinstance(held, Mapping):
            raise _unread(path, f"holds a {shown(type(held).__name__)}, and not tensors by name")
        key = _inner(path, held)
        if key is None:
            break
        others = [name for name in (*_WRAPPERS, *_AVERAGES) if name != key and _weights(held.get(name))]
        notes.append(f'the weights are its "{shown(key)}"' + (f'; "{others[0]}" was left' if others else ""))
        if isinstance(held_metadata := held.get("metadata"), Mapping):
            metadata |= {name: value for name, value in held_metadata.items() if isinstance(name, str) and isinstance(value, str)}
        held = held[key]
    assert isinstance(held, Mapping)
    tensors = {name: tensor for name, tensor in held.items() if isinstance(tensor, Tensor) and isinstance(name, str)}
    left = [f"{_key(name)} ({type(tensor).__name__})" for name, tensor in held.items() if name not in tensors]
    if left:
        notes.append(f"left out, as no tensors: {', '.join(left[:4])}" + (f" and {len(left) - 4:,} more" if len(left) > 4 else ""))
    return Stored(tensors, metadata, tuple(notes))


def _inner(path: Path, held: Mapping[Any, object]) -> str | None:
    """The key under which a checkpoint keeps its weights; None where it is the weights."""
    known = next((key for key in (*_WRAPPERS, *_AVERAGES) if _weights(held.get(key))), None)
    if known or any(isinstance(tensor, Tensor) for tensor in held.values()):
        return known
    nested = next((key for key in _WRAPPERS if isinstance(held.get(key), Mapping)), None)
    if nested:
        return nested
    keys = [key for key, tensor in held.items() if _weights(tensor) and isinstance(key, str)]
    if len(keys) > 1:
        listed = ", ".join(f'"{shown(key, 30)}"' for key in keys[:6])
        raise _unread(path, f"holds several sets of weights: {listed}; save one of them: torch.save(torch.load(FILE)[KEY], 'weights.pth')")
    return keys[0] if keys else None


def _key(key: object) -> str:
    """A key as text. One that is no string is not spelled out: a small pickle can hold a tuple that is endless as text."""
    return f'"{shown(key, 30)}"' if isinstance(key, str) else f"a {type(key).__name__}"


def _weights(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(value, Tensor) for value in value.values())
