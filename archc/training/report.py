"""The lines printed before the first step of a training and after the last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from archc.analysis.cost.report import analyze
from archc.analysis.memory.timeline.bounds import Bound
from archc.analysis.recompute import CheckpointPlan
from archc.data import DataSet
from archc.graph import Graph
from archc.recipe import EarlyStop, Part, Recipe
from archc.text.diagnostics import printable
from archc.text.quantity import bytes_text, counted
from archc.training.distributed import World
from archc.training.memory import images_per_pass, predict_memory


def header(
    graph: Graph, recipe: Recipe, *, data: DataSet, world: World, strategy: str, folder: Path | None, plan: CheckpointPlan | None = None
) -> list[str]:
    """Network, data, batch, optimizer, device, memory, folder."""
    shapes = ", ".join("x".join(map(str, value.shape)) for value in graph.inputs.values())
    parameters = analyze(graph).parameters
    counts = ", ".join(f"{name} {'stream' if split.length is None else f'{split.length:,}'}" for name, split in data.splits().items())
    most = min(recipe.batch, data.train.length or recipe.batch)
    rows = [
        ("network", f"{graph.name}  input {shapes}  {parameters:,} parameters"),
        ("data", f"{data.name}  {counted(len(data.classes), 'class', 'classes')}  images: {counts}"),
        *(("", note) for note in data.notes),
        ("", "" if data.validation is not None else "no validation images: the weights of the last epoch are kept"),
        ("", corrupt_text(data)),
        ("recipe", f"{recipe.epochs} epochs of batch {_batch(recipe, data, world)}, {_part(recipe.optimizer)}"),
        ("", _furniture(recipe)),
        ("device", f"{world.device}{f' and {world.size - 1} more, {strategy}' if world.size > 1 else ''}, {recipe.precision}"),
        ("memory", _memory(predict_memory(graph, replace(recipe, batch=most), world, plan), plan)),
        ("run", "" if folder is None else str(folder)),
    ]
    return [printable(line) for name, text in rows if text for line in _wrap_line(name, text)]


def _memory(found: tuple[int, Bound] | None, plan: CheckpointPlan | None) -> str:
    """What a step needs; a bound has its sign and says why."""
    if found is None:
        return ""
    size, bound = found
    return f"{bound.sign}{bytes_text(size)} predicted for a step{_plan_text(plan)}{': ' if bound.text else ''}{bound.text}"


def _plan_text(plan: CheckpointPlan | None) -> str:
    """How many parts backward recomputes."""
    many = len(plan.regions) if plan else 0
    return f", {counted(many, 'part')} recomputed in backward" if many else ""


def corrupt_text(data: DataSet) -> str:
    many = len(data.corrupt)
    return f"{counted(many, 'image')} cannot be read: left out, named in data.json" if many else ""


def _batch(recipe: Recipe, data: DataSet, world: World) -> str:
    images = data.train.length
    if images is not None and images < recipe.batch:
        return f"{images:,}, which is all of the images in place of {recipe.batch:,}"
    return f"{recipe.batch}" + (f" ({images_per_pass(recipe, world)} at once)" if world.size * recipe.accumulate > 1 else "")


def _part(part: Part) -> str:
    rate = part.options.get("lr")
    return part.name + (f" lr {rate:g}" if isinstance(rate, int | float) else "")


def _furniture(recipe: Recipe) -> str:
    found = [f"{recipe.schedule.name} schedule"]
    found += [f"warm-up {recipe.warmup:g} epochs"] if recipe.warmup else []
    found += [f"ema {recipe.ema:g}"] if recipe.ema is not None else []
    found += [f"{name} {value:g}" for name, value in (("mixup", recipe.mixup), ("cutmix", recipe.cutmix)) if value]
    found += [part.name for part in recipe.augment]
    return ", ".join(found)


def _wrap_line(name: str, text: str, room: int = 70) -> list[str]:
    from textwrap import wrap

    lines = wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [f"{name if not i else '':8}{line}" for i, line in enumerate(lines)]


def stop_text(stop: EarlyStop) -> str:
    many = counted(stop.patience, "epoch")
    return f"ended early: {stop.monitor} was not better for {many}"


def loss_text(loss: float) -> str:
    return f"{loss:.4f}" if abs(loss) < 1e5 else f"{loss:.3e}"


def footer(metrics: Mapping[str, float], folder: Path, seconds: float) -> list[str]:
    """The best epoch, the test, where it lies."""
    lines = []
    if "accuracy" in metrics:
        lines.append(f"best     epoch {int(metrics['epoch'])}: accuracy {metrics['accuracy']:.2%}, loss {loss_text(metrics['loss'])}")
    elif "epoch" in metrics:
        lines.append(f"kept     epoch {int(metrics['epoch'])}, the last: no validation images say which is best")
    if "test_accuracy" in metrics:
        lines.append(f"test     accuracy {metrics['test_accuracy']:.2%}, loss {loss_text(metrics['test_loss'])}")
    lines.append(f"in       {seconds:.1f} s, {folder}")
    return lines
