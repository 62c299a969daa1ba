"""The JSON of `analyze` and `explain` for networks whose input has open sizes: formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal


@dataclass
class Term:
    """A product: the coefficient times the factors, over the divisor."""

    coefficient: int
    factors: Annotated[
        list[str | dict[str, Any]],
        "names of sizes; `{floor: [terms, terms]}`, the whole part of a quotient; `{gcd: [terms, terms]}`",
    ]
    divisor: Annotated[int | None, "1 unless it is there"] = None


@dataclass
class SimpleFormula:
    """A formula for sizes of the assumption alone."""

    text: str
    terms: list[Term] | None


@dataclass
class FormulaOutput:
    """A figure that depends on open sizes. `terms` is null where they are too many."""

    text: Annotated[str, "as a reader writes it: `9,408*ceil(H/2)*ceil(W/2) + 2,048,000`"]
    terms: Annotated[list[Term] | None, "what is summed"]
    simple: Annotated[SimpleFormula | None, "shorter, for sizes of the `assumption`; where it is another formula"] = None


FigureOrFormula = int | FormulaOutput


@dataclass
class FormulaBounds:
    """A figure that is known within bounds."""

    low: FigureOrFormula
    high: Annotated[FigureOrFormula | None, "null where nothing bounds it"]


CountOrFormula = int | FormulaOutput | FormulaBounds


@dataclass
class OpenMemory:
    """In bytes, as those of an analyzed network."""

    batch: int
    dtype: str
    optimizer: str | None
    input: FigureOrFormula
    activations_per_image: FigureOrFormula
    activations: FigureOrFormula
    parameters: FigureOrFormula
    buffers: FigureOrFormula
    gradients: FigureOrFormula
    optimizer_state: FigureOrFormula
    training: Annotated[FigureOrFormula, "all of it together"]


@dataclass
class OpenActivations:
    """The output of one layer."""

    values: FigureOrFormula
    bytes: FigureOrFormula
    storage: Literal["new", "view", "in place", "own"]


@dataclass
class OpenLayer:
    """A layer of `archc analyze` where sizes are open."""

    name: str
    kind: str
    output_shape: list[FigureOrFormula]
    weights: CountOrFormula
    biases: CountOrFormula
    buffers: CountOrFormula
    parameters: CountOrFormula
    macs: CountOrFormula
    flops: CountOrFormula
    activations: OpenActivations


@dataclass
class OpenTotals:
    """`archc explain SPEC` where sizes are open."""

    name: str
    sizes: Annotated[dict[str, int], "the open sizes, and the numbers with which the network was analyzed"]
    input: Annotated[dict[str, list[FigureOrFormula]], "names of the inputs to their shapes"]
    conditions: Annotated[list[str], "for which sizes the formulas hold"]
    assumption: Annotated[str, "for which sizes the `simple` ones do; empty where there are none"]
    totals: Annotated[dict[str, CountOrFormula], "weights, biases, parameters, buffers, macs, flops and activations"]
    memory: OpenMemory


@dataclass
class OpenNetwork:
    """A network of `archc analyze` whose input has open sizes. `formulas.to_dict()` is the same, without `spec`."""

    spec: str
    name: str
    sizes: Annotated[dict[str, int], "the open sizes, and the numbers with which the network was analyzed"]
    input: Annotated[dict[str, list[FigureOrFormula]], "names of the inputs to their shapes"]
    conditions: Annotated[list[str], "for which sizes the formulas hold"]
    assumption: Annotated[str, "for which sizes the `simple` ones do; empty where there are none"]
    totals: Annotated[dict[str, CountOrFormula], "weights, biases, parameters, buffers, macs, flops and activations"]
    memory: OpenMemory
    layers: Annotated[list[OpenLayer], "in the order in which they run"]
    not_given: Annotated[list[str], "what is not given as a formula"]
