"""How tensors are computed on which no input bears: the functions that made them, told as steps of the operator `computed`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isinf, isnan
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archc.ops.computed import FUNCTIONS, MOST_STEPS
from archc.tracing.functions import PRODUCTS
from archc.tracing.steps import Invocation, Unsaid, tensors_in

SPACES = (("", torch.Tensor), ("torch.", torch), ("F.", torch.nn.functional))
STRETCHING = ("expand", "repeat", "reshape", "view")
STANDARDIZING = ["reshape", "F.batch_norm", "reshape_as"]
_BATCH = "^batch"
SHAPED = {"new_zeros": "torch.zeros", "new_ones": "torch.ones", "zeros_like": "torch.zeros", "ones_like": "torch.ones",
          "new_full": "torch.full", "full_like": "torch.full", "new_tensor": "torch.tensor", "tensor": "torch.tensor"}  # fmt: skip
DRAWN_OPTIONS = ("out", "generator")
DROPPED_OPTIONS = ("device", "requires_grad", "pin_memory", "memory_format", "layout", "non_blocking")


class Recipe(NamedTuple):
    """The steps that make a tensor, and the tensors of the model that they start from, by names for the operator."""

    steps: list[Any]
    tensors: dict[str, Tensor]


@dataclass(eq=False, repr=False)
class Noted:
    """A call on constants alone. `function` is None where no step says it."""

    name: str
    function: str | None
    args: Any
    options: dict[str, Any]
    given: list[Tensor]
    made: list[Tensor]
    changed: set[int] = field(default_factory=set)


class Recipes:
    """The calls of a run on which no input bears, in order."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self._calls: list[Noted] = []
        self._makers: dict[int, int] = {}
        self._writers: dict[int, list[int]] = {}

    def note(self, called: Invocation, made: list[Tensor], changed: list[Tensor]) -> None:
        """A call that made tensors, or changed some that it was given."""
        function, args, options = _told(called, made)
        if function in STRETCHING and made[0].dim() and made[0].shape[0] == self.batch:
            args = _over_the_batch(args, self.batch)
        if not torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            function = None
        at = len(self._calls)
        given = list(tensors_in((args, options)))
        noted = Noted(
            name=called.name,
            function=function,
            args=args,
            options=options,
            given=given,
            made=made,
            changed={_storage(one) for one in changed},
        )
        self._calls.append(noted)
        for one in made:
            self._makers.setdefault(id(one), at)
        for key in noted.changed:
            self._writers.setdefault(key, []).append(at)

    def over_the_batch(self, tensor: Tensor) -> Tensor | None:
        """The tensor that was stretched over the images, where that is how this one was made."""
        at = self._makers.get(id(tensor))
        noted = self._calls[at] if at is not None else None
        stretched = noted is not None and noted.function in ("expand", "repeat") and _BATCH in tensors_free(noted.args)
        return noted.given[0] if noted is not None and stretched else None

    def of(self, tensor: Tensor, shape: tuple[int, ...], owned: Mapping[int, str]) -> Recipe:
        """The recipe of a tensor in a shape without a batch. Raises Unsaid where a step of it is not understood.

        owned: the names of the model's tensors by their ids
        """
        tensor = self._unexpanded(tensor, shape)
        needed, sources = self._behind(tensor, owned)
        if len(needed) >= MOST_STEPS:
            raise Unsaid(f"it reads a tensor that takes more than {MOST_STEPS:,} steps")
        labels = _labels([owned[id(one)] for one in sources])
        names = {id(one): f"^{labels[owned[id(one)]]}" for one in sources}
        steps: list[Any] = []
        of_batch = False
        for at in needed:
            noted = self._calls[at]
            of_batch = of_batch or _BATCH in tensors_free(noted.args)
            if of_batch and noted.name in PRODUCTS and noted.made[0].shape[0] == self.batch:
                raise Unsaid("it reads a tensor whose products are made for each image")
            if noted.function is None:
                raise Unsaid(f"it reads a tensor that {noted.name} makes, which no step says")
            options = {name: _encoded(value, names) for name, value in noted.options.items()}
            steps.append([noted.function, _encoded(noted.args, names), *([[list(pair) for pair in options.items()]] if options else [])])
            several = len(noted.made) > 1
            for part, one in enumerate(noted.made):
                names.setdefault(id(one), f"^{len(steps) - 1}.{part}" if several else f"^{len(steps) - 1}")
        if tuple(tensor.shape) not in (shape, (self.batch, *shape)) or not steps or names[id(tensor)] != f"^{len(steps) - 1}":
            steps.append(["reshape", [names[id(tensor)], list(shape)]])
        return Recipe(steps, {labels[owned[id(one)]]: one for one in sources})

    def _unexpanded(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What was stretched over the images, before it was."""
        while tensor.numel() != _product(shape):
            at = self._makers.get(id(tensor))
            noted = self._calls[at] if at is not None else None
            if tuple(tensor.shape) == (self.batch, *shape) and (noted is None or noted.function not in ("expand", "expand_as")):
                return tensor
            if noted is None or noted.function not in ("expand", "repeat", "expand_as") or tensor.numel() % _product(shape):
                raise Unsaid("it reads a tensor that is no layer's output")
            tensor = noted.given[0]
        return tensor

    def _behind(self, tensor: Tensor, owned: Mapping[int, str]) -> tuple[list[int], list[Tensor]]:
        """The calls that a tensor takes, in order, and the model's tensors that they start from."""
        needed: set[int] = set()
        sources: dict[int, Tensor] = {}
        left = [tensor]
        seen: set[int] = set()
        while left:
            one = left.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            found = list(self._writers.get(_storage(one), ()))
            if id(one) in owned:
                if found:
                    raise Unsaid(f"it is computed from {owned[id(one)]}, which is written over")
                sources[id(one)] = one
            elif id(one) in self._makers:
                found.append(self._makers[id(one)])
            else:
                raise Unsaid("it reads a tensor that is no layer's output")
            for at in set(found) - needed:
                needed.add(at)
                left += self._calls[at].given
        return sorted(needed), sorted(sources.values(), key=lambda one: owned[id(one)])


def standardized(told: Mapping[str, Any]) -> float | None:
    """What is added to the variance of filters, if a recipe does no more than bring each to mean 0 and variance 1; else None.

    As Big Transfer's code does: the filters are the channels of one image, which is normalized by its own statistics.
    """
    steps, weights = told["steps"], told["weights"]
    if len(weights) != 1 or told["buffers"] or [name.replace("view", "reshape") for name, *_ in steps] != STANDARDIZING:
        return None
    own, sizes = f"^{weights[0][0]}", weights[0][1]
    given, options = steps[1][1], dict(map(tuple, steps[1][2]))
    as_channels = steps[0][1] == [own, 1, sizes[0], -1] and steps[2][1] == ["^1", own]
    plain = given == ["^0", None, None] and options["training"] and options["weight"] is None and options["bias"] is None
    return float(options["eps"]) if as_channels and plain else None


def tensors_free(args: Any) -> list[Any]:
    """What a step is given beside tensors: numbers and words, in lists or not."""
    flat = [one for arg in args for one in (arg if isinstance(arg, list | tuple) else [arg])]
    return [one for one in flat if not isinstance(one, Tensor)]


def _over_the_batch(args: list[Any], batch: int) -> list[Any]:
    """Sizes of which the first is that of the batch, as such."""
    sizes = list(args[1]) if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
    return [args[0], [_BATCH, *sizes[1:]]] if sizes and sizes[0] == batch and type(sizes[0]) is int else args


def _told(called: Invocation, made: Sequence[Tensor]) -> tuple[str | None, Any, dict[str, Any]]:
    """A call as a step: the function with where torch has it, what it is given, and its options."""
    name = str(getattr(called.func, "__name__", ""))
    options = {key: value for key, value in called.kwargs.items() if key not in DROPPED_OPTIONS}
    if name in SHAPED and len(made) == 1:
        return _shaped(name, called, made[0])
    if name == "__get__" and called.name in ("T", "mT"):
        rank, turned = called.args[0].dim(), called.name == "mT"
        order = [*range(rank - 2), rank - 1, rank - 2] if turned else [*range(rank)][::-1]
        return "permute", [called.args[0], order], {}
    if name in ("to", "type_as", "float", "double", "half", "bfloat16", "long") and len(made) == 1:
        return "to", [called.args[0], made[0].dtype], {}
    if name == "dropout" and len(called.args) == 1 and not called.kwargs.get("inplace"):
        return _dropped(called)
    space = next((prefix for prefix, where in SPACES if getattr(where, name, None) is called.func), None)
    plain = name in FUNCTIONS and not any(key in options for key in DRAWN_OPTIONS) and _plain((called.args, options))
    if name in ("__getitem__", "__setitem__"):  # a list or a truth value there is no part along an axis
        parts = called.args[1] if isinstance(called.args[1], tuple) else (called.args[1],)
        plain = plain and not any(isinstance(part, list | tuple | bool) for part in parts)
    return (f"{space}{name}" if plain and space is not None else None), list(called.args), options


def _shaped(name: str, called: Invocation, made: Tensor) -> tuple[str | None, Any, dict[str, Any]]:
    """A tensor of one number, or of those that are listed, by its own shape and dtype."""
    if name in ("tensor", "new_tensor"):
        listed = called.args[name == "new_tensor" :]
        told = len(listed) == 1 and _plain(listed) and not isinstance(listed[0], Tensor)
        return ("torch.tensor" if told else None), list(listed) if told else [], {"dtype": made.dtype}
    args: list[Any] = [list(made.shape)]
    if "full" in name:
        value = called.kwargs.get("fill_value", called.args[-1])
        if not isinstance(value, bool | int | float):
            return None, [], {}
        args.append(value)
    return SHAPED[name], args, {"dtype": made.dtype}


def _dropped(called: Invocation) -> tuple[str | None, Any, dict[str, Any]]:
    """Dropout, which is on in training alone."""
    return "F.dropout", [called.args[0], float(called.kwargs.get("p", 0.5)), "^training"], {}


def _plain(value: Any) -> bool:
    """Whether a step can say it."""
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    if isinstance(value, slice):
        return all(one is None or type(one) is int for one in (value.start, value.stop, value.step))
    if isinstance(value, float):
        return not isnan(value)
    text = isinstance(value, str) and not value.startswith(("^", "torch.")) and ":" not in value and value not in ("...", "inf", "-inf")
    return value is None or value is ... or text or isinstance(value, Tensor | bool | int | torch.dtype)


def _encoded(value: Any, names: Mapping[int, str]) -> Any:
    """As the operator's steps say it."""
    if isinstance(value, Tensor):
        return names[id(value)]
    if isinstance(value, list | tuple):
        return [_encoded(one, names) for one in value]
    if isinstance(value, slice):
        return ":".join("" if one is None else str(one) for one in (value.start, value.stop, value.step))
    if isinstance(value, torch.dtype):
        return str(value)
    if value is ...:
        return "..."
    return str(value) if isinstance(value, float) and isinf(value) else value


def _labels(names: Sequence[str]) -> dict[str, str]:
    """The ends of names by which they differ, as identifiers."""
    for depth in range(1, 20):
        short = {name: "_".join(name.split(".")[-depth:]) for name in names}
        if len(set(short.values())) == len(names):
            break
    return {name: label if label.isidentifier() else f"tensor_{label}" for name, label in short.items()}


def _product(sizes: Sequence[int]) -> int:
    found = 1
    for size in sizes:
        found *= size
    return found


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
