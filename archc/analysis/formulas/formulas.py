"""The analysis of a network of open sizes, run once on recorded numbers; its formulas hold wherever it would run the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import lcm

from archc.analysis.cost.report import Layer, Report, layer_of, totals
from archc.analysis.formulas.figures import Figures, figures
from archc.analysis.formulas.fixed import find_fixed
from archc.analysis.memory.static import Memory, memory
from archc.catalog.dtypes import NETWORK
from archc.elaborate.open import OpenSpec
from archc.errors import ArgumentError
from archc.graph import Graph
from archc.signature import is_int
from archc.symbolic.conditions import Conditions, read_conditions, rest_texts
from archc.symbolic.forms import Forms, Rest, assume, divisors
from archc.symbolic.polynomial import Polynomial, TooLong
from archc.symbolic.recorded import Recorded, raw, step_of
from archc.symbolic.tape import Program, Tape
from archc.symbolic.writing import factor, text, to_data
from archc.text.diagnostics import Diagnostics, SpecError

MOST_PIECES = 64  # recordings that are kept, each for sizes at which the network is another


@dataclass(frozen=True, slots=True)
class Formula:
    """A figure as a formula of the open sizes; None where it is too long to be written, though it can be worked out.

    exact: at every size of the conditions; `simple` at those of the assumption
    """

    exact: Polynomial | None
    simple: Polynomial | None

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """For sizes of the assumption."""
        return text(self.simple) if self.simple is not None else self.exact_text

    @property
    def exact_text(self) -> str:
        """For every size, with the whole parts of quotients as floor and ceil."""
        return text(self.exact) if self.exact is not None else "(too long to write)"

    @property
    def number(self) -> int | None:
        """What it is at every size, if that is one number."""
        return None if self.exact is None or self.exact.open_terms else int(self.exact.constant)

    def to_dict(self) -> dict[str, object]:
        """As text and as terms, both ways."""
        exact = self.exact and to_data(self.exact)
        if self.exact == self.simple:
            return {"text": self.exact_text, "terms": exact}
        return {"text": self.exact_text, "terms": exact, "simple": {"text": self.text, "terms": self.simple and to_data(self.simple)}}


class Recording:
    """One run of the analysis on recorded numbers: what it gave, and where it would go the same way."""

    def __init__(self, spec: OpenSpec, witness: Mapping[str, int], batch: int, dtype: str, optimizer: str | None) -> None:
        self.tape = Tape()
        self.witness = dict(witness)
        graph = spec.recorded(witness, self.tape)
        assert graph is not None, "it was elaborated at these sizes before"
        self.tape.place = None
        self.graph: Graph = graph.deployed()
        self.layers: list[Layer] = [layer_of(node, {}) for node in self.graph.nodes]
        self.memory: Memory = memory(self.graph, batch, dtype, optimizer)
        steps: dict[int, None] = {}
        figures(self.layers, self.memory, lambda number: steps.setdefault(step_of(self.tape, number)))
        self.program = Program(self.tape, steps)

    def at(self, sizes: Mapping[str, int]) -> Figures[int] | None:
        """The figures at some sizes; None where the analysis would have gone another way."""
        results, broken = self.program.run(sizes)
        if broken is not None:
            return None
        found = dict(zip(self.program.results, results, strict=True))
        return figures(self.layers, self.memory, lambda number: found[number.at] if isinstance(number, Recorded) else raw(number))


class Formulas:
    """The figures of a network of open sizes as formulas. `formulas.at(H=224, W=224)` has the numbers of `archc.analyze` there.

    Receptive fields and the peak of memory over time are not given: analyze the network at a size for these.
    """

    def __init__(self, spec: OpenSpec, batch: int, dtype: str, optimizer: str | None) -> None:
        self.spec = spec
        self.options = batch, dtype, optimizer
        self.recording = Recording(spec, spec.witness, batch, dtype, optimizer)
        self._recordings = [self.recording]

    @property
    def name(self) -> str:
        return self.recording.graph.name

    @property
    def sizes(self) -> list[str]:
        """The names of the open sizes."""
        return self.spec.names

    @cached_property
    def forms(self) -> Forms:
        return Forms(self.recording.tape)

    @cached_property
    def _conditions(self) -> Conditions:
        return read_conditions(self.recording.tape, self.forms, self.recording.witness)

    @property
    def report(self) -> Report:
        """The analysis with recorded numbers in the place of plain ones: for tables, under `speaking`."""
        recording = self.recording
        return Report(recording.graph, recording.layers, totals(recording.layers), recording.memory, {})

    @contextmanager
    def speaking(self, exact: bool = True) -> Iterator[None]:
        """Recorded numbers are written as their formulas where they are formatted, and no comparison of them counts."""
        tape = self.recording.tape

        def written(at: int, inside: bool) -> str:
            found = self.formula_of(at)
            form = found.exact if exact or found.simple is None else found.simple
            return found.exact_text if form is None else factor(form) if inside else text(form)

        tape.written = written
        try:
            with tape.at_rest():
                yield
        finally:
            tape.written = None

    @property
    def conditions(self) -> list[str]:
        """Where the exact formulas hold; at other sizes `at` analyzes anew."""
        return self._conditions.sentences()

    @cached_property
    def _required(self) -> dict[str, Rest]:
        return {name: self._conditions.rests.get(name, Rest(1, 0)) for name in self.sizes}

    @cached_property
    def _assumed(self) -> dict[str, Rest]:
        """What makes all quotients whole, as far as that goes; what is required anyhow is part of it."""
        steps = [step for step in self.recording.program.results if (form := self.forms.of(step)) is not None and form.open_terms]
        found = divisors([form for step in steps if (form := self.forms.of(step)) is not None], self.sizes)
        assumed = {}
        for name, required in self._required.items():
            divisor = lcm(found[name], required.divisor)
            assumed[name] = Rest(divisor, self.recording.witness[name] % divisor if required.rest else 0)
        return assumed

    @property
    def assumption(self) -> str:
        """For which sizes the simple formulas are: `H and W divisible by 32`; empty where they are the exact ones."""
        return ", ".join(rest_texts(self._assumed)) if self._assumed != self._required else ""

    def formula(self, number: int) -> Formula:
        """The formula of a recorded number."""
        return self.formula_of(step_of(self.recording.tape, number))

    def formula_of(self, step: int) -> Formula:
        """The formula of a step of the recording."""
        form = self.forms.of(step)
        if form is None:
            return Formula(None, None)
        try:
            return Formula(assume(form, self._required), assume(form, self._assumed))
        except TooLong:
            return Formula(form, None)

    @cached_property
    def figures(self) -> Figures[Formula]:
        """All figures as formulas."""
        with self.recording.tape.at_rest():
            return figures(self.recording.layers, self.recording.memory, self.formula)

    @property
    def parameters(self) -> Formula:
        return self.figures.parameters

    @property
    def macs(self) -> Formula:
        return self.figures.macs

    @property
    def flops(self) -> Formula:
        return self.figures.flops

    @property
    def activations(self) -> Formula:
        return self.figures.activations

    @property
    def memory(self) -> dict[str, Formula]:
        """Bytes, by the names of `archc.analyze(…).memory`."""
        return self.figures.memory

    def at(self, **sizes: int) -> Figures[int]:
        """The figures at some sizes, those of an analysis there. Raises SpecError where the network cannot have these sizes."""
        for name in [*self.sizes, *sizes]:
            if name not in sizes or name not in self.sizes or not is_int(sizes[name], 1):
                example = ", ".join(f"{one}={size}" for one, size in self.spec.witness.items())
                raise ArgumentError(f"at takes a whole number from 1 up for each open size: at({example})")
        for recording in self._recordings:
            found = recording.at(sizes)
            if found is not None:
                return found
        return self._anew(sizes)

    def _anew(self, sizes: Mapping[str, int]) -> Figures[int]:
        diagnostics = Diagnostics()
        if self.spec.graph(sizes, diagnostics) is None:
            raise SpecError(diagnostics)
        recording = Recording(self.spec, sizes, *self.options)
        if len(self._recordings) < MOST_PIECES:
            self._recordings.append(recording)
        found = recording.at(sizes)
        assert found is not None, "guards hold where they were recorded"
        return found

    def __repr__(self) -> str:
        return f"<Formulas {self.name}: {self.macs} MACs>"

    def __iter__(self) -> Iterator[str]:
        return iter(self.sizes)

    def to_dict(self) -> dict[str, object]:
        """The stable keys of `archc analyze --format json` for a network of open sizes."""
        from archc.analysis.formulas.export import to_dict

        return to_dict(self)


def formulas(spec: OpenSpec, batch: int = 1, dtype: str = "float32", optimizer: str | None = None) -> Formulas:
    """The formulas of a spec with open sizes. Raises SpecError, which names the layers that leave them no other value."""
    if dtype not in NETWORK:
        raise ArgumentError(f"no dtype is called {dtype}; there are {', '.join(NETWORK)}")
    found = Formulas(spec, batch, dtype, optimizer)
    fixed = find_fixed(found.recording.graph, found.forms, found._conditions, found.recording.witness)
    if fixed.failed:
        raise SpecError(fixed)
    return found
