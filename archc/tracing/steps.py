"""What is written down of a run: calls of modules, the steps in them, what rules say of a function, what stands for a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


class Unsaid(Exception):
    """Why no operator says what a function does."""


@dataclass(frozen=True)
class Layer:
    """An operator with its arguments, on tensors of the run.

    inputs: the tensors, or layers that give them; none where the layer before it in the same list gives them
    weights: the operator's names for the tensors that it owns, with the tensors
    output: which of its outputs passes on, where the function has one result and the operator several
    result: which of the function's results it is, where each has a layer of its own
    """

    kind: str
    inputs: tuple[Tensor | Layer, ...] = ()
    args: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    label: str = ""
    output: int | None = None
    result: int | None = None

    @property
    def owned(self) -> Iterator[tuple[str, Tensor]]:
        """Its weights, and those of the layers that it is given."""
        for one in self.inputs:
            if isinstance(one, Layer):
                yield from one.owned
        yield from self.weights.items()


@dataclass(frozen=True, slots=True)
class Invocation:
    """A function as it was called, or a module that is one step.

    name: the function's, as rules know it, or the module's class
    label: what its step is called, if not by that name
    owned: parameters and buffers that it uses beside those it is given
    """

    func: Callable[..., Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    name: str
    label: str = ""
    owned: tuple[Tensor, ...] = ()


class WholeNumbers(Exception):
    """An input that is looked up in a table, and was given as numbers with a fraction."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the input {name} holds whole numbers")
        self.name = name


@dataclass(eq=False, repr=False)
class Unit:
    """A call of a module: `path` is the module's name in the model, `calls` what it did, in order."""

    path: str
    cls: str
    parent: Unit | None
    children: list[Unit | Call] = field(default_factory=list)
    place: str = ""

    def calls(self) -> Iterator[Call]:
        for child in self.children:
            if isinstance(child, Call):
                yield child
            else:
                yield from child.calls()


@dataclass(eq=False, repr=False)
class Call:
    """A step: an operator of archc with its arguments, or `opaque`.

    inputs: the steps, or names of the network's inputs, and which of their outputs
    shapes: of the outputs, with the batch; None where a step is one of several for one function, and not the last
    weights: the parameters and buffers of the model that it uses, by the operator's name for them
    view: whether the outputs share the storage of the first input
    joined: how many entries of another axis the batch axis of each output holds for each image
    count: the MACs of all images by torch's counter, None where that does not know them; asked of opaque steps alone
    """

    kind: str
    args: dict[str, Any]
    inputs: tuple[Ref, ...]
    shapes: tuple[tuple[int, ...], ...] | None
    unit: Unit
    label: str
    weights: dict[str, str] = field(default_factory=dict)
    dtypes: tuple[torch.dtype, ...] = ()
    view: bool = False
    joined: int = 1
    count: Callable[[], int | None] = lambda: 0
    place: str = ""
    why: str = ""
    train_only: bool = False
    own_path: str = ""


Ref = tuple[Call | str, int]


@dataclass(frozen=True)
class Constant:
    """A tensor that no input bears on: the names of the parameters and buffers it is made of.

    own: whether it is one of them as it is; moved: whether it has the values of one in another shape
    keep: the probability of the ones in a tensor of random ones and zeros
    least: of a tensor of random numbers, drawn evenly from a range of one
    """

    names: tuple[str, ...] = ()
    own: bool = False
    moved: bool = False
    keep: float | None = None
    least: float | None = None


@dataclass
class Bound:
    """What stands for a tensor. It holds the tensor, whose id would be used again.

    late: what wrote over a part of it
    batch_axis: the axis of the images
    joined: how many entries of another axis that axis holds for each image
    """

    tensor: Tensor
    ref: Ref
    late: Ref | None = None
    batch_axis: int = 0
    joined: int = 1


Rule = Callable[..., Layer | list[Layer]]
Rules = dict[str, Rule]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors_in(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from tensors_in(one)
