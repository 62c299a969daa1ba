"""Progress of a training while it runs: a line an epoch, a bar on a terminal, TensorBoard on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from archc.errors import Argument
from archc.training.options import TrainError, TrainOptions
from archc.training.report import loss_text
from archc.training.run import TENSORBOARD, Row


class ProgressReporter:
    """Tells of epochs. In processes besides the first it is silent."""

    def __init__(self, options: TrainOptions, folder: Path, epochs: int, first: bool) -> None:
        self.options = options
        self.epochs = epochs
        self.first = first
        self._bar: Any = None
        self._events = summary_writer()(str(folder / TENSORBOARD)) if options.tensorboard and first else None

    def attach(self, engine: Engine) -> None:
        """A bar over the steps of each epoch, where one is wanted and tqdm is there."""
        if not (self.options.bar and self.first):
            return
        try:
            from ignite.handlers import ProgressBar

            bar = ProgressBar(persist=False, ncols=78, bar_format="{desc} [{n_fmt}/{total_fmt}] {bar} {postfix} {remaining}", desc="epoch")
        except ModuleNotFoundError:
            return
        bar.attach(engine, output_transform=lambda loss: {"loss": f"{loss:.4f}"})
        self._bar = bar

    def epoch(self, row: Row, better: bool) -> None:
        """One line on an epoch."""
        if not self.first:
            return
        room = len(str(self.epochs))
        line = f"epoch {int(row['epoch']):{room}}/{self.epochs}  train loss {loss_text(row['train_loss'])}"
        if "loss" in row:
            line += f"  loss {loss_text(row['loss'])}  accuracy {row['accuracy']:7.2%}"
        self.options.say(f"{line}  {row['seconds']:.1f} s{'  best' if better and 'loss' in row else ''}")
        if self._events is not None:
            for name, value in row.items():
                if name not in ("epoch", "step"):
                    self._events.add_scalar(name, value, int(row["step"]))
            self._events.flush()

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


def summary_writer() -> Any:
    """The class that writes events. Raises TrainError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TrainError(Argument("tensorboard", True), " needs tensorboard, which is not installed: pip install tensorboard") from None
    return SummaryWriter


__all__ = ["Events", "ProgressReporter"]
