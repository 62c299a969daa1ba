"""The JSON of the commands that check specs, and of those that read images: check, lint, data info, eval, predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass
class UsedAt:
    """A place that led to another: the use of a block."""

    label: str
    file: str
    line: int
    column: int


@dataclass
class DiagnosticOutput:
    """A mistake in a spec. Lines and columns count from 1."""

    code: str
    severity: str
    message: str
    hint: str | None
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    uses: Annotated[list[UsedAt], "the places that led there"]


@dataclass
class Diagnosed:
    """`archc check`"""

    diagnostics: list[DiagnosticOutput]


@dataclass
class CostOutput:
    """What a finding costs at the batch size."""

    kept: Annotated[int, "bytes kept for backward"]
    parameters: int
    macs: Annotated[int, "of the forward pass, as are `flops`"]
    flops: int
    copied: Annotated[int, "bytes"]
    cuda: Annotated[int, "bytes that are kept on CUDA alone"]


@dataclass
class FindingOutput(DiagnosticOutput):
    """A finding of `archc lint`: a diagnostic, and what it is about."""

    layers: list[str]
    batch: int
    cost: CostOutput


@dataclass
class Findings:
    """`archc lint`"""

    findings: list[FindingOutput]


@dataclass
class NormalizationOutput:
    """Of the training images, for each channel."""

    mean: list[float]
    std: list[float]


@dataclass
class CorruptImage:
    """A file that is not a readable image, and why."""

    name: str
    reason: str


@dataclass
class DataOutput:
    """`archc data info`"""

    name: str
    format: str
    classes: list[str]
    shape: list[int]
    images: Annotated[dict[str, int | None], "of each split; null where they are not counted"]
    normalization: NormalizationOutput
    corrupt: list[CorruptImage]
    notes: list[str]
    white: Annotated[int | None, "the value of white, of images of 16 bits"]
    counts: Annotated[dict[str, list[int]], "images of each class, by split"]
    read: Annotated[int, "images that were read"]
    sizes: Annotated[list[list[int]] | None, "the smallest and the largest height and width, as stored"]


@dataclass
class ClassFigures:
    """How one class is recognized."""

    class_: str
    images: int
    recall: float | None
    precision: float | None
    taken_for: Annotated[str | None, "the class that it is taken for most often"]
    times: int


@dataclass
class EvalOutput:
    """`archc eval`"""

    data: str
    split: str
    images: int
    loss: float
    accuracy: float
    classes: list[ClassFigures]
    top5: float | None = None


@dataclass
class Guess:
    """A class and how likely it is."""

    class_: str
    probability: float


@dataclass
class PredictedImage:
    """An image of `archc predict`."""

    image: Annotated[str, "its file"]
    classes: Annotated[list[Guess], "the likeliest first"]


@dataclass
class PredictOutput:
    """`archc predict`"""

    images: list[PredictedImage]
