"""The JSON of the commands that count: analyze, list, compare, explain, diff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from archc.reference.outputs.formulas import OpenNetwork

Shape = list[int]
Totals = Annotated[dict[str, int], "`parameters`, `macs`, `flops` and `activations`"]


@dataclass
class Parameters:
    """How many values are learned, and how many are kept without being learned."""

    total: Annotated[int, "all that is learned"]
    weights: int
    biases: int
    trainable: Annotated[int, "the same as `total`, without what a PyTorch model has frozen"]
    buffers: Annotated[int, "kept, not learned, as running means"]


@dataclass
class Activations:
    """The outputs of all layers; views and in-place results are not counted."""

    values: int
    bytes: Annotated[int, "in the chosen dtype"]


@dataclass
class Memory:
    """Bytes, as if every activation were kept at once. `archc memory` simulates a step."""

    batch: int
    dtype: str
    optimizer: Annotated[str | None, "as it was asked for"]
    input: Annotated[int, "of the whole batch"]
    activations_per_image: int
    activations: Annotated[int, "of the whole batch"]
    parameters: int
    buffers: int
    gradients: Annotated[int, "0 without `--optimizer`"]
    optimizer_state: Annotated[int, "0 without `--optimizer`"]
    training: Annotated[int, "the sum of all"]


@dataclass
class Field:
    """A receptive field, for each axis."""

    size: Annotated[list[int], "a bound where it is not `exact`"]
    jump: Annotated[list[int | None], "pixels from one position's field to the next one's; null where they differ by position"]
    offset: Annotated[list[int | None], "the first pixel that position 0 sees, negative in the padding; null as for `jump`"]
    exact: bool


@dataclass
class LayerActivations:
    """The output of one layer."""

    values: int
    bytes: int
    storage: Annotated[Literal["new", "view", "in place"], "a view and a result in place take no bytes"]


@dataclass
class AnalyzedLayer:
    """A layer of `archc analyze`."""

    name: Annotated[str, "dotted, as in the compiled module's `state_dict`"]
    kind: Annotated[str, "the operator"]
    inputs: Annotated[list[str], "the layers, or inputs of the network, that it takes"]
    input_shapes: list[Shape]
    output_shape: Annotated[Shape, "of its first output"]
    parameters: Annotated[int | None, "values that it owns: 0 where it shares another layer's; null where an operator does not say"]
    weights: int | None
    biases: int | None
    buffers: int | None
    macs: Annotated[int | None, "null where an operator does not say"]
    flops: Annotated[int | None, "null where an operator does not say"]
    activations: LayerActivations
    receptive_field: Annotated[Field | None, "null where every position sees the whole input"]
    receptive_fields: Annotated[
        dict[str, Field | None] | None,
        "of a network with several inputs, where more than one reaches the layer: by input. `receptive_field` is then that of the first",
    ] = None
    dense_equivalent: Annotated[int | None, "of a convolution: the parameters of a fully-connected layer that would do the same"] = None
    shares: Annotated[str | None, "the layer whose weights it uses, if it uses another's"] = None
    tied: Annotated[dict[str, str] | None, "the tensors that are those of other layers, by their names here, if there are any"] = None


@dataclass
class Work:
    """Of one image, in each part of a training step."""

    forward: int | None
    backward: int | None
    step: int | None


@dataclass
class TrainingStep:
    """What a training step computes."""

    macs: Work
    flops: Annotated[Work, "two a MAC"]


@dataclass
class OpaqueLayer:
    """A layer of a PyTorch model that no operator describes."""

    layer: Annotated[str, "its name in the network"]
    name: Annotated[str, "what the model's code calls it, as `rot90` or `Attention`"]
    place: Annotated[str, "the file and line of the model's code where it is called"]
    why: Annotated[str, "what keeps it from being an operator"]


@dataclass
class CapturedModel:
    """Where a network came from that is a PyTorch model; see [import.md](import.md)."""

    source: Annotated[str, "the model's class, or what was named on the command line"]
    dtype: Annotated[str, "of its parameters"]
    opaque: list[OpaqueLayer]
    unused: Annotated[dict[str, int], "parameters that no layer uses, which no figure counts, and how many values they hold"]
    frozen: Annotated[dict[str, int], "parameters that need no gradient, and how many values they hold"]
    notes: Annotated[list[str], "what the network does not say of the model"]


Completeness = Literal["exact", "bounded", "unknown"]


@dataclass
class Network:
    """A network of `archc analyze`. Counts are for one image. `report.to_dict()` is the same, without `spec` and `training_step`."""

    spec: Annotated[str, "the spec as it was named: a file, or the name of one that ships"]
    name: Annotated[str, "the network's name"]
    input: Annotated[dict[str, Shape], "names of the inputs to their shapes, without a batch axis"]
    parameters: Parameters
    macs: Annotated[int, "of one forward pass; see [definitions.md](definitions.md)"]
    flops: Annotated[int, "of one forward pass"]
    activations: Activations
    completeness: Annotated[dict[str, Completeness], "of `parameters`, `macs`, `flops` and `activations`"]
    bounds: Annotated[
        dict[str, list[int | None]],
        "of a count that is not exact: `[low, high]`, `high` null where nothing bounds it. The number beside it is `low`",
    ]
    memory: Memory
    layers: Annotated[list[AnalyzedLayer], "in the order in which they run"]
    training_step: Annotated[TrainingStep | None, "with `--training`"] = None
    captured: Annotated[CapturedModel | None, "of a PyTorch model"] = None


@dataclass
class Line:
    """A kind of layer that a tool counts otherwise, and by how much."""

    what: str
    amount: int


@dataclass
class ToolCount:
    """A network of `archc analyze --as TOOL`: what that tool prints for it."""

    spec: str
    name: str
    tool: str
    version: Annotated[str, "of the tool"]
    quantity: Annotated[str, "the tool's own words for `total`"]
    total: int
    macs: Annotated[int, "archc's"]
    counts: Annotated[str, "what `total` is to be compared with: `macs` or `parameters`"]
    lines: Annotated[list[Line], "from archc's figure to the tool's"]
    parameters: int
    parameter_lines: list[Line]
    notes: list[str]


@dataclass
class Analysis:
    """`archc analyze`"""

    networks: Annotated[
        list[Network | OpenNetwork | ToolCount], "one for each spec; formulas of one with open sizes; those of a tool with `--as TOOL`"
    ]


@dataclass
class Summary:
    """A network of `archc list` and `archc compare`."""

    spec: str
    year: int | None
    paper: Annotated[str, "its title; empty where the spec names none"]
    input: Annotated[str, "the shapes of its inputs, as text"]
    parameters: int
    macs: int
    flops: int
    activations: int
    top1: Annotated[float | None, "published top-1 accuracy on ImageNet, in %"]
    top5: float | None
    accuracy_by: Annotated[str | None, "who published it"]
    doc: str


@dataclass
class Summaries:
    """`archc list`, `archc compare`"""

    networks: list[Summary]


@dataclass
class Step:
    """`what = formula = numbers = value`; a part that would repeat another is empty."""

    what: str
    formula: str
    numbers: str
    value: str


@dataclass
class DerivedLayer:
    """A layer of `archc explain SPEC LAYER`."""

    name: str
    steps: list[Step]


@dataclass
class Derivations:
    """`archc explain SPEC LAYER`"""

    name: str
    layers: list[DerivedLayer]


@dataclass
class Kind:
    """All layers of one kind."""

    kind: str
    layers: Annotated[int, "how many"]
    parameters: int
    macs: int
    flops: int
    activations: int


@dataclass
class Explanation:
    """`archc explain SPEC`"""

    name: str
    totals: Totals
    kinds: Annotated[list[Kind], "the one with most FLOPs first"]
    definitions: Annotated[dict[str, str], "what each figure means"]


@dataclass
class Published:
    """A published figure."""

    metric: str
    printed: Annotated[float | int | str | None, "as the source has it"]
    ours: float | int | None
    verdict: Literal["exact", "rounds", "cut off", "differs", "quoted"]
    by: Annotated[str, "who published it"]
    of: Annotated[list[str] | None, "the layers that it is about"] = None
    only: Annotated[str | None, "the kind of layer, if no other is counted"] = None
    set: Annotated[list[str] | None, "the parameters of the spec that it was published for"] = None
    note: str | None = None
    why: Annotated[str | None, "why it differs"] = None


@dataclass
class PaperFigures:
    """`archc explain SPEC --paper`"""

    name: str
    paper: Annotated[dict[str, str | int], "what the spec says of its paper"]
    published: list[Published]


@dataclass
class Length:
    """Paths of one length, in layers with weights."""

    length: int
    paths: int


@dataclass
class StructureOutput:
    """`archc explain SPEC --structure`: the graph that the deployed network is."""

    name: str
    layers: Annotated[int, "on a path from an input to an output"]
    idle: Annotated[int, "on none"]
    paths: Annotated[int, "how many there are: a whole number of any size"]
    shortest: Annotated[int, "in layers with weights, as are `median` and `depth`"]
    median: int
    depth: Annotated[int, "the longest"]
    lengths: list[Length]
    bottlenecks: Annotated[list[str], "the layers on all paths"]
    branches: Annotated[list[str], "layers that several read"]
    joins: Annotated[list[str], "layers that read several"]


@dataclass
class Change:
    """One change between two networks."""

    what: Literal["added", "removed", "changed", "renamed", "moved"]
    old: Annotated[str | None, "its name; null where there is none"]
    new: str | None
    kind: str
    layers: int
    details: list[str]
    costs: Annotated[dict[str, int], "differences of figures"]


@dataclass
class Total:
    """A figure of both networks."""

    old: int
    new: int


@dataclass
class DifferenceOutput:
    """`archc diff`"""

    old: Annotated[str, "the name of the first network"]
    new: str
    structural: Annotated[bool, "whether more than names changed"]
    same: Annotated[int, "layers that are the same"]
    reshaped: Annotated[int, "layers that only have other shapes"]
    totals: dict[str, Total]
    changes: list[Change]
