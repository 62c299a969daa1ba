"""Patterns over names of tensors, as `freeze`, `unfreeze` and `rates` have them."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate


def matching(pattern: str) -> Callable[[str], bool]:
    """Whether a name fits: `*` is any text, with dots; `?` a character; `[0-9]` one of several. A dot before it counts for nothing."""
    match = re.compile(translate(pattern.removeprefix("."))).match
    return lambda name: match(name) is not None
