"""The tensors of a run: what stands for each, and what rules ask of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archc.tracing.recipes import Recipes
from archc.tracing.steps import Bound, Constant, Layer, Ref, Unsaid
from archc.tracing.values import Values

unseen = torch._C.DisableTorchFunction  # no mode sees what is done within: asking a tensor for its shape costs a tenth then


class Tensors:
    """What is known of each tensor of a run.

    batch: the size of the first axis of the inputs
    origin: the tensors of the model, where they have no values, each with one that has them
    shared: names of parameters that several steps read, where an operator of one of them would have them for itself
    """

    def __init__(
        self, model: nn.Module, inputs: dict[str, Tensor], batch: int, origin: Sequence[tuple[Tensor, Tensor]], shared: frozenset[str]
    ) -> None:
        super().__init__()
        self.batch, self.shared = batch, shared
        self.dtype = own_dtype(model)
        self.shapes = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
        self.dtypes = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in inputs.items()}
        self._bound: dict[int, Bound] = {}
        self._by_storage: dict[int, list[Bound]] = {}
        self._constants: dict[int, Constant] = {}
        self._zeros: set[int] = set()
        self._owned: dict[str, Tensor] = {}
        self._values = Values(origin)
        self._recipes = Recipes(batch)
        parameters = list(model.named_parameters())
        self._parameters = {key: name for name, one in parameters for key in (id(one), storage_of(one))}
        for name, tensor in [*parameters, *model.named_buffers()]:
            self._constants[id(tensor)] = Constant((name,), own=True)
            self._owned[name] = tensor
        for name, tensor in inputs.items():
            self._bind(tensor, (name, 0))

    def live(self, value: Any) -> bool:
        """Whether a value is a tensor that depends on the inputs."""
        return isinstance(value, Tensor) and id(value) in self._bound

    def constant(self, value: Any) -> Constant:
        return self._constants.get(id(value), Constant())

    def owned(self, value: Tensor) -> Tensor | None:
        """The parameter or buffer whose values a constant has."""
        constant = self.constant(value)
        return self._owned[constant.names[0]] if constant.own or constant.moved else None

    def of_one_step(self, value: Tensor) -> bool:
        """Whether no other step reads the parameter whose values a constant has, as far as a run before this one has seen."""
        return not self.shared.intersection(self.constant(value).names)

    def owner(self, name: str) -> Tensor:
        """The parameter or buffer of that name."""
        return self._owned[name]

    def knows(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the values of tensors can be worked out, since no input bears on them."""
        return self._values.knows(tensors)

    def values(self, tensor: Tensor) -> Tensor:
        """The values of a tensor that the trace `knows`."""
        with unseen(), torch.no_grad():
            return self._values.of(tensor)

    def given(self, value: Any, beside: Tensor) -> Tensor | Layer:
        """A tensor that a layer reads: of the run, or one of the model's own, the same for each image of `beside`.

        Raises Unsaid where it is neither.
        """
        if self.live(value):
            self.image(value)
            return value  # type: ignore[no-any-return]
        if not isinstance(value, Tensor) or value.dim() > beside.dim() or value.dtype != beside.dtype:
            raise Unsaid("it reads a tensor that is no layer's output")
        owned = self.owned(value)
        seen, rank = tuple(value.shape), beside.dim() - 1
        target = seen[1:] if len(seen) > rank and seen[0] in (1, self.images(beside)) else (*[1] * (rank - len(seen)), *seen)
        if owned is None or not owned.dim() or owned.numel() != math.prod(target):
            if len(target) != rank:
                raise Unsaid("it reads a part of a tensor that is no layer's output")
            return self.computed(value, beside, target)
        own = tuple(owned.shape)
        batch_axis = own[0] == 1 and len(own) > 1
        if len(target) != rank:
            raise Unsaid("it reads a part of a tensor that is no layer's output")
        args = {"shape": own[batch_axis:]} | ({"batch_axis": True} if batch_axis else {})
        layer = Layer("parameter" if isinstance(owned, nn.Parameter) else "buffer", (beside,), args, {"": owned})
        return layer if args["shape"] == target else Layer("reshape", (layer,), {"shape": list(target)})

    def computed(self, value: Tensor, beside: Tensor, target: tuple[int, ...]) -> Layer:
        """A tensor that is computed from the model's own, and from numbers. Raises Unsaid where it cannot be told how."""
        told, tensors = self.recipe(value, target)
        return Layer("computed", (beside,), {"shape": target} | told, tensors)

    def recipe(self, value: Tensor, shape: tuple[int, ...]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The arguments that say how a tensor is computed, and the model's tensors that it is computed from.

        Raises Unsaid where it cannot be told.
        """
        recipe = self._recipes.of(value, shape, {id(one): name for name, one in self._owned.items()})
        weights: list[Any] = []
        buffers: list[Any] = []
        for label, one in recipe.tensors.items():
            dtype = [] if one.dtype == self.dtype else [str(one.dtype).removeprefix("torch.")]
            (weights if isinstance(one, nn.Parameter) else buffers).append([label, list(one.shape), *dtype])
        args = {"steps": recipe.steps, "weights": weights, "buffers": buffers}
        return args, recipe.tensors

    def batch_axis(self, tensor: Tensor) -> int:
        """The axis of the images: another than the first after `permute`."""
        bound = self._bound.get(id(tensor))
        return 0 if bound is None else bound.batch_axis

    def joined(self, tensor: Tensor) -> int:
        """How many entries of another axis the axis of the images holds for each image, as of windows that joined the batch."""
        bound = self._bound.get(id(tensor))
        return 1 if bound is None else bound.joined

    def images(self, tensor: Tensor) -> int:
        """The size of the axis of the images."""
        return self.batch * self.joined(tensor)

    def image(self, tensor: Tensor, anywhere: bool = False) -> tuple[int, ...]:
        """The shape without the batch. Raises Unsaid where the first axis is no batch, or, with `anywhere`, none is."""
        at = self.batch_axis(tensor)
        if at >= tensor.dim() or tensor.shape[at] != self.images(tensor) or (at and not anywhere):
            raise Unsaid(f"the first axis of {tuple(tensor.shape)} is not the batch")
        if tensor.dim() < 2:
            raise Unsaid("one number for each image")
        return (*tensor.shape[:at], *tensor.shape[at + 1 :])

    def is_zero(self, tensor: Tensor) -> bool:
        """Whether it was made as zeros, and was not written over."""
        return id(tensor) in self._zeros

    def axis(self, tensor: Tensor, dim: int) -> int:
        """An axis counted without the batch."""
        at, batch = dim % tensor.dim(), self.batch_axis(tensor)
        if at == batch:
            raise Unsaid("it goes along the batch")
        return at - (at > batch)

    def _bind(self, tensor: Tensor, ref: Ref, batch_axis: int = 0, joined: int = 1) -> None:
        bound = self._bound[id(tensor)] = Bound(tensor, ref, batch_axis=batch_axis, joined=joined)
        self._by_storage.setdefault(storage_of(tensor), []).append(bound)
        self._constants.pop(id(tensor), None)

    def _mark_changed(self, tensors: Sequence[Tensor]) -> None:
        """A parameter that is written over, or that shares the storage of such a tensor, is no longer the model's own weight."""
        names = {self._parameters.get(storage_of(one)) or self._parameters.get(id(one)) for one in tensors} - {None}
        if names:
            self._constants |= {key: Constant(one.names) for key, one in self._constants.items() if not names.isdisjoint(one.names)}


def own_dtype(model: nn.Module) -> torch.dtype:
    """That of the parameters; torch's default where there are none."""
    return next((one.dtype for one in model.parameters() if one.is_floating_point()), torch.get_default_dtype())


def storage_of(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
