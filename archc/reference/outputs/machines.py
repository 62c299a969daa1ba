"""The JSON of the commands that tell of memory and time: memory, fit, time, devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

Bound = Annotated[str, "whether the figure is exact, or a bound"]


@dataclass
class OptimizerChoice:
    """An optimizer and how PyTorch runs it."""

    name: str
    implementation: str


@dataclass
class Event:
    """Bytes alive after a layer."""

    phase: Annotated[str, "forward, loss, backward, recompute, optimizer …"]
    layer: str | None
    bytes: int


@dataclass
class Reserve:
    """Memory that tensors cannot have."""

    what: str
    bytes: int
    how: Annotated[str, "how it is known"]
    source: str


@dataclass
class CapacityOutput:
    """A memory and what of it a program can allocate, in bytes."""

    name: str
    total: int
    usable: int
    reserves: list[Reserve]


@dataclass
class MemoryOutput:
    """`archc memory`. All sizes are bytes."""

    name: str
    batch: int
    passes: Annotated[int, "forward and backward passes a step, with `--accumulate`"]
    dtype: str
    amp: str | None
    device: str
    optimizer: Annotated[OptimizerChoice | None, "null with `--inference`"]
    checkpoint: Annotated[list[str] | None, "the regions of the plan, which backward recomputes"]
    peak: Annotated[int, "the most bytes of tensors alive at once"]
    bound: Bound
    peak_text: str
    reasons: Annotated[list[str], "why it is no exact figure"]
    peak_at: str
    allocated: Annotated[int, "as PyTorch's allocator counts them at the peak"]
    reserved: Annotated[int, "what the allocator takes from the device"]
    workspace: int
    by_kind: Annotated[dict[str, int], "the peak by what it is made of"]
    kept_by_layer: Annotated[dict[str, int], "what each layer keeps for backward"]
    events: list[Event]
    capacity: Annotated[CapacityOutput | None, "with `--memory` or a device"] = None
    fits: Annotated[bool | None, "whether the step fits there"] = None


@dataclass
class CachedLayerOutput:
    """What one layer caches."""

    layer: str
    keys: Annotated[list[int], "of one sequence: heads, tokens, features"]
    values: list[int]
    bytes: Annotated[int, "of both, for all sequences of the batch"]


@dataclass
class CacheOutput:
    """Keys and values that are kept between tokens, in bytes."""

    bytes: int
    bytes_a_token: Annotated[int, "of one sequence"]
    layers: list[CachedLayerOutput]


@dataclass
class PrefillOutput:
    """The pass over all tokens of the context at once, in bytes."""

    peak: int
    bound: Bound
    peak_text: str
    peak_at: str
    reasons: Annotated[list[str], "why it is no exact figure"]


@dataclass
class DecodeOutput:
    """The pass of one more token, in bytes."""

    peak: int
    bound: Bound
    peak_text: str


@dataclass
class GenerationOutput:
    """`archc memory --generate`. All sizes are bytes."""

    name: str
    batch: Annotated[int, "sequences"]
    dtype: str
    amp: str | None
    device: str
    tokens: Annotated[int, "the context"]
    parameters: int
    cache: CacheOutput
    prefill: PrefillOutput
    decode: Annotated[DecodeOutput | None, "null where the network does not take an input of one token"]
    capacity: Annotated[CapacityOutput | None, "with `--memory` or a device"] = None
    fits: Annotated[bool | None, "whether the larger of both peaks fits there"] = None


@dataclass
class Alternative:
    """A way to train the network, and what it needs."""

    name: str
    optimizer: str
    implementation: str | None
    dtype: str
    amp: str | None
    needed: Annotated[int | None, "bytes, of the batch that was asked for"]
    largest_batch: Annotated[int | None, "that fits the memory"]
    bound: Bound
    reasons: list[str]
    checkpoint: Annotated[bool, "whether it needs a plan of what backward recomputes"]


@dataclass
class PlannedRegion:
    """A region that backward recomputes."""

    region: Annotated[str | list[str], "a part, or the first and the last layer"]
    layers: int
    kept: Annotated[int, "bytes that it keeps without the plan"]
    recomputed: Annotated[int, "how many layers are recomputed"]
    saved: Annotated[int, "bytes"]
    extra_macs: int


@dataclass
class PlanOutput:
    """A plan of checkpointing that was found."""

    fits: bool
    bound: Bound
    reasons: list[str]
    needed_before: int
    needed: int
    peak_before: int
    peak: int
    extra_macs: int
    extra: Annotated[float, "a part of what a step computes"]
    recomputed: Annotated[int, "how many layers are recomputed"]
    exact: Annotated[bool, "whether no plan with less work was overlooked"]
    coarse: bool
    regions: list[PlannedRegion]


@dataclass
class FitOutput:
    """`archc fit`"""

    name: str
    memory: Annotated[int | None, "bytes that there are"]
    batch: Annotated[int | None, "that was asked for"]
    alternatives: list[Alternative]
    plan: PlanOutput | None = None
    capacity: CapacityOutput | None = None


@dataclass
class Least:
    """Seconds that a step takes at least."""

    step: float
    forward: float
    backward: float


@dataclass
class TimedLayer:
    """A layer of `archc time`."""

    name: str
    kind: str
    flops: int
    bytes: int
    intensity: Annotated[float | None, "FLOPs a byte"]
    bound: Annotated[str | None, "what bounds its time"]
    least: Annotated[float, "seconds"]
    part: Annotated[float, "of the whole bound"]
    forecast: Annotated[float | None, "seconds, on a device that was calibrated"]


@dataclass
class TimeOutput:
    """`archc time`. Times are seconds."""

    name: str
    device: str
    batch: int
    dtype: str
    training: bool
    flops: int
    bytes: int
    least: Least
    most_images_per_second: float | None
    forecast: Annotated[float | None, "on a device that was calibrated"]
    incomplete: Annotated[list[str], "the layers that do not state their work"]
    layers: list[TimedLayer]


@dataclass
class DeviceOutput:
    """A device of `archc devices`."""

    key: str
    name: str
    year: int | None
    memory: Annotated[int | None, "bytes"]
    bandwidth: Annotated[float, "bytes a second"]
    flops: Annotated[dict[str, float], "a second, by dtype"]
    source: str
    note: str
    aliases: list[str]
    calibrated: Annotated[bool, "whether it was measured by `archc calibrate`"]


@dataclass
class Devices:
    """`archc devices`"""

    devices: list[DeviceOutput]
