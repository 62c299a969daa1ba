"""What a training would fail at, or do otherwise than is meant: said before a file is written."""

from __future__ import annotations

from torch import nn

from archc.data import DataSet
from archc.errors import Argument
from archc.graph import Graph
from archc.recipe import Recipe
from archc.training.order import Order
from archc.training.streaming import pass_sizes
from archc.training.watching import summary_writer
from archc.training.wishes import TrainError, Wishes


def check_outputs(graph: Graph, recipe: Recipe, classes: int) -> None:
    """Raises TrainError where there is no loss for an output: labels are classes, and it has not a number for each."""
    main = next(iter(graph.deployed().outputs))
    for name, value in (graph.outputs | graph.heads).items():
        if name != main and value.shape != (classes,) and recipe.heads.get(name) != 0:
            raise TrainError(
                f"{graph.name} has an output without a loss: {name} is {_size(value.shape)}, and the labels are {classes} classes; "
                "leave it out of `outputs`, or let it learn nothing: ",
                Argument(f"heads.{name}", 0),
            )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def check_figures(recipe: Recipe, data: DataSet) -> None:
    """Raises TrainError where something waits for figures of validation images, and there are none."""
    if data.validation is not None:
        return
    reason = "no class has an image that could be held out" if recipe.data.validation else "data.validation is 0"
    found = {"schedule plateau": ("figures", "take another schedule, as cosine")} if recipe.schedule.name == "plateau" else {}
    found |= {"stop": (recipe.stop.monitor, "leave `stop` out")} if recipe.stop is not None else {}
    for name, (watched, without) in found.items():
        raise TrainError(
            f"{name} watches the {watched} of validation images, and {data.name} has none: {reason}; to hold some out write ",
            Argument("data.validation", 0.1),
            f", or {without}",
        )


def check_tracker(wishes: Wishes) -> None:
    """Raises TrainError where what shall be written for cannot be written."""
    if wishes.tensorboard:
        summary_writer()


def check_passes(graph: Graph, recipe: Recipe, module: nn.Module, order: Order) -> None:
    """Raises TrainError where a pass has fewer images than a normalization needs. Those in eval mode need none, unless they thaw."""
    least = smallest_pass(order)
    for node in graph.nodes:
        if node.facts.min_batch > least and (module.get_submodule(node.name).training or recipe.unfreeze):
            why = f"a pass of {least} image gives it one value a channel, which has no variance"
            raise TrainError(f"{node.name} ({node.kind} of {node.output.shape}) cannot be trained so: {why}; ", *_larger(order))


def smallest_pass(order: Order) -> int:
    """The fewest images of a pass, over all processes."""
    ranks = (Order(order.images, order.batch, order.seed, rank, order.size, order.accumulate) for rank in (0, order.size - 1))
    return min(min(pass_sizes(one), default=0) for one in ranks)


def _larger(order: Order) -> list[str | Argument]:
    many = order.size * order.accumulate
    if order.images < 2 * many:
        return [f"there are {order.images} images for {many} passes: more images, or fewer passes"]
    return ["write ", Argument("batch", 2 * many), *([] if many > 1 else [" or more"])]
