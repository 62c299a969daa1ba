"""The memory of a training step and of inference over time, to the byte as PyTorch's eager mode asks for it, without torch."""

from archc.analysis.memory.timeline.optimizers import IMPLEMENTATIONS, OPTIMIZERS
from archc.analysis.memory.timeline.result import Timeline
from archc.analysis.memory.timeline.simulate import FLOATS, LOSSES, Options, inference, training

__all__ = ["FLOATS", "IMPLEMENTATIONS", "LOSSES", "OPTIMIZERS", "Options", "Timeline", "inference", "training"]
