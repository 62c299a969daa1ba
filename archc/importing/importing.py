"""From a source to an accepted spec: what a reader gives is written, elaborated again, and held against what was read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.analysis.compare.exact import differences
from archc.elaborate.compiler import compile_text
from archc.folding import fold
from archc.graph import Graph, Node, Value
from archc.graph.write_spec import flat_text
from archc.importing.carrying import tensors_of, wanted, write_tensors
from archc.importing.imported import Imported, ImportedError
from archc.importing.registry import is_code, read_file_of
from archc.importing.renames import rules_of
from archc.ops.opaque import describe
from archc.text.diagnostics import SpecError, printable
from archc.text.writing import quote

if TYPE_CHECKING:
    from archc.importing.report import ImportReport


@dataclass(frozen=True, slots=True)
class Import:
    """An accepted spec.

    text: the spec; graph: the network that it is, elaborated from the text
    source: what was named, and `format` what it is
    imported: what the reader gave, with weights and notes
    """

    text: str
    graph: Graph
    source: str
    format: str
    imported: Imported

    @property
    def notes(self) -> tuple[str, ...]:
        return self.imported.notes

    @property
    def opaque(self) -> list[Node]:
        """The layers that no operator describes."""
        return [node for node in self.graph.nodes if node.kind == "opaque"]

    @property
    def lines(self) -> int:
        """How long the spec is, without comments and empty lines."""
        return sum(1 for line in self.text.splitlines() if line.strip() and not line.lstrip().startswith("#"))

    def report(self, compare: bool = True) -> ImportReport:
        """Figures on both sides, and outputs and training beside the original's, which is then run: `.good`, `.text()`."""
        from archc.importing.report import report

        return report(self, compare)

    def tensors(self) -> dict[str, Any]:
        """The weights and buffers by the spec's names. Raises ImportedError where the source has none, or not all."""
        return tensors_of(self.imported, self.graph)

    def save_weights(self, path: str | Path) -> int:
        """Writes the weights as .safetensors, which `archc build --weights` loads; the size in bytes. Raises ImportedError."""
        return write_tensors(Path(path), self.tensors())


def import_source(
    named: str,
    *,
    inputs: Sequence[str] = (),
    weights: str | Path | None = None,
    leaves: Iterable[str] = (),
    name: str = "",
    flat: bool = False,
) -> Import:
    """The spec of a file of another tool, or of code that makes a PyTorch model, which is run.

    inputs: shapes without the batch, `3x224x224` or `image=3x224x224`, for a model that does not say what it takes
    weights: the file of weights that belongs to the source, where they are not in it
    leaves: classes of a model whose modules are one layer each; name: the network's, in place of its own
    flat: layer by layer, without blocks and repeats

    Raises ImportedError, SpecError, CaptureError, MissingPackage, and what the model's own code raises.
    """
    beside = Path(weights) if weights is not None else None
    if is_code(named):
        from archc.importing.pytorch import read_model

        return _accepted(read_model(named, inputs, leaves, beside), named, "PyTorch", name, flat)
    if inputs or list(leaves):
        what = "--input" if inputs else "--leaf"
        raise ImportedError(f"{what} is about models of PyTorch, and {named} is a file that says what it takes")
    format, imported = read_file_of(named, beside)
    return _accepted(imported, named, format.name, name, flat)


def import_graph(graph: Graph, module: Any = None, source: str = "", flat: bool = False) -> Import:
    """The spec of a captured model. `module` is the model, for comparisons."""
    renames = dict(graph.captured.weights) if graph.captured is not None else {}
    notes = tuple(graph.captured.sentences()) if graph.captured is not None else ()
    said = source or (graph.captured.source if graph.captured is not None else graph.name)
    return _accepted(Imported(graph.name, graph=graph, renames=renames, module=module, notes=notes), said, "PyTorch", "", flat)


def _accepted(imported: Imported, source: str, format: str, name: str, flat: bool) -> Import:
    """Elaborates what was read, folds it, and elaborates that again. Raises SpecError, ImportedError."""
    graph = imported.graph if imported.graph is not None else _elaborated(imported.text)
    graph.name = name or graph.name
    graph.heads = dict(sorted(((_head_name(value), value) for value in graph.heads.values()), key=lambda pair: _position(graph, pair[1])))
    graph.rename = tuple(rules_of(imported.renames, wanted(graph)))
    text = _with_origin(flat_text(graph) if flat else fold(graph), graph, source, format)
    again = _elaborated(text)
    found = differences(graph, again)
    if not found and list(graph.outputs) != list(again.outputs):
        found = [f"the outputs {', '.join(graph.outputs)}, and {', '.join(again.outputs)}"]
    if found:
        raise ImportedError(f"the spec that was written is not the network that was read: {found[0]}")
    return Import(text, again, source, format, replace(imported, graph=graph))


def _head_name(value: Value) -> str:
    """As a spec names what comes out in training alone: by its layer."""
    name = value.node.name if value.node is not None else value.name
    return f"{name}.{value.index}" if value.node is not None and len(value.node.outputs) > 1 else name


def _position(graph: Graph, value: Value) -> int:
    return graph.positions[value.node] if value.node is not None else -1


def _with_origin(text: str, graph: Graph, source: str, format: str) -> str:
    """A spec with where it comes from, what of it no operator describes, and the rules that rename the original's weights."""
    lines = [f"# Imported from {printable(source)} ({format})."]
    lines += [f"# Opaque: {node.name}, {printable(describe(node.args))}." for node in graph.nodes if node.kind == "opaque"]
    rules = "" if not graph.rename or "\nrename:" in text else "".join(["rename:\n", *(f"  - {quote(rule)}\n" for rule in graph.rename)])
    return "\n".join(lines) + "\n" + text + rules


def _elaborated(text: str) -> Graph:
    model = compile_text(text, name="the imported spec")
    if model.graph is None:
        raise SpecError(model.diagnostics)
    return model.graph
