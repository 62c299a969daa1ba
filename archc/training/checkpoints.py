"""Checkpoints: folders of safetensors and JSON that are there whole or not at all, whenever the process ends."""

from __future__ import annotations

import errno
import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from archc.text import atomic
from archc.text.atomic import Content
from archc.text.diagnostics import printable
from archc.text.files import open_regular, read_regular
from archc.training.options import TrainError
from archc.training.record import State, read_record

KEPT = 2
_NAME = re.compile(r"step-([0-9]{6,12})\Z")
STATE, SUMS = "state.json", "sha256.json"
DIGEST = "sha256"  # of the tensors, in a file's metadata
_NOTHING = safetensors.torch.save({})
_GROUPS = ("model", "optimizer", "average")


@dataclass(slots=True)
class Checkpoint:
    """A moment of a training: tensors of the model, the optimizer and the average, and what is no tensor."""

    state: State
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    average: dict[str, Tensor] = field(default_factory=dict)

    @property
    def step(self) -> int:
        return self.state.step


class SaveError(TrainError):
    """What stands in the way of a file of the run; what was there before is as it was."""


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes `folder/step-000120`, then removes all but the last two. Raises SaveError."""
    path = folder / f"step-{checkpoint.step:06d}"
    try:
        folder.mkdir(exist_ok=True)
        atomic.write_folder(path, _files(checkpoint))  # an older one of the name is of a run that was resumed from before it
    except (OSError, safetensors.SafetensorError) as error:
        raise SaveError(_not_saved_text(path, error, latest(folder))) from None
    for old in found(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def _files(checkpoint: Checkpoint) -> dict[str, Content]:
    groups = {name: getattr(checkpoint, name) for name in _GROUPS}
    return {
        **{f"{name}.safetensors": partial(safetensors.torch.save_file, tensors) for name, tensors in groups.items() if tensors},
        STATE: json.dumps(asdict(checkpoint.state), indent=1),
        SUMS: _write_sums,
    }


def _write_sums(path: Path) -> None:
    """The checksums of the files that were written beside `path` before."""
    path.write_text(json.dumps({entry.name: _sum(entry) for entry in sorted(path.parent.iterdir()) if entry != path}, indent=1))


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """One file of tensors, whole or not at all. Raises SaveError."""
    said = dict(metadata) | {DIGEST: digest(tensors)}
    write(path, lambda made: safetensors.torch.save_file(dict(tensors), made, said))


def write(path: Path, content: Content) -> None:
    """A file of the run, whole or not at all. What stands there is replaced, and a link not followed. Raises SaveError."""
    try:
        atomic.write(path, content, follow=False)
    except (OSError, safetensors.SafetensorError) as error:
        raise SaveError(_not_saved_text(path, error, latest(path.parent / "checkpoints"))) from None


def _not_saved_text(path: Path, error: Exception, last: Path | None) -> str:
    code = error.errno if isinstance(error, OSError) else None
    full = code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    why = "the disk is full" if full else getattr(error, "strerror", None) or str(error)
    on = "free some space, then go on with archc resume" if full else "go on with archc resume"
    last_good = f"{last.name} is whole: {on}" if last else "there is no checkpoint before it"
    return f"{path} cannot be written: {why}. {last_good}"


def found(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the oldest first."""
    if not folder.is_dir():
        return []
    named = [(int(match[1]), entry) for entry in folder.iterdir() if (match := _NAME.match(entry.name)) and entry.is_dir()]
    return [path for _, path in sorted(named)]


def latest(folder: Path) -> Path | None:
    return next(reversed(found(folder)), None)


def load(path: Path) -> Checkpoint:
    """A checkpoint whose files are those that were written together. Raises TrainError where one is damaged, or of another one."""
    sums = _sums(path)
    content = {name: _content(path / name, sums) for name in (STATE, *(f"{name}.safetensors" for name in _GROUPS))}
    missing = next((name for name in sums if content.get(name) is None), None)
    if missing is not None:
        raise TrainError(f"{path} is damaged: {printable(missing)[:80]} is missing")
    try:
        groups = {name: safetensors.torch.load(content[f"{name}.safetensors"] or _NOTHING) for name in _GROUPS}
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise TrainError(f"{path} is damaged ({str(error).partition(chr(10))[0][:120]})") from None
    state = read_record(path / STATE, State)
    if state.step != int(path.name.rpartition("-")[2]):
        raise TrainError(f"{path} is damaged: its files are of step {state.step:,}")
    return Checkpoint(state, **groups)


def _content(path: Path, sums: Mapping[str, str]) -> bytes | None:
    """A file of a checkpoint; None where there is none. Raises TrainError for another one than was written."""
    try:
        content = read_regular(path, sys.maxsize - 1, follow=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrainError(f"{path} is damaged: {error.strerror}") from None
    if sums and sums.get(path.name) != sha256(content).hexdigest():
        raise TrainError(f"{path.parent} is damaged: {path.name} is not the file that was written with this checkpoint")
    return content


def _sums(path: Path) -> dict[str, str]:
    """The SHA-256 of each file of a checkpoint; none of one that was written before there were any. Raises TrainError."""
    if not (path / SUMS).exists() and not (path / SUMS).is_symlink():
        return {}
    files = read_record(path / SUMS, dict[str, str])
    if STATE not in files:
        raise TrainError(f"{path / SUMS} is damaged: it does not hold the checksums of a checkpoint")
    return files


def digest(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors with their names, dtypes and shapes."""
    found = sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def check_tensors(path: Path) -> dict[str, str]:
    """What a file of `save_tensors` says of itself. Raises TrainError where its tensors are not those that were written."""
    try:
        open_regular(path, follow=False).close()
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            said = dict(file.metadata() or {})
            intact = DIGEST not in said or said[DIGEST] == digest({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except OSError as error:
        raise TrainError(f"{path} cannot be read: {error.strerror or error}") from None
    except safetensors.SafetensorError as error:
        raise TrainError(f"{path} is damaged ({str(error)[:120]})") from None
    if not intact:
        raise TrainError(f"{path} is damaged: its weights are not those that were written")
    return said


def last_whole(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The latest checkpoint that can be read; those that cannot are told of. Raises TrainError where all are damaged."""
    damaged: TrainError | None = None
    for path in reversed(found(folder)):
        try:
            return load(path)
        except TrainError as error:
            damaged = damaged or error
            say(f"{error}; the one before it is tried")
    if damaged:
        raise damaged
    return None
