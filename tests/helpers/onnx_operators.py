"""The operators of ONNX, read once: PyTorch reads their Python source anew at each export, which takes two thirds of a small one."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest

_known: dict[Any, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def operators_read_once() -> Iterator[None]:
    """For the tests of a module that imports it. Each export has a registry of its own, with the same operators."""
    with pytest.MonkeyPatch.context() as patch:
        with contextlib.suppress(ImportError, AttributeError):  # a PyTorch that has it elsewhere is slower, and nothing else
            from torch.onnx._internal.exporter._registration import ONNXRegistry

            read = ONNXRegistry.from_torchlib

            def copied(*args: Any, **kwargs: Any) -> Any:
                key = args, *kwargs.items()
                if key not in _known:
                    _known[key] = read(*args, **kwargs)
                registry = copy.copy(_known[key])
                registry.functions = {target: list(found) for target, found in registry.functions.items()}
                return registry

            patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(copied))
        yield
