"""The memory of a training step and of inference over time, to the byte as PyTorch's eager mode asks for it, without torch."""

from archc.analysis.memory.timeline.optimizers import IMPLEMENTATIONS
from archc.analysis.memory.timeline.result import Timeline
from archc.analysis.memory.timeline.simulate import LOSSES, Options, inference, training

__all__ = ["IMPLEMENTATIONS", "LOSSES", "Options", "Timeline", "inference", "training"]
