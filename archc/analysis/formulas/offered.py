"""`archc.formulas`: from a spec to its formulas, in one call."""

from __future__ import annotations

import warnings
from os import PathLike, fspath
from typing import Any

from archc.analysis.formulas.formulas import Formulas
from archc.analysis.formulas.formulas import formulas as of_open
from archc.elaborate.compiler import compile_spec
from archc.elaborate.given import Input, changes_of
from archc.errors import ArgumentError
from archc.text.diagnostics import SpecError, SpecWarning, draw


def formulas(
    spec: str | PathLike[str],
    *,
    input: Input = None,
    batch: int = 1,
    dtype: str = "float32",
    optimizer: str | None = None,
    **params: Any,
) -> Formulas:
    """The cost of a network whose input has open sizes, `input=(3, "H", "W")` or so in the spec, as formulas of these sizes.

    spec: a file, or the name of a network that ships; the other arguments are those of `load` and `analyze`

    `formulas.macs`, `.memory["activations"]` and `formulas.figures["layer1"]` are texts of formulas; `formulas.at(H=224, W=224)` has the
    numbers of `analyze` at a size. Raises SpecError, which says so where a layer leaves an open size no other value; ArgumentError.
    """
    changes, shapes = changes_of(input, params)
    model = compile_spec(fspath(spec), changes, shapes, may_be_open=True)
    if model.graph is None:
        raise SpecError(model.diagnostics)
    for diagnostic in model.diagnostics:
        warnings.warn(draw(diagnostic), SpecWarning, stacklevel=2)
    if model.open is None:
        raise ArgumentError('the input has no open size: name one, as in input=(3, "H", "W"), or call archc.analyze')
    return of_open(model.open, batch, dtype, optimizer)
