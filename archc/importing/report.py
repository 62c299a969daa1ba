"""What came of an import: figures on both sides, outputs and training beside the original's, renames, opaque parts, length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from archc.analysis.cost import report as cost
from archc.errors import ArchcError
from archc.importing.carrying import tensors_of_module
from archc.importing.importing import Import
from archc.ops.opaque import describe
from archc.text.diagnostics import printable
from archc.text.quantity import counted

if TYPE_CHECKING:
    from archc.graph.captured import Captured
    from archc.runtime.likeness import Likeness


@dataclass(frozen=True, slots=True)
class ImportReport:
    """parameters, macs: of the spec and of the original, where those are known; parameters are with those that training alone has

    likeness: the comparison of outputs and training; None where there was none, and `why` says why not
    """

    made: Import
    parameters: tuple[int, int | None]
    macs: tuple[str, int | None]
    likeness: Likeness | None
    why: str

    @property
    def unused(self) -> int:
        """Parameters of the original that no layer uses."""
        return sum(self._captured.unused.values()) if self._captured is not None else 0

    @property
    def weight_macs(self) -> int:
        """MACs of the original that are spent on weights alone."""
        return self._captured.weight_macs if self._captured is not None else 0

    @property
    def _captured(self) -> Captured | None:
        read = self.made.imported.graph
        return read.captured if read is not None else None

    @property
    def good(self) -> bool:
        """Whether nothing that was compared differs. Of MACs, the counter does not know all."""
        known = self.parameters[1] in (None, self.parameters[0] + self.unused)
        return known and (self.likeness is None or self.likeness.alike)

    def text(self) -> str:
        """A line for each thing."""
        return "\n".join(f"{what:<11}  {said}" for what, said in self.rows())

    def rows(self) -> Iterator[tuple[str, str]]:
        ours, theirs = self.parameters
        yield "parameters", f"{ours:,}{_beside(ours, theirs, 'the original', self.unused, 'no layer uses')}"
        macs = int(self.macs[0].strip("≥").replace(",", ""))
        counter = _beside(macs, self.macs[1], "the counter of PyTorch", self.weight_macs, "are spent on weights alone")
        yield "MACs", f"{self.macs[0]}{counter}"
        yield from _compared(self.likeness, self.why)
        rules = self.made.graph.rename
        yield (
            "renames",
            f"{counted(len(rules), 'rule')} in the spec, which --weights uses" if rules else "none: all tensors keep their names",
        )
        opaque = self.made.opaque
        yield "opaque", counted(len(opaque), "layer") if opaque else "none"
        for node in opaque[:20]:
            yield "", f"{node.name}: {printable(describe(node.args))}"
        yield "lines", f"{self.made.lines:,}, for {counted(len(self.made.graph.nodes), 'layer')}"


def _beside(ours: int, theirs: int | None, whose: str, beyond: int, why: str) -> str:
    """What stands behind a figure. beyond: how much more the original has, since `why`."""
    if theirs is None:
        return ""
    if ours + beyond != theirs:
        return f", and {theirs:,} of {whose}"
    return f", as of {whose}" + (f" but for {beyond:,} that {why}" if beyond else "")


def _compared(found: Likeness | None, why: str) -> Iterator[tuple[str, str]]:
    if found is None:
        yield "outputs", f"not compared: {why}"
        return
    assert found.outputs is not None
    apart = f"differ from the original's by {found.outputs:.1e}, of a spread of {found.spread:.1e}"
    same = apart if found.outputs else "equal to the original's"
    yield "outputs", f"{same} (a nudged weight: {found.nudged:.1e}, other inputs: {found.other:.1e})"
    if found.trained is not None:
        parts = [("outputs", found.trained), (counted(found.gradients[1], "gradient"), found.gradients[0])]
        parts += [(counted(found.statistics[1], "buffer"), found.statistics[0])] if found.statistics[1] else []
        yield "training", "with one seed: " + ", ".join(f"{what} {'equal' if not off else f'differ by {off:.1e}'}" for what, off in parts)
    for note in found.notes:
        yield "", printable(note)


def report(made: Import, compare: bool = True) -> ImportReport:
    """Holds an import against its original. compare: whether outputs and training are compared, which runs both on the CPU."""
    counts = cost.analyze(made.graph.deployed())
    bounded = counts.counts["macs"]
    macs = f"{bounded.low:,}" if bounded.exact else f"≥{bounded.low:,}"
    learned = cost.analyze(made.graph).parameters
    original = made.imported.module
    theirs = sum(one.numel() for one in original.parameters()) if original is not None else None
    likeness, why = _likeness(made) if compare else (None, "--no-check")
    return ImportReport(made, (learned, theirs), (macs, likeness.macs if likeness is not None else None), likeness, why)


def _likeness(made: Import) -> tuple[Likeness | None, str]:
    imported = made.imported
    if imported.module is None and imported.run is None:
        return None, "nothing here runs the original"
    if find_spec("torch") is None:
        return None, "torch is not installed"
    if made.opaque:
        return None, "what is opaque cannot be built"
    from archc.runtime.likeness import compare

    try:
        tensors = made.tensors() if imported.module is None else tensors_of_module(imported, made.graph)
        return compare(made.graph, tensors, imported.module, imported.renames, imported.run), ""
    except (ArchcError, RuntimeError) as error:
        return None, str(error).partition("\n")[0][:300]
