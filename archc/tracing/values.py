"""Values in a run without values: how torch says that it has none, and those that can be worked out since no input bears on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from archc.tracing.steps import Invocation, tensors_in

MOST_VALUES = 2**24  # of one tensor that is worked out: more is asked of the user

# What torch says of tensors on `meta`, by the classes of its errors.
MESSAGES: dict[type[BaseException], tuple[str, ...]] = {
    RuntimeError: (
        "Tensor.item() cannot be called on meta tensors",
        "cannot repeat_interleave a meta tensor without output_size",
        "'lengths' argument should be a 1D CPU int64 tensor, but got 1D meta",
        "Tensor on device cpu is not on the expected device meta",
    ),
    NotImplementedError: (
        "Cannot copy out of meta tensor",
        "The register_meta function for torch.",
        "attempted to run this operator with Meta tensors",
        "from the 'Meta' backend",
    ),
    TypeError: ("can't convert meta device type tensor to numpy",),
}

# Functions whose results are drawn, or left as memory was found.
DRAWN = {
    "alpha_dropout", "bernoulli", "cauchy", "dropout", "dropout1d", "dropout2d", "dropout3d", "empty", "empty_like",
    "empty_strided", "exponential", "feature_dropout", "geometric", "log_normal", "multinomial", "new_empty", "normal", "poisson",
    "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "random", "randperm", "rrelu", "uniform",
}  # fmt: skip


def needs_values(error: BaseException) -> bool:
    """Whether torch raised it since a tensor on `meta` has no values. An error of the module's own that only speaks of meta is none."""
    return type(error) in MESSAGES and any(message in str(error) for message in MESSAGES[type(error)])


class Known:
    """The values of a tensor, worked out on the CPU when they are asked for."""

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self._make: Callable[[], Tensor] | None = make
        self._made: Tensor | None = None

    def values(self) -> Tensor:
        if self._made is None:
            assert self._make is not None
            self._made, self._make = self._make(), None
        return self._made


class Unknown(Exception):
    """A tensor whose values cannot be worked out."""


def call_on_values(called: Invocation, values: Callable[[Tensor], Tensor]) -> tuple[Any, list[Tensor]]:
    """What a function returns on the CPU, and the tensors that it was called with, which it may have written over.

    values: those of a tensor of the run. Raises Unknown.
    """
    given: list[Tensor] = []

    def value(tensor: Tensor) -> Tensor:
        if tensor.numel() > MOST_VALUES:
            raise Unknown
        given.append(values(tensor).clone())
        return given[-1]

    with torch._C.DisableTorchFunction(), torch.no_grad():
        args, kwargs = tree_map_only(Tensor, value, (tuple(called.args), dict(called.kwargs)))
        args, kwargs = tree_map_only(torch.device, lambda _: torch.device("cpu"), (args, kwargs))
        if "device" in kwargs:
            kwargs["device"] = "cpu"
        return called.func(*args, **kwargs), given


class Values:
    """The tensors of a run whose values can be worked out, and how.

    origin: parameters and buffers without values, each with the tensor of the module itself that has them
    """

    def __init__(self, origin: Sequence[tuple[Tensor, Tensor]]) -> None:
        self._known: dict[int, Known] = {}
        self._by_storage: dict[int, set[int]] = {}
        for tensor, real in origin:
            self._set(tensor, Known(real.detach().cpu))

    def of(self, tensor: Tensor) -> Tensor:
        return self._known[id(tensor)].values()

    def knows(self, tensors: Sequence[Tensor]) -> bool:
        return all(id(tensor) in self._known for tensor in tensors)

    def learn(self, called: Invocation, *, made: list[Tensor], given: list[Tensor], written: list[Tensor], knows: bool) -> None:
        """The results of a function, and what it wrote over, by the values of what it was given, if it `knows` those or needs none."""
        before = {id(one): (self._known.get(id(one)), tuple(one.shape), one.dtype) for one in given} if knows else {}
        for one in written:
            self._forget(one)
        if not knows:
            return

        def value(tensor: Tensor) -> Tensor:
            known, shape, dtype = before[id(tensor)]
            return torch.zeros(shape, dtype=dtype) if known is None else known.values()

        ran: list[tuple[list[Tensor], list[Tensor]]] = []

        def result(at: int, of_given: bool) -> Tensor:
            if not ran:
                out, on = call_on_values(called, value)
                ran.append((list(tensors_in(out)), on))
            return ran[0][of_given][at]

        for at, one in enumerate(made):
            self._set(one, Known(partial(result, at, of_given=False)))
        for at, one in enumerate(given):
            if any(one is other for other in written) and not any(one is other for other in made):
                self._set(one, Known(partial(result, at, of_given=True)))

    def _forget(self, tensor: Tensor) -> None:
        """What shares the storage of a tensor that is written over is no longer what it was."""
        self._known.pop(id(tensor), None)
        for other in self._by_storage.pop(_storage(tensor), ()):
            self._known.pop(other, None)

    def tell(self, tensor: Tensor, values: Tensor) -> None:
        self._set(tensor, Known(lambda: values))

    def _set(self, tensor: Tensor, known: Known) -> None:
        self._known[id(tensor)] = known
        self._by_storage.setdefault(_storage(tensor), set()).add(id(tensor))


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
