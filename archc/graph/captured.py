"""What is known of a network that came from a model, beside its graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from archc.errors import ArchcError


class CaptureError(ArchcError):
    """A module that cannot be captured: what it does, and what to give instead."""


@dataclass(frozen=True)
class Captured:
    """Where a graph came from.

    source: the model's class, or what was named on the command line
    dtype: that of its parameters
    places: the file and line of the model's source where a step is called, for each opaque layer
    weights: the names in the model's state_dict, for those of the graph that have another
    unused: parameters of the model that no layer uses, with how many values they hold
    frozen: parameters that need no gradient
    notes: what the graph does not say of the model
    """

    source: str
    dtype: str = "float32"
    places: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    unused: dict[str, int] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
