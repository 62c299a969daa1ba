"""The loop over epochs and steps, on ignite's engine: learning rates, figures, best weights, checkpoints, early stopping."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, field
from typing import cast

from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping

from archc.errors import Argument
from archc.text.quantity import counted
from archc.training.batches import batches
from archc.training.checkpoints import Checkpoint, save, save_tensors
from archc.training.distributed import broadcast_buffers
from archc.training.evaluation import EvaluationReport
from archc.training.options import TrainError
from archc.training.progress import ProgressReporter
from archc.training.record import State, StoppingState
from archc.training.run import Row, RunFolder
from archc.training.schedule import Plateau, factor_of
from archc.training.setup import Setup, wrap_and_compile
from archc.training.state import Mismatch, gather_tensors, load_module, load_optimizer, optimizer_tensors

_SILENT = logging.Logger("archc.train", logging.CRITICAL + 1)  # ignite would tell on standard error of what is told elsewhere


@dataclass(slots=True)
class Progress:
    """What changes from step to step besides tensors: all of it is in a checkpoint."""

    step: int = 0
    loss: float = 0.0  # the sum over the epoch's steps so far
    seconds: float = 0.0  # of the epoch so far
    best: dict[str, float] = field(default_factory=dict)
    stopped: bool = False


class Loop:
    """One training. `run` may be called again after `load`."""

    def __init__(self, setup: Setup, folder: RunFolder, watcher: ProgressReporter) -> None:
        self.setup = setup
        self.folder = folder
        self.watcher = watcher
        self.progress = Progress()
        self.factor = factor_of(setup.recipe, setup.order.steps)
        self.plateau = Plateau.of(setup.recipe)
        self.engine = Engine(lambda engine, batch: setup.stepper(batch))
        self.engine.logger = _SILENT
        self.stopping = self._stopping()
        self._figures: dict[str, float] = {}
        self._since = 0.0
        watcher.attach(self.engine)  # first, so that its bar is gone when a line is written
        for event, handler in (
            (Events.EPOCH_STARTED, self._begin_epoch),
            (Events.ITERATION_STARTED, self._begin_step),
            (Events.ITERATION_COMPLETED, self._end_step),
            (Events.EPOCH_COMPLETED, self._end_epoch),
        ):
            self.engine.add_event_handler(event, handler)

    @property
    def total(self) -> int:
        return self.setup.order.steps * self.setup.recipe.epochs

    def run(self) -> None:
        """To the end, from wherever it is."""
        if self.progress.stopped or self.progress.step >= self.total:
            return
        setup, steps = self.setup, range(self.progress.step, self.total)
        source = batches(setup.data.train, setup.order, steps, setup.world, setup.recipe.data.workers)
        state = {"epoch_length": setup.order.steps, "max_epochs": setup.recipe.epochs, "iteration": self.progress.step}
        self.engine.load_state_dict(state)
        self._since = time.perf_counter()
        self.engine.run(source)

    def _begin_epoch(self, engine: Engine) -> None:
        """What learns from this epoch on. Processes agree anew on whose gradients they wait for."""
        setup = self.setup
        if setup.freezer.begin(engine.state.epoch - 1):
            setup.stepper.forward = wrap_and_compile(setup.stepper.bare, setup.strategy, setup.world, setup.recipe)
        setup.freezer.train()

    def _begin_step(self, engine: Engine) -> None:
        factor = self.factor(engine.state.iteration - 1) * (self.plateau.factor if self.plateau else 1.0)
        self.setup.stepper.rate([rate * factor for rate in self.setup.rates])

    def _end_step(self, engine: Engine) -> None:
        progress, every = self.progress, self.setup.recipe.save_every
        progress.step = engine.state.iteration
        progress.loss += cast(float, engine.state.output)
        if every and progress.step % every == 0 and progress.step % self.setup.order.steps:
            self.save()

    def _end_epoch(self, engine: Engine) -> None:
        progress, setup = self.progress, self.setup
        broadcast_buffers(setup.stepper.bare, setup.world)
        train_loss = progress.loss / setup.order.steps
        report = self.evaluated()
        seconds = progress.seconds + time.perf_counter() - self._since
        progress.loss, progress.seconds, self._since = 0.0, 0.0, time.perf_counter()
        self._figures = {"loss": train_loss} if report is None else report.figures()
        row = self._row(train_loss, report, seconds)
        better = self._better(row)
        if self.plateau:
            self.plateau.take(self._figures)
        if setup.world.first:
            self.folder.add(row)
        if better:
            progress.best = row
            self._save_best()
        if self.stopping is not None:
            self.stopping(engine)
            progress.stopped = engine.should_terminate is not False
        self.save()
        self.watcher.epoch(row, better)

    def evaluated(self) -> EvaluationReport | None:
        """Figures of the validation images, with averaged weights where there are. Nothing is chosen by test images."""
        split = self.setup.data.validation
        if split is None:
            return None
        average, bare = self.setup.stepper.average, self.setup.stepper.bare
        if average is None:
            report = self.setup.evaluator(bare, split)
        else:
            with average.put_in(bare):
                report = self.setup.evaluator(bare, split)
        if not report.images:
            raise TrainError(
                f"{self.setup.data.name} has no validation image that can be read; hold more out: ",
                Argument("data.validation", 0.3),
            )
        return report

    def _row(self, train_loss: float, report: EvaluationReport | None, seconds: float) -> Row:
        rate = max(group["lr"] for group in self.setup.stepper.optimizer.param_groups)
        row = {"epoch": self.progress.step // self.setup.order.steps, "step": self.progress.step, "lr": rate, "train_loss": train_loss}
        return row | ({} if report is None else report.figures()) | {"seconds": round(seconds, 3)}

    def _better(self, row: Row) -> bool:
        best, monitor = self.progress.best, self.setup.recipe.stop.monitor if self.setup.recipe.stop else "accuracy"
        if not best or "loss" not in row:
            return True
        if monitor == "loss" or row["accuracy"] == best["accuracy"]:
            return row["loss"] < best["loss"]
        return row["accuracy"] > best["accuracy"]

    def _stopping(self) -> EarlyStopping | None:
        stop = self.setup.recipe.stop
        if stop is None:
            return None

        def score(engine: Engine) -> float:
            return self._figures["accuracy"] if stop.monitor == "accuracy" else -self._figures["loss"]

        made = EarlyStopping(stop.patience, score, self.engine, stop.least)  # by position: its name is another one in each version
        made.logger = _SILENT
        return made

    def _save_best(self) -> None:
        stepper, world = self.setup.stepper, self.setup.world
        tensors = gather_tensors(stepper.bare.state_dict(), world.first)
        if stepper.average is not None:
            tensors |= gather_tensors(stepper.average.weights, world.first)
        if world.first:
            figures = {name: repr(value) for name, value in self.progress.best.items()}
            save_tensors(self.folder.best, tensors, {"archc": self.setup.graph.name} | figures)

    def save(self) -> None:
        """A checkpoint of this moment. All processes call it together; the first writes."""
        stepper, world, progress = self.setup.stepper, self.setup.world, self.progress
        now = time.perf_counter()
        within = progress.step % self.setup.order.steps != 0
        progress.seconds += now - self._since if within else 0.0
        self._since = now
        broadcast_buffers(stepper.bare, world)
        checkpoint = Checkpoint(
            self._state(),
            gather_tensors(stepper.bare.state_dict(), world.first),
            gather_tensors(optimizer_tensors(stepper.optimizer, stepper.bare), world.first),
            gather_tensors(stepper.average.weights, world.first) if stepper.average else {},
        )
        if world.first:
            save(self.folder.checkpoints, checkpoint)

    def _state(self) -> State:
        progress, stopping = self.progress, self.stopping
        return State(
            step=progress.step,
            loss=progress.loss,
            seconds=progress.seconds,
            best=progress.best,
            stopped=progress.stopped,
            steps=self.setup.order.steps,
            scaler=self.setup.stepper.scaler.state_dict(),
            plateau=self.plateau.state() if self.plateau else None,
            stopping=StoppingState(stopping.counter, stopping.best_score) if stopping else None,
        )

    def load(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint. Raises Mismatch where it is of another training."""
        stepper, state = self.setup.stepper, checkpoint.state
        if checkpoint.step > self.total:
            raise Mismatch(f"it is beyond the {counted(self.total, 'step')} that the recipe has")
        if state.steps != self.setup.order.steps:
            raise Mismatch(f"an epoch had {state.steps} steps, and has {self.setup.order.steps} now")
        load_module(stepper.bare, checkpoint.model)
        load_optimizer(stepper.optimizer, stepper.bare, checkpoint.optimizer)
        if stepper.average is not None:
            stepper.average.load(checkpoint.average)
        self.progress = Progress(checkpoint.step, state.loss, state.seconds, dict(state.best), state.stopped)
        if self.plateau and state.plateau:
            self.plateau.load(state.plateau)
        if self.stopping is not None and state.stopping:
            self.stopping.load_state_dict({**self.stopping.state_dict(), **asdict(state.stopping)})  # the rest is the recipe's
        if state.scaler.keys() != stepper.scaler.state_dict().keys():
            raise Mismatch("it was trained with another precision")
        stepper.scaler.load_state_dict(state.scaler)
