"""Output is as wide as it likes, unless a test says otherwise: not as the terminal that the tests were started in."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # a machine with other work is slow
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def no_module_twice() -> Iterator[None]:
    """A test that imports a module anew leaves two of it, and the tests after it depend on the order."""
    yield
    package = sys.modules.get("archc")
    rooms = {name: module for name, module in sys.modules.items() if name.startswith("archc.") and name.count(".") == 1}
    twice = [name for name, module in rooms.items() if getattr(package, name.partition(".")[2], module) is not module]
    assert not twice, f"imported anew: {', '.join(twice)}"
