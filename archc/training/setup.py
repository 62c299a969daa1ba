"""Builds and checks what the training loop needs: module, optimizer, loss, images and their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from archc.analysis.recompute import CheckpointPlan, plan_of
from archc.catalog.optimizers import OPTIMIZERS
from archc.data import DataSet, Normalization, check_classes, open_data
from archc.errors import Argument
from archc.graph import Graph
from archc.recipe import Recipe
from archc.runtime.build.build import BuildOptions, build_with_report
from archc.runtime.build.optimizers import optimizer as optimizer_by_name
from archc.runtime.weights.load import UnfitWeights
from archc.text.quantity import counted
from archc.training.augment import Augmentation, mix
from archc.training.batches import DataOrder, mix_seed, pass_sizes
from archc.training.distributed import World, strategy_of, wrap_module
from archc.training.ema import Average
from archc.training.evaluation import Evaluator
from archc.training.losses import LOSSES, loss_of
from archc.training.options import TrainError, TrainOptions
from archc.training.parameters import Freezer, parameter_groups
from archc.training.progress import summary_writer
from archc.training.step import HALF, Prepare, Stepper
from archc.training.transfer import FEATURES, head_named

Group = dict[str, Any]
_FUSED_IN_PIECES = {"adam", "adamw"}  # the fused kernels that PyTorch has for tensors that lie in pieces on processes


@dataclass(slots=True, kw_only=True)
class Setup:
    """A training that can begin. `rates` are the learning rates of the optimizer's groups before any schedule."""

    graph: Graph
    recipe: Recipe
    data: DataSet
    world: World
    order: DataOrder
    stepper: Stepper
    evaluator: Evaluator
    freezer: Freezer
    rates: list[float]
    strategy: str
    plan: CheckpointPlan | None = None


def input_shape(graph: Graph) -> tuple[int, ...]:
    """[C, H, W] of the one input. Raises TrainError."""
    shapes = {name: tuple(map(int, value.shape)) for name, value in graph.inputs.items()}
    if len(shapes) != 1 or len(next(iter(shapes.values()))) != 3:
        shapes_text = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
        raise TrainError(f"{graph.name} takes {shapes_text}; only networks that take one image, as 3x32x32, are trained here")
    return next(iter(shapes.values()))


def main_output(graph: Graph) -> str:
    """The output that tells the class: the first that is there in deployment."""
    return next(iter(graph.deployed().outputs))


def check_data(graph: Graph, data: DataSet, loaded: bool = False) -> None:
    """Raises TrainError or DataError where data and network do not fit. `loaded`: whether the network starts from weights."""
    name = main_output(graph)
    shape = tuple(map(int, graph.outputs[name].shape))
    if len(shape) != 1:
        raise TrainError(f"{graph.name} gives {'x'.join(map(str, shape))} at its output {name}, not one number for each class")
    count = len(data.classes)
    other = next((output for output, value in graph.deployed().outputs.items() if value.shape == (count,)), name)
    if shape[0] != count and other != name:
        raise TrainError(
            f"{data.name} has {counted(count, 'class', 'classes')}, and {name}, the first output of {graph.name}, is {shape[0]}; "
            f"where {other} gives the classes, put it first in `outputs`"
        )
    check_classes(data, shape[0], loaded)


def open_training_data(graph: Graph, recipe: Recipe, loaded: bool = False) -> DataSet:
    """The images to train on. Raises TrainError or DataError where they do not go with the network and the recipe."""
    data = open_data(recipe.data, input_shape(graph), recipe.seed)
    check_data(graph, data, loaded)
    check_outputs(graph, recipe, len(data.classes))
    check_figures(recipe, data)
    return data


def plan_for(graph: Graph, recipe: Recipe, options: TrainOptions) -> CheckpointPlan | None:
    """What backward recomputes: the caller's plan, or the one that the recipe names."""
    if options.checkpoint is not None or recipe.checkpoint == "none":
        return options.checkpoint
    return plan_of(graph, recipe.checkpoint)


def setup(graph: Graph, recipe: Recipe, data: DataSet, world: World, options: TrainOptions) -> Setup:
    """Builds all of it. Raises TrainError, WeightsError, PlaceError."""
    torch.manual_seed(mix_seed(recipe.seed, 0))
    plan = plan_for(graph, recipe, options)
    module = first_build(graph, recipe, world, options, plan)
    strategy = strategy_of(recipe.strategy, module, world)
    if strategy == "fsdp" and recipe.unfreeze:
        raise TrainError("unfreeze: with fsdp, weights cannot start to learn later; write strategy: ddp")
    freezer = Freezer(module, recipe)
    freezer.begin(0)
    freezer.train()
    forward = wrap_and_compile(module, strategy, world, recipe)
    groups = parameter_groups(module, graph, recipe)  # of the tensors as they lie on the processes
    if not groups:
        raise TrainError(f"{graph.name} has nothing to learn: it has no weights, or all of them are frozen")
    order = order_of(recipe, data, world)
    check_passes(graph, recipe, module, order)
    stepper = _stepper(
        graph=graph, recipe=recipe, data=data, world=world, module=module, forward=forward, groups=groups, images=order.images_of_step
    )
    judge = evaluator(graph, recipe, data, world, len(data.classes))
    rates = [float(group["lr"]) for group in stepper.optimizer.param_groups]
    return Setup(
        graph=graph,
        recipe=recipe,
        data=data,
        world=world,
        order=order,
        stepper=stepper,
        evaluator=judge,
        freezer=freezer,
        rates=rates,
        strategy=strategy,
        plan=plan,
    )


def wrap_and_compile(module: nn.Module, strategy: str, world: World, recipe: Recipe) -> nn.Module:
    """The module as all processes call it, compiled where that is wished."""
    forward = wrap_module(module, strategy, world)
    return cast(nn.Module, torch.compile(forward)) if recipe.compile else forward


def order_of(recipe: Recipe, data: DataSet, world: World) -> DataOrder:
    """Raises TrainError where a step has not an image for each pass of each process."""
    images = data.train.length or recipe.data.images or sum(data.train.counts(len(data.classes)))
    order = DataOrder(images, recipe.batch, recipe.seed, world.rank, world.size, recipe.accumulate)
    passes = world.size * recipe.accumulate
    if order.images_of_step < passes:
        raise TrainError(
            f"{order.images_of_step} images a step are too few for {world.size} processes with {recipe.accumulate} passes each"
        )
    return order


def first_build(graph: Graph, recipe: Recipe, world: World, options: TrainOptions, plan: CheckpointPlan | None = None) -> nn.Module:
    """The network to start from; what was loaded into it is said. Raises WeightsError, PlaceError."""
    try:
        module, loaded = build_with_report(graph, replace(initial_build(recipe, world, options), checkpoint=plan))
    except UnfitWeights as error:
        raise head_named(error, graph) from None
    if loaded is not None and world.first:
        options.say(loaded.text())
    return module


def initial_build(recipe: Recipe, world: World, options: TrainOptions) -> BuildOptions:
    """How the network is built that a training starts from."""
    device = str(world.device)
    dtype = "float64" if recipe.precision == "float64" else None
    optimize = "train" if recipe.optimize else ""
    return BuildOptions(
        device=device,
        dtype=dtype,
        weights=options.weights,
        rename=tuple(options.rename),
        partial=options.partial,
        optimize=optimize,
        fresh=options.fresh,
    )


def _stepper(
    *, graph: Graph, recipe: Recipe, data: DataSet, world: World, module: nn.Module, forward: nn.Module, groups: list[Group], images: int
) -> Stepper:
    heads = tuple(graph.heads)
    optimizer = make_optimizer(recipe, groups)
    return Stepper(
        bare=module,
        forward=forward,
        optimizer=optimizer,
        scaler=torch.amp.GradScaler(world.device.type, enabled=recipe.precision == "float16"),
        loss=loss_of(recipe, main_output(graph), heads),
        prepare=preparation(graph, recipe, data, world),
        world=world,
        images=images,
        seed=recipe.seed,
        precision=recipe.precision,
        clip=recipe.clip,
        accumulate=recipe.accumulate,
        average=None if recipe.ema is None else Average(module, recipe.ema),
    )


def make_optimizer(recipe: Recipe, groups: list[Group]) -> torch.optim.Optimizer:
    """The recipe's optimizer over groups of parameters: fused as archc.optimizer chooses for all of them."""
    everything = [parameter for group in groups for parameter in group["params"]]
    options = {name: value for name, value in recipe.optimizer.options.items() if value is not None}
    name = recipe.optimizer.name
    if OPTIMIZERS[name].fused and name not in _FUSED_IN_PIECES and any(isinstance(parameter, DTensor) for parameter in everything):
        options["fused"] = False
    made = optimizer_by_name(everything, name, **options)
    made.param_groups.clear()
    for group in groups:
        made.add_param_group(group)
    return made


def make_preprocessing(graph: Graph, recipe: Recipe, data: DataSet | Normalization, world: World) -> Callable[[Tensor, int, bool], Tensor]:
    """From images as they were read to what the network takes: augmented in training, cut to its size, normalized. Features stay."""
    if isinstance(data, DataSet) and data.format == FEATURES:
        return lambda values, number, train: values
    normalization = data.normalization if isinstance(data, DataSet) else data
    height, width = input_shape(graph)[1:]
    return Augmentation(recipe.augment, normalization, recipe.seed, world.rank, world.size, (height, width))


def preparation(graph: Graph, recipe: Recipe, data: DataSet, world: World) -> Prepare:
    """What training does with the images and labels of a pass: changed and mixed as its number, the seed and the process say."""
    augmentation, finish, classes = make_preprocessing(graph, recipe, data, world), _form(recipe), len(data.classes)

    def prepare(images: Tensor, labels: Tensor, number: int) -> tuple[Tensor, Tensor]:
        seen = augmentation(images, number, True)
        if recipe.mixup or recipe.cutmix:
            generator = torch.Generator().manual_seed(mix_seed(recipe.seed, number, world.rank, 1))
            seen, labels = mix(seen, labels, classes, recipe, generator)
        return finish(seen), labels

    return prepare


def _form(recipe: Recipe) -> Callable[[Tensor], Tensor]:
    """The dtype and the order of memory that the network works in."""
    dtype = torch.float64 if recipe.precision == "float64" else torch.float32
    layout = torch.channels_last if recipe.optimize else torch.contiguous_format
    return lambda images: images.to(dtype, memory_format=layout if images.ndim == 4 else torch.contiguous_format)


def evaluator(graph: Graph, recipe: Recipe, data: DataSet | Normalization, world: World, classes: int) -> Evaluator:
    dtype = HALF.get(recipe.precision)
    augmentation, finish = make_preprocessing(graph, recipe, data, world), _form(recipe)

    def autocast() -> torch.autocast:
        return torch.autocast(world.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)

    def prepare(images: Tensor) -> Tensor:
        return finish(augmentation(images, 0, False))

    return Evaluator(prepare, LOSSES[recipe.loss.name](recipe), autocast, world, classes, main_output(graph))


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


def check_tracker(options: TrainOptions) -> None:
    """Raises TrainError where what shall be written for cannot be written."""
    if options.tensorboard:
        summary_writer()


def check_passes(graph: Graph, recipe: Recipe, module: nn.Module, order: DataOrder) -> None:
    """Raises TrainError where a pass has fewer images than a normalization needs. Those in eval mode need none, unless they thaw."""
    least = smallest_pass(order)
    for node in graph.nodes:
        if node.facts.min_batch > least and (module.get_submodule(node.name).training or recipe.unfreeze):
            why = f"a pass of {least} image gives it one value a channel, which has no variance"
            raise TrainError(f"{node.name} ({node.kind} of {node.output.shape}) cannot be trained so: {why}; ", *_larger(order))


def smallest_pass(order: DataOrder) -> int:
    """The fewest images of a pass, over all processes."""
    ranks = (DataOrder(order.images, order.batch, order.seed, rank, order.size, order.accumulate) for rank in (0, order.size - 1))
    return min(min(pass_sizes(indices), default=0) for indices in ranks)


def _larger(order: DataOrder) -> list[str | Argument]:
    many = order.size * order.accumulate
    if order.images < 2 * many:
        return [f"{counted(order.images, 'image')} for {many} passes: use more images, or fewer passes"]
    return ["write ", Argument("batch", 2 * many), *([] if many > 1 else [" or more"])]
