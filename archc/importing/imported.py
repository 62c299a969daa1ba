"""What a reader gives: a spec as text, what the reader of the file should know, and its weights by archc's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archc.errors import ArchcError
from archc.text.extras import how_to_install

if TYPE_CHECKING:
    import numpy


class ImportedError(ArchcError):
    """A file that cannot be imported, where no place in a text can be named."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that was read from a file of another tool.

    text: the spec, which elaborates
    notes: what the spec does not say, or says otherwise than the file
    tensors: the weights under the names of the spec's `state_dict`, in PyTorch's layout
    """

    name: str
    text: str
    notes: tuple[str, ...] = ()
    tensors: Mapping[str, numpy.ndarray] = field(default_factory=dict)


def numbers() -> Any:
    """numpy, which weights are read with."""
    try:
        import numpy
    except ImportError:
        raise ImportedError(f"numpy is not installed: {how_to_install('torch', 'numpy')}") from None
    return numpy
