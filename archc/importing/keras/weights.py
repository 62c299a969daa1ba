"""Keras' weights in HDF5: as Keras 3 writes them, by the classes of layers, and as Keras 2 did, by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from archc.importing.imported import ImportedError, numbers
from archc.importing.keras.values import Stored, Tensor
from archc.text.diagnostics import printable
from archc.text.extras import how_to_install

if TYPE_CHECKING:
    import numpy

MOST_ATTRIBUTES = 100_000  # names of layers, or of weights
_LISTS = ("layers", "_layer_checkpoint_dependencies")


def read_weights(
    file: Path | IO[bytes], shown: str, stored: Sequence[Stored], places: Mapping[tuple[str, ...], str]
) -> dict[str, numpy.ndarray]:
    """The tensors of a network by archc's names. `places` says where Keras 3 keeps a layer, by its path."""
    library = h5py_library()
    try:
        with library.File(file, "r") as held:
            return _read(library, held, shown, stored, places)
    except OSError as error:
        reason = printable(str(error).partition("(")[2].rstrip(")")) or "it cannot be read"
        raise ImportedError(f"{shown} is not HDF5, or is damaged: {reason}") from None
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise ImportedError(f"{shown} is damaged: {printable(str(error))[:120]}") from None


def h5py_library() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportedError(f"weights of Keras are HDF5, and h5py is not installed: {how_to_install('keras', 'h5py')}") from None
    return h5py


def _read(library: Any, held: Any, shown: str, stored: Sequence[Stored], places: Mapping[tuple[str, ...], str]) -> dict[str, numpy.ndarray]:
    root = held.get("model_weights", held)
    older = "layer_names" in root.attrs
    found: dict[str, numpy.ndarray] = {}
    for layer in stored:
        tensors = _older(library, root, layer, shown) if older else _newer(library, root, places[layer.path], layer, shown)
        if len(tensors) != len(layer.tensors):
            told = f"{shown}: {printable('/'.join(layer.path))} has {len(tensors)} weights there, and {len(layer.tensors)} in this network"
            raise ImportedError(told)
        for dataset, tensor in zip(tensors, layer.tensors, strict=True):
            found[tensor.name] = _array(library, dataset, tensor, layer, shown)
    return found


def _older(library: Any, root: Any, layer: Stored, shown: str) -> list[Any]:
    if len(layer.path) > 1:
        raise ImportedError(f"{shown}: weights of models within models are read as Keras 3 writes them: save the model as .keras")
    group = _inside(library, root, layer.path[0])
    names = None if group is None else group.attrs.get("weight_names")
    if group is None or names is None or len(names) > MOST_ATTRIBUTES:
        raise ImportedError(f"{shown} has no weights of {printable(layer.path[0])}")
    texts = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
    return [_inside(library, group, name) for name in texts]


def _newer(library: Any, root: Any, place: str, layer: Stored, shown: str) -> list[Any]:
    for kept in _LISTS:
        group = _inside(library, root, "/".join(part if part != "layers" else kept for part in place.split("/")) + "/vars")
        if group is not None and isinstance(group, library.Group):
            return [_inside(library, group, str(at)) for at in range(min(len(group), 100))]
    raise ImportedError(f"{shown} has no weights of {printable('/'.join(layer.path))}, at {place}")


def _inside(library: Any, group: Any, name: str) -> Any:
    """What a path leads to; None where that is nothing, or lies in another file."""
    for part in name.strip("/").split("/"):
        if not isinstance(group, library.Group) or not isinstance(group.get(part, getlink=True), library.HardLink):
            return None
        group = group[part]
    return group


def _array(library: Any, dataset: Any, tensor: Tensor, layer: Stored, shown: str) -> numpy.ndarray:
    """A weight in PyTorch's layout; nothing is read before its shape is known to be right."""
    name = printable("/".join(layer.path))
    if not isinstance(dataset, library.Dataset) or dataset.external or dataset.is_virtual or dataset.dtype.kind != "f":
        raise ImportedError(f"{shown}: a weight of {name} is missing, is not of floats, or lies in another file")
    if tuple(dataset.shape) != tensor.shape:
        raise ImportedError(f"{shown}: a weight of {name} is {list(dataset.shape)} there, and {list(tensor.shape)} in this network")
    array: numpy.ndarray = tensor.convert(numbers().asarray(dataset[()], dtype="float32"))
    return array


def snake(name: str) -> str:
    """`BatchNormalization` as Keras 3 names it in files: batch_normalization."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
