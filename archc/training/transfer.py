"""Transfer learning: which tensors of a new head begin anew, and a linear classifier on features that are computed once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from archc.data import DataSet, Normalization, Split
from archc.elaborate.compiler import compile_text
from archc.elaborate.initial import Tensors
from archc.errors import Head
from archc.graph import Graph, Node
from archc.recipe import Recipe
from archc.runtime.weights.load import UnfitWeights
from archc.training.options import TrainError

Floats = npt.NDArray[np.float32]
FEATURES = "features"  # the format of a set that holds them
_CHUNK = 256  # images at once


def new_tensors(before: Graph, after: Graph) -> list[str]:
    """The tensors of a network that another form of it has not, or has in another shape: the replaced head.

    Raises TrainError where that is nothing, or all of it.
    """
    old = {tensor.name: tensor.weight.shape for tensor in Tensors(before).all}
    new = {tensor.name: tensor.weight.shape for tensor in Tensors(after).all}
    fresh = [name for name, shape in new.items() if old.get(name) != shape]
    if not fresh:
        raise TrainError(f"nothing in {after.name} was replaced: no tensor changed its shape")
    if len(fresh) == len(new):
        raise TrainError(f"all tensors of {after.name} changed their shapes: nothing of the weights would be left")
    return fresh


def head_named(error: UnfitWeights, graph: Graph) -> UnfitWeights:
    """The error, with how a new head is begun where the file differs from the network by the size of its head alone."""
    outputs = str(next(iter(graph.deployed().outputs.values())).shape[0])
    heads = [one.file and one.network.partition("x")[0] == outputs and one.file.partition("x")[2] == one.network.partition("x")[2]
             for one in error.skipped]  # fmt: skip
    if not heads or not all(heads):
        return error
    told = Head("classes", int(outputs)), " would begin a new head"
    return UnfitWeights(*error.parts, "\n", *told, skipped=error.skipped)


def classifier(graph: Graph) -> Node:
    """The linear layer that gives the main output, from a vector. Raises TrainError where something else does."""
    output = next(iter(graph.deployed().outputs.values()))
    node = output.node
    if node is None or node.kind != "linear" or len(node.inputs[0].shape) != 1:
        place = "the input itself" if node is None else f"{node.name} ({node.kind})"
        raise TrainError(f"features are for a linear layer at the end; the output of {graph.name} comes from {place}")
    tied = [one for other in graph.nodes for tie in other.ties.values() for one in (other, tie.node)]
    if node in tied:
        raise TrainError(f"{node.name} is tied to another layer: features are for a linear layer at the end with weights of its own")
    if node.shared is not None or any(other.shared is node for other in graph.nodes):
        raise TrainError(f"{node.name} is applied more than once: features are for a linear layer at the end alone")
    return node


def classifier_graph(graph: Graph) -> Graph:
    """The classifier as a network of its own, from the features."""
    node = classifier(graph)
    bias = "true" if any(weight.role == "bias" for weight in node.facts.owned) else "false"
    width, classes = int(node.inputs[0].shape[0]), int(node.output.shape[0])
    layer = f"{FEATURES}: {{linear: {{features: {classes}, bias: {bias}}}}}"
    text = f"archc: 1\nname: classifier\ninput: [{width}]\nlayers:\n  {layer}\n"
    made = compile_text(text).graph
    assert made is not None
    return made


def classifier_recipe(recipe: Recipe) -> Recipe:
    """The same training, as far as features can have it: images are seen once, as they are."""
    nothing: dict[str, float] = {}
    plain = replace(recipe, optimize=False, checkpoint="none")
    return replace(plain, augment=(), mixup=0.0, cutmix=0.0, heads=nothing, rates=nothing, freeze=(), unfreeze={})


class _Stored:
    """Features as a set's reader gives them."""

    def __init__(self, values: Floats, names: list[str]) -> None:
        self.values = values
        self.names = names

    def read(self, rows: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.int64]]:
        return self.values[rows], np.arange(len(rows))

    def name(self, row: int) -> str:
        return self.names[row]

    def key(self, row: int) -> str:
        return self.names[row]

    def digest(self, rows: npt.NDArray[np.int64]) -> str:
        """None: features differ in their last digits from machine to machine; the run around has that of the images."""
        return ""


@torch.no_grad()
def features(
    graph: Graph, module: nn.Module, split: Split, prepare: Callable[[Tensor], Tensor], device: torch.device
) -> tuple[Floats, list[int]]:
    """What the classifier is given for each image, [N, D], in eval mode; and the indices of the images that could be read."""
    caught: list[Tensor] = []
    hook = module.get_submodule(classifier(graph).name).register_forward_pre_hook(
        lambda layer, given: caught.append(given[0].float().cpu())
    )
    was, read = module.training, list[int]()
    module.eval()
    try:
        for start in range(0, len(split), _CHUNK):
            for index, images in _readable(split, range(start, min(start + _CHUNK, len(split)))):
                read.extend(index)
                module(prepare(torch.from_numpy(images).to(device)))
    finally:
        hook.remove()
        module.train(was)
    return (torch.cat(caught).numpy() if caught else np.zeros((0, 0), np.float32)), read


def _readable(split: Split, indices: Collection[int]) -> list[tuple[list[int], npt.NDArray[np.uint8]]]:
    """The images of some indices at once; one by one where files among them are skipped."""
    images, _ = split.read(list(indices))
    if len(images) == len(indices):
        return [(list(indices), images)]
    found = [(index, split.read([index])[0]) for index in indices]
    return [([index], image) for index, image in found if len(image)]


def extract_features(graph: Graph, module: nn.Module, data: DataSet, prepare: Callable[[Tensor], Tensor], device: torch.device) -> DataSet:
    """The same set, with features in place of images. Raises TrainError for shards, whose images are not at hand."""
    if data.train.length is None:
        raise TrainError("shards are a stream: features are computed of images that have an index")

    def made(split: Split) -> Split:
        values, read = features(graph, module, split, prepare, device)
        return Split(_Stored(values, [split.name(i) for i in read]), np.arange(len(read)), split.labels[read])  # type: ignore[arg-type]

    splits = {name: made(split) for name, split in data.splits().items()}
    width, plain = int(classifier(graph).inputs[0].shape[0]), Normalization((0.0,), (1.0,))
    return DataSet(
        name=data.name,
        format=FEATURES,
        classes=data.classes,
        shape=(width, 1, 1),
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        corrupt=data.corrupt,
        measure=lambda split: plain,
        notes=data.notes,
    )


@torch.no_grad()
def put_classifier(graph: Graph, module: nn.Module, trained: nn.Module) -> None:
    """The trained classifier into the network."""
    layer = module.get_submodule(classifier(graph).name)
    layer.load_state_dict(trained.get_submodule(FEATURES).state_dict())
