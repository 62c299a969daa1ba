"""Classes of modules that installed packages map: to an operator, or to one opaque layer. docs/import.md says how."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from typing import Any

from torch import Tensor, nn

from archc.graph.captured import CaptureError
from archc.ops.registry import OPERATORS
from archc.tracing.steps import Layer, Rule, Unsaid
from archc.tracing.trace import Trace

GROUP = "archc.importers"
OPAQUE = "opaque"  # what an entry point names in place of a function, for one layer without an operator
Mapped = tuple[str, dict[str, Any], dict[str, str]]  # an operator, its arguments, its weights as attributes of the module


def importer_of(module: nn.Module) -> Callable[[nn.Module], Mapped | None] | str | None:
    """What a package says of a module's class, where that has the `forward` of the class that is mapped."""
    kind, entries = type(module), _entries(tuple(sys.path))
    for cls in kind.__mro__ if entries else ():
        entry = entries.get(f"{cls.__module__}.{cls.__qualname__}")
        if entry is not None and kind.forward is getattr(cls, "forward", None):
            found: Callable[[nn.Module], Mapped | None] | str = _load(entry)
            return found
    return None


def rule_by(importer: Callable[[nn.Module], Mapped | None], module: nn.Module) -> Rule | None:
    """The rule for a module by its importer; None where that leaves the module as it is."""
    mapped = importer(module)
    if mapped is None:
        return None
    kind, args, weights = mapped
    if OPERATORS.get(kind) is None:
        raise CaptureError(f"the importer of {type(module).__name__} names the operator {kind}, and there is none")
    owned: dict[str, Tensor] = {suffix: attrgetter(path)(module) for suffix, path in weights.items()}

    def rule(trace: Trace, module: nn.Module, *inputs: Any, **options: Any) -> Layer:
        taken = (*inputs, *options.values())
        if not all(isinstance(one, Tensor) for one in taken):
            raise Unsaid("it takes more than tensors")
        return Layer(kind, taken, args, owned)

    return rule


@lru_cache(maxsize=1)
def _entries(path: tuple[str, ...]) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _load(entry: EntryPoint) -> Any:
    try:
        loaded = entry.load()
    except Exception as error:
        raise CaptureError(f"the importer {entry.value} of {entry.name} cannot be loaded: {type(error).__name__}: {error}") from None
    if loaded != OPAQUE and not callable(loaded):
        raise CaptureError(f'the importer {entry.value} of {entry.name} is neither a function nor "{OPAQUE}"')
    return loaded
