"""archc: a declarative compiler and analyzer for neural-network architectures.

import archc
net = archc.load("vgg16", classes=10)
report = archc.analyze(net)
report.parameters, report.macs, report["features.0"].output_shape
archc.analyze(module, input=(3, 224, 224))  # any PyTorch module
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archc.analysis.compare.diff import Difference
    from archc.analysis.cost.report import Report
    from archc.analysis.formulas import Formulas
    from archc.analysis.formulas.offered import formulas
    from archc.analysis.memory.timeline import Timeline
    from archc.analysis.recompute import CheckpointPlan
    from archc.analysis.recompute.planner import Planned
    from archc.analysis.time.roofline import Roofline
    from archc.api import (
        analyze,
        build,
        capture,
        check,
        checkpoint,
        diff,
        fold,
        import_model,
        load,
        loads,
        memory,
        optimizer,
        render,
        report,
        roofline,
        source,
    )
    from archc.catalog.devices.device import Device, DeviceError
    from archc.data.dataset import DataError
    from archc.draw.graphviz import DrawError
    from archc.draw.picture import Picture
    from archc.errors import ArchcError, ArgumentError
    from archc.graph import Graph
    from archc.graph.captured import CaptureError
    from archc.ops.shape import Shape
    from archc.runtime.build.place import PlaceError
    from archc.runtime.weights.renaming import WeightsError
    from archc.text.diagnostics import SpecError, SpecWarning
    from archc.training.options import Outcome, TrainError
    from archc.training.train import train

__version__ = "0.1.0"  # the one place: pyproject.toml and `archc --version` read it here
_API = (
    "analyze",
    "build",
    "capture",
    "check",
    "checkpoint",
    "diff",
    "fold",
    "import_model",
    "load",
    "loads",
    "memory",
    "optimizer",
    "render",
    "report",
)
_ROOMS = {
    **dict.fromkeys((*_API, "roofline", "source"), "api"),
    "formulas": "analysis.formulas.offered",
    "train": "training.train",
    # what these give
    "CheckpointPlan": "analysis.recompute",
    "Device": "catalog.devices.device",
    "Difference": "analysis.compare.diff",
    "Formulas": "analysis.formulas",
    "Graph": "graph",
    "Outcome": "training.options",
    "Picture": "draw.picture",
    "Planned": "analysis.recompute.planner",
    "Report": "analysis.cost.report",
    "Roofline": "analysis.time.roofline",
    "Shape": "ops.shape",
    "Timeline": "analysis.memory.timeline",
    # what goes wrong
    "ArchcError": "errors",
    "ArgumentError": "errors",
    "CaptureError": "graph.captured",
    "DataError": "data.dataset",
    "DeviceError": "catalog.devices.device",
    "DrawError": "draw.graphviz",
    "PlaceError": "runtime.build.place",
    "SpecError": "text.diagnostics",
    "SpecWarning": "text.diagnostics",
    "TrainError": "training.options",
    "WeightsError": "runtime.weights.renaming",
}
__all__ = [
    "ArchcError",
    "ArgumentError",
    "CaptureError",
    "CheckpointPlan",
    "DataError",
    "Device",
    "DeviceError",
    "Difference",
    "DrawError",
    "Formulas",
    "Graph",
    "Outcome",
    "Picture",
    "PlaceError",
    "Planned",
    "Report",
    "Roofline",
    "Shape",
    "SpecError",
    "SpecWarning",
    "Timeline",
    "TrainError",
    "WeightsError",
    "__version__",
    "analyze",
    "build",
    "capture",
    "check",
    "checkpoint",
    "diff",
    "fold",
    "formulas",
    "import_model",
    "load",
    "loads",
    "memory",
    "optimizer",
    "render",
    "report",
    "roofline",
    "source",
    "train",
]


def __getattr__(name: str) -> object:
    """Names are imported when they are first used, so that the command line starts fast."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'archc' has no attribute {name!r}")
    return getattr(import_module(f"archc.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
