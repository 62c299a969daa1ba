"""What is said before the first step and after the last one, in lines of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from archc.analysis.cost import analyze
from archc.data import DataSet
from archc.graph import Graph
from archc.recipe import Part, Recipe
from archc.table import bytes_text
from archc.text.diagnostics import printable
from archc.training.distributed import World
from archc.training.memory import each, predicted


def header(graph: Graph, recipe: Recipe, data: DataSet, world: World, strategy: str, folder: Path | None) -> list[str]:
    """Network, data, batch, optimizer, device, memory, folder."""
    shapes = ", ".join("x".join(map(str, value.shape)) for value in graph.inputs.values())
    parameters = analyze(graph).parameters
    counts = ", ".join(f"{name} {'stream' if one.length is None else f'{one.length:,}'}" for name, one in data.splits().items())
    memory = predicted(graph, recipe, world)
    rows = [
        ("network", f"{graph.name}  input {shapes}  {parameters:,} parameters"),
        ("data", f"{data.name}  {len(data.classes)} classes  images: {counts}"),
        ("recipe", f"{recipe.epochs} epochs of batch {recipe.batch}{_split(recipe, world)}, {_part(recipe.optimizer)}"),
        ("", _furniture(recipe)),
        ("device", f"{world.device}{f' and {world.size - 1} more, {strategy}' if world.size > 1 else ''}, {recipe.precision}"),
        ("memory", "" if memory is None else f"{bytes_text(memory)} predicted for a step"),
        ("run", "" if folder is None else str(folder)),
    ]
    return [printable(line) for name, text in rows if text for line in _wrapped(name, text)]


def _split(recipe: Recipe, world: World) -> str:
    return f" ({each(recipe, world)} at once)" if world.size * recipe.accumulate > 1 else ""


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


def _wrapped(name: str, text: str, room: int = 70) -> list[str]:
    from textwrap import wrap

    lines = wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [f"{name if not i else '':8}{line}" for i, line in enumerate(lines)]


def footer(metrics: Mapping[str, float], folder: Path, seconds: float) -> list[str]:
    """The best epoch, the test, where it lies."""
    lines = []
    if "accuracy" in metrics:
        lines.append(f"best     epoch {int(metrics['epoch'])}: accuracy {metrics['accuracy']:.2%}, loss {metrics['loss']:.4f}")
    if "test_accuracy" in metrics:
        lines.append(f"test     accuracy {metrics['test_accuracy']:.2%}, loss {metrics['test_loss']:.4f}")
    lines.append(f"in       {seconds:.1f} s, {folder}")
    return lines
