"""Passes make a graph faster: each takes a graph, and gives a new one, how the weights follow, and what it did in words."""

from dataclasses import dataclass, field

from archc.graph import Graph


@dataclass(frozen=True, slots=True)
class Fold:
    """A batch normalization that becomes part of the layer before it. Names are those of layers."""

    into: str
    norm: str
    eps: float
    affine: bool
    bias: bool  # whether the layer had a bias
    groups: int  # of a transposed convolution, whose filters lie on the second axis; 0 for all others


@dataclass(frozen=True, slots=True)
class Branch:
    """What is added to the weights of a convolution: another one's, a normalization, or the input itself (conv, norm, x).

    places: where its first tap lies in the kernel that takes it in, for each axis
    """

    kind: str
    name: str
    places: tuple[int, ...]
    bias: bool
    affine: bool
    eps: float


@dataclass(frozen=True, slots=True)
class Merge:
    """Branches that become part of a convolution beside them, which may have had a bias."""

    into: str
    bias: bool
    groups: int
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Reshape:
    """A weight whose values stay as they are, in another shape."""

    layer: str
    shape: tuple[int, ...]


Following = Fold | Merge | Reshape  # how weights follow a pass


@dataclass(frozen=True, slots=True)
class Result:
    """`inference`: whether the network is good for inference alone."""

    graph: Graph
    folds: list[Following] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    inference: bool = False
