"""Weights that come along: those of the source under the spec's names, all there and of the right shapes, and their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archc.graph import Graph
from archc.importing.imported import Imported, ImportedError, numbers
from archc.text import atomic
from archc.text.diagnostics import printable
from archc.text.extras import how_to_install

COUNTER = "num_batches_tracked"  # of batch normalization, which few formats keep


def tensors_of(imported: Imported, graph: Graph) -> dict[str, Any]:
    """The weights and buffers of a network by its names. Raises ImportedError where the source has none, or not those of the network."""
    if imported.module is not None:
        return {name: _array(tensor) for name, tensor in tensors_of_module(imported, graph).items()}
    if not imported.tensors:
        raise ImportedError("the source has no weights; name the file that has them with --weights")
    found = {}
    for name, shape in wanted(graph).items():
        if name not in imported.tensors:
            if name.endswith(COUNTER):
                found[name] = numbers().zeros(shape, "int64")
                continue
            raise ImportedError(f"the source has no weights for {printable(name)}")
        array = imported.tensors[name]
        if tuple(array.shape) != shape:
            raise ImportedError(f"{printable(name)} is {list(array.shape)} in the source and {list(shape)} in the spec")
        found[name] = array
    return found


def wanted(graph: Graph) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's tensors, as its `state_dict` names them."""
    found = {}
    for node in graph.nodes:
        for weight in node.facts.owned if node.shared is None else ():
            scalar = weight.name == COUNTER
            found[f"{node.name}.{weight.name}" if weight.name else node.name] = () if scalar else tuple(map(int, weight.shape))
    return found


def write_tensors(path: Path, tensors: dict[str, Any]) -> int:
    """Writes arrays as .safetensors, whole or not at all; the size in bytes. Raises ImportedError."""
    try:
        from safetensors.numpy import save_file
    except ImportError:
        raise ImportedError(f"safetensors is not installed: {how_to_install('torch', 'numpy', 'safetensors')}") from None
    library = numbers()
    whole = {name: library.ascontiguousarray(array) for name, array in tensors.items()}
    try:
        return atomic.write(path, lambda file: save_file(whole, file))
    except OSError as error:
        raise ImportedError(f"{printable(str(path))} cannot be written: {error.strerror or error}") from None


def tensors_of_module(imported: Imported, graph: Graph) -> dict[str, Any]:
    """Those of a PyTorch module as they are, without a copy; its names are the spec's but for those that were renamed.

    Buffers are there that its own state_dict does not keep, since the spec's network knows only that it has them.
    """
    held = {**dict(imported.module.named_buffers()), **imported.module.state_dict()}
    found = {}
    for name in wanted(graph):
        own = imported.renames.get(name, name)
        if own not in held and name.endswith(COUNTER):
            found[name] = numbers().zeros((), "int64")
            continue
        if own not in held:
            raise ImportedError(f"{printable(own)} is no tensor of the model, which computes it")
        found[name] = held[own].detach().cpu().contiguous()
    return found


def _array(tensor: Any) -> Any:
    """A tensor as an array. bfloat16, which numpy lacks, comes as float32 with the same values."""
    if not hasattr(tensor, "numpy"):
        return tensor
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
