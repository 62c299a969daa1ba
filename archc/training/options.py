"""Options, result and error of a training: what a caller decides besides the recipe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from archc.errors import ArchcError
from archc.text.diagnostics import printable

if TYPE_CHECKING:
    from torch import nn

    from archc.analysis.recompute import CheckpointPlan


class TrainError(ArchcError):
    """What stops a training, for the user."""


def quiet(line: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """
    device: cpu, cuda, cuda:1, mps or auto; weights, rename, partial: what the network starts from, as archc.build takes them;
        fresh: names of tensors that begin anew all the same, as those of a replaced head
    tensorboard: whether events are written for it; resume: whether the folder is a run to go on with
    checkpoint: a plan of what backward recomputes, in place of the recipe's
    say: takes a line for the reader; bar: whether a progress bar is drawn; pictures: whether curves and confusion are drawn
    """

    device: str = "auto"
    weights: str | PathLike[str] | None = None
    rename: Sequence[str] = field(default_factory=tuple)
    partial: bool = False
    tensorboard: bool = False
    resume: bool = False
    say: Callable[[str], None] = quiet
    bar: bool = False
    pictures: bool = True
    fresh: Collection[str] = ()
    checkpoint: CheckpointPlan | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """A finished run: the network with its best weights, in eval mode; figures of that epoch; the folder."""

    module: nn.Module
    metrics: dict[str, float]
    folder: Path

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        return f"<Outcome {printable(str(self.folder))}: {figures}>"
