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
class Result:
    """`inference`: whether the network is good for inference alone."""

    graph: Graph
    folds: list[Fold] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    inference: bool = False
