"""Values that a layer in place writes over, and that another reads afterwards: a warning, since it reads what was written."""

from __future__ import annotations

from archc.elaborate.state import Elaboration
from archc.graph import Node, Value
from archc.ops.facts import INPLACE, VIEW
from archc.text.diagnostics import Diagnostic


def warn_of_overwritten(run: Elaboration) -> None:
    """A warning at each layer in place whose input is read again, or is an output, as it was before."""
    nodes = run.graph.nodes
    if not any(node.facts.storage == INPLACE for node in nodes):
        return
    storages = _Storages()
    for node in nodes:
        for value in node.inputs[: node.facts.reads]:
            if writer := storages.writer_after(value):
                _add(run, writer, value, node.name)
        storages.run(node)
    for name, value in run.graph.outputs.items():
        if writer := storages.writer_after(value):
            _add(run, writer, value, f'the output "{name}"')


class _Storages:
    """Which values lie in one storage, and the layers that have written over it, in their order."""

    def __init__(self) -> None:
        self.root: dict[Value, Value] = {}
        self.seen: dict[Value, int] = {}  # how often the storage had been written over when the value was made
        self.writers: dict[Value, list[Node]] = {}

    def writer_after(self, value: Value) -> Node | None:
        """The first layer that has written over a value since it was made."""
        writers = self.writers.get(self.root.get(value, value), [])[self.seen.get(value, 0) :]
        return writers[0] if writers else None

    def run(self, node: Node) -> None:
        if node.facts.storage not in (INPLACE, VIEW) or not node.inputs:
            return
        root, seen = self.root.get(node.inputs[0], node.inputs[0]), self.seen.get(node.inputs[0], 0)
        if node.facts.storage == INPLACE:
            self.writers.setdefault(root, []).append(node)
            seen = len(self.writers[root])
        for value in node.outputs:
            self.root[value], self.seen[value] = root, seen


def _add(run: Elaboration, writer: Node, value: Value, reader: str) -> None:
    if writer.written is None:
        return
    read = value.node.name if value.node is not None else "the input"
    message = f"{writer.name} writes over {read}, which {reader} reads afterwards"
    hint = f"it would read what was written: leave out `inplace`, or let it read {writer.name}"
    run.diagnostics.add(Diagnostic("A906", message, writer.written.kind, hint, writer.written.uses, "warning"))
