"""archc: a declarative compiler and analyzer for neural-network architectures.

import archc
net = archc.load("vgg16", classes=10)
report = archc.analyze(net)
report.parameters, report.macs, report["features.0"].output_shape
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archc.api import analyze, build, check, checkpoint, load, loads, memory, optimizer, report, roofline, source
    from archc.text.diagnostics import SpecError, SpecWarning
    from archc.training.calling import train

__version__ = "0.1.0"
__all__ = [
    "SpecError",
    "SpecWarning",
    "analyze",
    "build",
    "check",
    "checkpoint",
    "load",
    "loads",
    "memory",
    "optimizer",
    "report",
    "roofline",
    "source",
    "train",
]


def __getattr__(name: str) -> Any:
    """Names are imported when they are first used, so that the command line starts fast."""
    if name in ("SpecError", "SpecWarning"):
        from archc.text import diagnostics

        return getattr(diagnostics, name)
    if name == "train":
        from archc.training.calling import train

        return train
    if name in __all__:
        from archc import api

        return getattr(api, name)
    raise AttributeError(f"module 'archc' has no attribute {name!r}")
