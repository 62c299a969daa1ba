"""The memory of a training by the analysis: what a step needs, the batch that fits, and what to do where memory ran out."""

from __future__ import annotations

import os
from dataclasses import replace

import torch

from archc.analysis.memory.fit import Fitting
from archc.analysis.memory.timeline import Options, training
from archc.analysis.memory.timeline.bounds import Bound, unstated
from archc.analysis.recompute import CheckpointPlan
from archc.catalog.devices.capacity import CONTEXT, WORKSPACES
from archc.catalog.optimizers import OPTIMIZERS
from archc.graph import Graph
from archc.recipe import Recipe
from archc.text.quantity import bytes_text, counted
from archc.training.distributed import World
from archc.training.options import TrainError

MOST_ON_CPU = 64  # more images at once are no faster there, and a small batch learns more in an epoch
PART = 0.9  # of a CPU's free memory: other programs take some


def allocatable(world: World, size: int, started: bool) -> int:
    """What of a size is for tensors: on a GPU, less what is stated for cuDNN and, where the program has not `started`, its context."""
    if world.device.type != "cuda":
        return int(PART * size)
    return max(size - WORKSPACES - (0 if started else CONTEXT), 0)


def options_of(recipe: Recipe, world: World, images: int) -> Options:
    """The options of a step of one process, with so many images in each of its passes."""
    how = "fused" if OPTIMIZERS[recipe.optimizer.name].fused else ""
    amp = recipe.precision if recipe.precision in ("bfloat16", "float16") else ""
    dtype = "float64" if recipe.precision == "float64" else "float32"
    device = "cuda" if world.device.type == "cuda" else "cpu"
    loss = "mse" if recipe.loss.name == "mse" else "auto"
    part, batch = recipe.optimizer, images * recipe.accumulate
    return Options(
        batch=batch,
        dtype=dtype,
        optimizer=part.name,
        arguments=part.options,
        how=how,
        loss=loss,
        device=device,
        amp=amp,
        accumulate=recipe.accumulate,
    )


def images_per_pass(recipe: Recipe, world: World) -> int:
    """Images of a pass of one process."""
    return max(1, -(-recipe.batch // (world.size * recipe.accumulate)))


def predict_memory(graph: Graph, recipe: Recipe, world: World, plan: CheckpointPlan | None = None) -> tuple[int, Bound] | None:
    """Bytes of one process's training, averaged weights included, and how exact they are; None where the analysis knows no answer."""
    try:
        found = training(graph, options_of(recipe, world, images_per_pass(recipe, world)), plan)
        return found.needed_bytes + _average(graph, recipe), found.bound
    except ValueError:
        return None


def _average(graph: Graph, recipe: Recipe) -> int:
    from archc.analysis.cost.report import analyze

    return 0 if recipe.ema is None else 4 * analyze(graph).parameters


def free_bytes(world: World) -> int:
    """What the device has left for this process."""
    if world.device.type == "cuda":
        return int(torch.cuda.mem_get_info(world.device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // world.size
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def choose_batch(graph: Graph, recipe: Recipe, images: int | None, world: World, plan: CheckpointPlan | None = None) -> tuple[Recipe, str]:
    """The recipe with `batch: fit` worked out, and a line on what was chosen. All processes choose the least of theirs.

    Raises TrainError where not one image fits, and where it is not known what does.
    """
    if recipe.batch:
        return recipe, ""
    if kinds := unstated(graph):
        reason = f"{', '.join(kinds)} does not state what backward keeps (`keeps`), so that no largest batch is known"
        raise TrainError(f"batch: fit: {reason}; write a number, as `batch: 32`")
    memory = allocatable(world, free_bytes(world), started=True) - _average(graph, recipe)
    most = Fitting(graph, plan=plan).largest(options_of(recipe, world, 1), memory) // recipe.accumulate
    if not most:
        raise TrainError(f"batch: fit: not one image fits {bytes_text(memory)} of free memory; `archc fit` shows what else would")
    passes = world.size * recipe.accumulate
    chosen = most if world.device.type == "cuda" else min(most, max(1, MOST_ON_CPU // passes))
    chosen = chosen - chosen % 8 if chosen > 8 else chosen
    if images is not None:
        chosen = max(1, min(chosen, images // passes))
    chosen = min(int(answer) for answer in world.gather(str(chosen)))
    why = f"of {most:,} that fit {bytes_text(memory)}" if chosen < most else f"the most that {bytes_text(memory)} take"
    return replace(recipe, batch=chosen * passes), f"batch: fit chose {counted(chosen * passes, 'image')} a step: {chosen:,} at once, {why}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    out_of_memory = isinstance(error, RuntimeError) and any(text in str(error) for text in ("allocate memory", "out of memory"))
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or out_of_memory


def out_of_memory_text(graph: Graph, recipe: Recipe, world: World, plan: CheckpointPlan | None = None) -> str:
    """What was asked, what the analysis predicts for it, and what would fit."""
    images = images_per_pass(recipe, world)
    total = torch.cuda.get_device_properties(world.device).total_memory if world.device.type == "cuda" else free_bytes(world)
    options = options_of(recipe, world, images)
    lines = [f"memory ran out: {world.device} has {bytes_text(total)}, and {counted(images, 'image')} at once"]
    try:
        fitting = Fitting(graph, plan=plan)
        found = fitting.timeline(options)
        lines.append(f"of {graph.name} need {found.amount_text(found.needed_bytes)} by the memory analysis. What would fit:")
        for alternative in fitting.alternatives(options, allocatable(world, total, started=False), options.batch):
            if alternative.largest:
                name = "as it is" if alternative.name == "as asked" else alternative.name
                lines.append(f"  {name}: at most {counted(alternative.largest // recipe.accumulate, 'image')} at once")
        lines.append(f"Write a smaller batch, accumulate: {2 * recipe.accumulate}, or batch: fit;")
        lines.append(f"`archc fit {graph.name}` shows more.")
    except ValueError:
        lines.append(f"of {graph.name} were too many: write a smaller batch, or accumulate: {2 * recipe.accumulate}.")
    return "\n".join(lines)
