"""Training: a graph and a recipe to a run folder. torch and pytorch-ignite are imported here, and nothing imports this room early.

The room and the function `archc.train(net, …)` have one name, so the room can be called: see archc.train.calling.train.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *args: Any, **named: Any) -> Any:
        from archc.train.calling import train

        return train(*args, **named)


sys.modules[__name__].__class__ = _Room
