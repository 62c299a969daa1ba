"""A network from a PyTorch model as it stands: the model is run on tensors without values, and what it does is written down."""

from archc.graph.captured import CaptureError
from archc.tracing.capture import capture

__all__ = ["CaptureError", "capture"]
