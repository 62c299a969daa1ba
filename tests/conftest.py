"""Output is as wide as it likes, unless a test says otherwise: not as the terminal that the tests were started in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import settings

settings.register_profile("busy", deadline=None)  # a machine with other work is slow
settings.load_profile("busy")
os.environ.pop("COLUMNS", None)  # once, since what is done around each test is done fourteen thousand times


@pytest.fixture(autouse=True)
def no_module_twice() -> Iterator[None]:
    """A test that imports a module anew leaves two of it, and the tests after it depend on the order."""
    yield
    rooms = vars(sys.modules["archc"]).items() if "archc" in sys.modules else ()
    twice = [name for name, room in rooms if isinstance(room, ModuleType) and sys.modules.get(room.__name__, room) is not room]
    assert not twice, f"imported anew: {', '.join(twice)}"
