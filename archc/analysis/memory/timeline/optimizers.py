"""What an optimizer keeps, and what its step takes on the way, as torch.optim's implementations have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archc.analysis.memory.static import OPTIMIZERS as STATE
from archc.analysis.memory.static import copies
from archc.ops.shape import product

FOREACH, LOOP, FUSED = "foreach", "loop", "fused"
IMPLEMENTATIONS = (FOREACH, LOOP, FUSED)
Shapes = Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Optimizer:
    """For a parameter: `state` values that are kept, and whether there is a counter of steps of 4 bytes.

    foreach, loop: values that the step takes on the way, of all parameters; None where torch.optim has no such implementation
    """

    state: Callable[[tuple[int, ...]], int]
    counter: bool
    foreach: Callable[[Shapes], int] | None
    loop: Callable[[Shapes], int]
    fused: bool


def _all(count: int) -> Callable[[Shapes], int]:
    return lambda shapes: count * sum(map(product, shapes))


def _largest(count: int) -> Callable[[Shapes], int]:
    return lambda shapes: count * max(map(product, shapes), default=0)


def _denominators(shapes: Shapes) -> int:
    """Adam's loop: the root and the denominator of a parameter, beside the denominator of the one before."""
    sizes = [0, *map(product, shapes)]
    return max((before + 2 * size for before, size in pairwise(sizes)), default=0)


def _roots(shapes: Shapes) -> int:
    """The root of a parameter's mean, beside that of the one before."""
    return max(map(sum, pairwise([0, *map(product, shapes)])), default=0)


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(STATE["sgd"], False, _all(0), _largest(0), True),
    "momentum": Optimizer(STATE["momentum"], False, _all(0), _largest(0), True),
    "adam": Optimizer(STATE["adam"], True, _all(1), _denominators, True),
    "adamw": Optimizer(STATE["adamw"], True, _all(1), _denominators, True),
    "rmsprop": Optimizer(STATE["rmsprop"], True, _all(1), _roots, False),
    "adagrad": Optimizer(copies(1), True, _all(2), _roots, True),
    "adafactor": Optimizer(STATE["adafactor"], True, None, _largest(2), False),
}


BY_NUMBERS = {"momentum", "adam", "adamw", "adagrad"}  # whose loop makes tensors of 8 bytes from numbers, on the CPU


def usual(name: str, device: str) -> str:
    """What torch.optim takes where nothing is said."""
    return FOREACH if device == "cuda" and OPTIMIZERS[name].foreach is not None else LOOP


def state_bytes(name: str, shapes: Shapes, item: int, device: str, how: str) -> list[int]:
    """The bytes of the state, a block a tensor. Counters lie on the CPU unless one kernel reads them."""
    one = OPTIMIZERS[name]
    found = []
    for shape in shapes:
        values = one.state(shape)
        whole = product(shape)
        copies = values // whole if whole and values % whole == 0 else 0
        found += [whole * item] * copies if copies else [values * item] * (values > 0)
        if one.counter and (device == "cpu" or how == FUSED):
            found.append(4)
    return found


def transient_values(name: str, shapes: Shapes, how: str) -> int:
    """Values that the step takes on the way. Raises ValueError for an implementation that torch.optim lacks."""
    one = OPTIMIZERS[name]
    if how == FUSED:
        if not one.fused:
            raise ValueError(f"torch.optim has no fused {name}; write foreach or loop")
        return 0
    if how == FOREACH:
        if one.foreach is None:
            raise ValueError(f"torch.optim has no {name} over all parameters at once that is modelled; write loop")
        return one.foreach(shapes)
    return one.loop(shapes)
