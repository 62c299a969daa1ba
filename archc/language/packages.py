"""The blocks that installed packages offer: found by entry points, and read without a line of the package being run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from archc.language.blocks import Block, read_blocks
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.files import read_file

GROUP = "archc.blocks"
MOST_FILES = 200  # of one package that are looked through


def offers() -> dict[str, str]:
    """The names under which packages offer blocks, with the package, or a part of it, that holds the files."""
    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def folders_of(package: str) -> list[Path]:
    """Where a package, or a part of one, lies. It is found, not imported: a spec may not run code."""
    top, *rest = package.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return []
    return [Path(folder, *rest) for folder in (spec.submodule_search_locations or [])] if spec else []


def file_of(package: str, name: str) -> Path | None:
    """A file of a package, which may not lie outside of it."""
    for folder in folders_of(package):
        target = (folder / name).resolve()
        if target.is_relative_to(folder.resolve()) and target.is_file():
            return target
    return None


def offered_blocks() -> Iterator[tuple[str, Block]]:
    """The blocks of all installed packages, each with what `use` names: `package:file.yaml`. What cannot be read is left out."""
    for offered, package in sorted(offers().items()):
        for folder in folders_of(package):
            for path in sorted(folder.glob("*.yaml"))[:MOST_FILES]:
                for block in _blocks_of(path, f"{offered}:{path.name}"):
                    yield f"{offered}:{path.name}", block


def _blocks_of(path: Path, name: str) -> list[Block]:
    quiet = Diagnostics()
    source = read_file(path, name, None, quiet)
    tree = t.parse(source, quiet) if source is not None else None
    inner = tree.get("blocks") if isinstance(tree, t.Mapping) else None
    if isinstance(tree, t.Mapping) and tree.get("layers") is None and inner is None:
        inner = tree
    found = read_blocks(inner, quiet, in_spec=False).values() if isinstance(inner, t.Mapping) else []
    return [block for block in found if not block.broken]
