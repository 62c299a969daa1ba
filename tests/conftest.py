"""What holds for every test: the width of output, which is not the terminal's, no deadlines, no module twice, little collecting."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import settings

# No deadlines, since a machine with other work is slow. The same draws each time, so that no change fails by what another one did;
# `--hypothesis-profile=new` draws others.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("new", deadline=None)
settings.load_profile("same")
os.environ.pop("COLUMNS", None)  # once, since what is done around each test is done fourteen thousand times
gc.disable()  # until all is imported


def pytest_collection_finish() -> None:
    """What was imported stays, so the collector of garbage does not go through it again and again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_module_twice() -> Iterator[None]:
    """A test that imports a module anew leaves two of it, and the tests after it depend on the order."""
    yield
    rooms = vars(sys.modules["archc"]).items() if "archc" in sys.modules else ()
    twice = [name for name, room in rooms if isinstance(room, ModuleType) and sys.modules.get(room.__name__, room) is not room]
    assert not twice, f"imported anew: {', '.join(twice)}"
