"""The blocks that ship: YAML files in archc/blocks. A file is read when one of its blocks is first used."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

from archc.language.blocks import Block, read_blocks
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics, SpecError
from archc.text.source import Source

FOLDER = Path(__file__).parent.parent / "blocks"
_KEY = re.compile(r"^([A-Za-z_]\w*):", re.MULTILINE)


@lru_cache(maxsize=1)
def index() -> dict[str, Path]:
    """The file of each block."""
    found = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for name in _KEY.findall(path.read_text(encoding="utf-8")):
            found[name] = path
    return found


@cache
def _file(path: Path) -> dict[str, Block]:
    diagnostics = Diagnostics()
    source = Source(f"archc/blocks/{path.name}", path.read_text(encoding="utf-8"), str(path))
    tree = t.parse(source, diagnostics)
    blocks = read_blocks(tree, diagnostics, in_spec=False) if tree is not None else {}
    if diagnostics.failed:
        raise SpecError(diagnostics)
    return blocks


def find(name: str) -> Block | None:
    """The block of a name, if one ships."""
    path = index().get(name)
    return _file(path).get(name) if path else None
