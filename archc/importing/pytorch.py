"""PyTorch: a model that is named is made and captured, and its weights come along."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from archc.errors import MissingPackage
from archc.importing.imported import Imported


def read_model(named: str, inputs: Sequence[str], leaves: Iterable[str], weights: Path | None = None) -> Imported:
    """The model of `file.py:callable`, `package.module:callable`, `torchvision:NAME`, `timm:NAME`. Its code is run.

    weights: a file of the model's own weights, which it is given
    """
    if find_spec("torch") is None:
        raise MissingPackage(f"{named} is a PyTorch model, and torch is not installed: pip install torch")
    from archc.ops.plugins import without_bytecode
    from archc.tracing import capture
    from archc.tracing.inputs import input_of
    from archc.tracing.source import load_model

    loaded = load_model(named, empty=False)  # its weights come along, and its outputs are compared
    if weights is not None:
        from archc.runtime.weights.load import load_weights

        load_weights(loaded.module, weights)
    with without_bytecode():
        graph = capture(loaded.module, input_of(loaded.module, named, inputs, loaded.input), name=loaded.name, leaves=leaves)
    assert graph.captured is not None
    graph.captured = replace(graph.captured, source=named)
    return Imported(
        loaded.name,
        graph=graph,
        renames=dict(graph.captured.weights),
        notes=tuple(graph.captured.sentences()),
        module=loaded.module,
        files=(loaded.file,) if loaded.file is not None else (),
    )
