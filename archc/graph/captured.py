"""What is known of a network that came from a model, beside its graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from archc.errors import ArchcError


class CaptureError(ArchcError):
    """A module that cannot be captured: what it does, and what to give instead."""


class ValuesNeeded(CaptureError):
    """A module that decides by the values of a tensor, and was given shapes."""


CHANNELS_LAST = "its weights lie in memory as channels_last: memory is told as if they and all maps were contiguous"


@dataclass(frozen=True)
class Captured:
    """Where a graph came from.

    source: the model's class, or what was named on the command line
    dtype: that of its parameters
    weights: the names in the model's state_dict, for those of the graph that have another
    unused: parameters of the model that no layer uses, with how many values they hold
    frozen: parameters that need no gradient, with how many values they hold
    notes: what the graph does not say of the model
    weight_macs: MACs of a forward pass that are spent on weights alone, however many images there are; the graph does not count them
    """

    source: str
    dtype: str = "float32"
    weights: dict[str, str] = field(default_factory=dict)
    unused: dict[str, int] = field(default_factory=dict)
    frozen: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    weight_macs: int = 0

    def sentences(self) -> list[str]:
        """What a reader of the graph's figures has to know, for each line of a message."""
        found = list(self.notes)
        if self.unused:
            found.append(f"{_few(self.unused)} of the model, which no layer uses, {_are(self.unused)} left out")
        if self.frozen:
            found.append(f"{_few(self.frozen)} {_are(self.frozen)} frozen, and not trained")
        return found


MOST_NAMED = 3


def _few(tensors: dict[str, int]) -> str:
    """`2 parameters (a.weight, a.bias: 1,234 values)`."""
    names = ", ".join([*list(tensors)[:MOST_NAMED], *(["…"] if len(tensors) > MOST_NAMED else [])])
    return f"{len(tensors):,} parameter{'s' * (len(tensors) != 1)} ({names}: {sum(tensors.values()):,} values)"


def _are(tensors: dict[str, int]) -> str:
    return "is" if len(tensors) == 1 else "are"
