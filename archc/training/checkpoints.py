"""Checkpoints: folders of safetensors and JSON that are there whole or not at all, whenever the process ends."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from archc.text import atomic
from archc.text.atomic import Content, beside, make, sync
from archc.training.wishes import TrainError

KEPT = 2
_NAME = re.compile(r"step-([0-9]{6,12})\Z")
STATE = "state.json"
_GROUPS = ("model", "optimizer", "average")


@dataclass(slots=True)
class Checkpoint:
    """A moment of a training: tensors of the model, the optimizer and the average, and what is no tensor."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    average: dict[str, Tensor] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


class SaveError(TrainError):
    """What stands in the way of a file of the run; what was there before is as it was."""


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes `folder/step-000120`, then removes all but the last two. Raises SaveError."""
    path = folder / f"step-{checkpoint.step:06d}"
    try:
        folder.mkdir(exist_ok=True)
        with beside(path) as workplace:
            made = workplace / path.name
            made.mkdir()
            for name in _GROUPS:
                if tensors := getattr(checkpoint, name):
                    make(made / f"{name}.safetensors", partial(safetensors.torch.save_file, tensors))
            make(made / STATE, json.dumps({"step": checkpoint.step} | checkpoint.state, indent=1))
            if path.exists():  # of a run that was resumed from before it
                path.rename(workplace / "older")
            made.rename(path)
            sync(folder)
    except (OSError, safetensors.SafetensorError) as error:
        raise SaveError(_unsaved(path, error, latest(folder))) from None
    for old in found(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """One file of tensors, whole or not at all. Raises SaveError."""
    write(path, lambda made: safetensors.torch.save_file(dict(tensors), made, dict(metadata)))


def write(path: Path, content: Content) -> None:
    """A file of the run, whole or not at all. What stands there is replaced, and a link not followed. Raises SaveError."""
    try:
        atomic.write(path, content, follow=False)
    except (OSError, safetensors.SafetensorError) as error:
        raise SaveError(_unsaved(path, error, latest(path.parent / "checkpoints"))) from None


def _unsaved(path: Path, error: Exception, last: Path | None) -> str:
    code = error.errno if isinstance(error, OSError) else None
    full = code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    why = "the disk is full" if full else getattr(error, "strerror", None) or str(error)
    on = "free some space, then go on with archc resume" if full else "go on with archc resume"
    whole = f"{last.name} is whole: {on}" if last else "there is no checkpoint before it"
    return f"{path}\ncannot be written: {why}.\n{whole}"


def found(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the oldest first."""
    if not folder.is_dir():
        return []
    named = [(int(match[1]), one) for one in folder.iterdir() if (match := _NAME.match(one.name)) and one.is_dir()]
    return [one for _, one in sorted(named)]


def latest(folder: Path) -> Path | None:
    return next(reversed(found(folder)), None)


def load(path: Path) -> Checkpoint:
    """A checkpoint. Raises TrainError where it is damaged."""
    try:
        state = json.loads((path / STATE).read_text())
        groups = {name: _tensors(path / f"{name}.safetensors") for name in _GROUPS}
        return Checkpoint(int(state.pop("step")), **groups, state=state)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, safetensors.SafetensorError) as error:
        told = str(error).partition("\n")[0][:120]
        raise TrainError(f"{path}\nis damaged ({told})") from None


def _tensors(path: Path) -> dict[str, Tensor]:
    """Those of a file, read whole, so that the file may go; none where there is none."""
    return safetensors.torch.load(path.read_bytes()) if path.exists() else {}


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
