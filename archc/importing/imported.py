"""What a reader gives: a spec as text, or a graph; what the reader of the file should know; its weights by archc's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.errors import ArchcError
from archc.graph import Graph
from archc.text.extras import how_to_install

if TYPE_CHECKING:
    import numpy

    Arrays = Mapping[str, numpy.ndarray]


class ImportedError(ArchcError):
    """A file that cannot be imported, where no place in a text can be named."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A network that was read from a file of another tool.

    text: the spec, which elaborates; empty where there is a graph, of which a spec is then written
    notes: what the spec does not say, or says otherwise than the file
    tensors: the weights under the names of the spec's `state_dict`, in PyTorch's layout
    graph: the network, where the reader makes no text
    renames: the original's names of tensors, by those of the spec that have another
    module: the PyTorch module that it was, with which the network can be compared
    run: the original's outputs, in the order of the spec's, for inputs by name with a batch axis
    files: further files that were read, and are not written over
    flat: whether the text names each layer, and is to be folded
    """

    name: str
    text: str = ""
    notes: tuple[str, ...] = ()
    tensors: Arrays = field(default_factory=dict)
    graph: Graph | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    module: Any = None
    run: Callable[[Mapping[str, Any]], list[Any]] | None = None
    files: tuple[Path, ...] = ()
    flat: bool = True


def numbers() -> Any:
    """numpy, which weights are read with."""
    try:
        import numpy
    except ImportError:
        raise ImportedError(f"numpy is not installed: {how_to_install('torch', 'numpy')}") from None
    return numpy
