"""Files: a spec with what it extends and uses. No path may leave the folder of the spec that was named."""

from __future__ import annotations

import os
from pathlib import Path

from archc.language.blocks import Block, read_blocks
from archc.language.entries import Chain
from archc.language.functions import budget
from archc.language.spec import Spec, read_spec
from archc.language.variants import names_in, split_address, variant_of
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.files import read_file
from archc.text.source import Source
from archc.text.suggest import did_you_mean, fill

LONGEST_LINE_OF_DESCENT = 16


def shipped_folder() -> Path:
    """Where the specs that ship lie: beside the code in an installation, above it in a checkout."""
    here = Path(__file__).parent.parent
    return here / "specs" if (here / "specs").is_dir() else here.parent / "specs"


def shipped() -> list[Path]:
    """All specs that ship."""
    return sorted(shipped_folder().rglob("*.yaml"))


def shipped_address(name: str) -> tuple[Path, str] | None:
    """The file of a spec that ships, and the variant in it that is meant; a file's own name goes before those of variants."""
    paths = shipped()
    own = next((path for path in paths if path.stem == name), None)
    if own is not None:
        return own, ""
    return next(((path, name) for path in paths if name in names_in(path)), None)


def shipped_names() -> list[str]:
    """The names of all specs that ship, and of their variants."""
    return list(dict.fromkeys(name for path in shipped() for name in (path.stem, *names_in(path))))


def shipped_name(path: Path) -> str | None:
    """How a file that ships is called wherever it is installed: specs/alexnet.yaml. None for any other file."""
    try:
        return f"specs/{path.resolve().relative_to(shipped_folder().resolve()).as_posix()}"
    except (ValueError, OSError, RuntimeError):
        return None


def _anything(source: Source) -> Spec:
    """In place of a spec that cannot be read: what builds on it is not held against it."""
    return Spec(source=source, name="", input=t.Scalar(source, 0, 0, t.BROKEN), layers=Chain([]), no_params=True, no_blocks=True)


class Loader:
    """Loads one spec; `root` is the folder that no path in it may leave (None: it may name no files).

    `files` are those that it extends and uses, once it is loaded.
    """

    def __init__(self, root: Path | None, diagnostics: Diagnostics) -> None:
        budget.fill()
        fill()
        self.root = root
        self.diagnostics = diagnostics
        self.files: list[Path] = []

    def load(self, source: Source, path: Path | None, line: tuple[Path, ...] = ()) -> Spec | None:
        """The spec of a source that was read from `path`; `line` are the specs that extend it."""
        tree = t.parse(source, self.diagnostics)
        if tree is None:
            return None
        if not isinstance(tree, t.Mapping):
            return read_spec(tree, source, None, {}, self.diagnostics)
        extends, use = tree.get("extends"), tree.get("use")
        base = self._extended(extends, path, line) if extends is not None else None
        self.sources: set[Source] = set()
        used = self._used(use, path) if use is not None else {}
        if extends is not None and base is None:  # what the spec says itself is read all the same
            read_spec(tree, source, _anything(source), used or {}, self.diagnostics)
            return None
        spec = read_spec(tree, source, base, used or {}, self.diagnostics, frozenset(self.sources))
        if spec is not None and used is None:
            spec.no_blocks = True
        return spec

    def _extended(self, tree: t.Tree, path: Path | None, line: tuple[Path, ...]) -> Spec | None:
        if not isinstance(tree, t.Scalar) or not isinstance(tree.value, str):
            self.diagnostics.error("A202", tree.span, "`extends` must name one spec", "extends: resnet50.yaml")
            return None
        file, member = split_address(tree.value)
        if file.endswith((".yaml", ".yml")):
            target = self._path(tree, path, file)
        else:
            target, member = self._shipped(tree) or (None, "")
        if target is None:
            return None
        line = (*line, *([path.resolve()] if path else []))
        if target.resolve() in line:
            circle = " extends ".join(path.name for path in (*line[line.index(target.resolve()) :], target))
            self.diagnostics.error("A703", tree.span, f"a circle: {circle}", "remove one `extends`")
            return None
        if len(line) > LONGEST_LINE_OF_DESCENT:
            self.diagnostics.error("A703", tree.span, f"more than {LONGEST_LINE_OF_DESCENT} specs extend each other")
            return None
        source = self._read(target, tree, shipped_name(target) or os.path.normpath(target))
        base = self.load(source, target, line) if source is not None else None
        return variant_of(base, member, tree.span, self.diagnostics) if base is not None and member else base

    def _read(self, path: Path, tree: t.Scalar, name: str) -> Source | None:
        """A file that a spec names. Its name is the same in whatever folder the command runs."""
        self.files.append(path)
        return read_file(path, name, tree.span, self.diagnostics)

    def _shipped(self, tree: t.Scalar) -> tuple[Path, str] | None:
        found = shipped_address(str(tree.value))
        if found is None:
            hint = did_you_mean(tree.value, shipped_names()) or "a file name ends in .yaml; `archc list` shows the shipped specs"
            self.diagnostics.error("A701", tree.span, f'no shipped spec is called "{tree.value}"', hint)
        return found

    def _path(self, tree: t.Scalar, path: Path | None, file: str = "") -> Path | None:
        """The file that a spec names, if it lies below the root (or among the specs that ship)."""
        named = Path(file or str(tree.value))
        if path is None:
            self.diagnostics.error("A702", tree.span, "a spec that is not a file cannot name files", "name a shipped spec")
            return None
        target = path.parent / named
        roots = [folder.resolve() for folder in (self.root, shipped_folder()) if folder is not None]
        inside = not named.is_absolute() and any(target.resolve().is_relative_to(root) for root in roots)
        if not inside or "\0" in str(named):
            self.diagnostics.error("A702", tree.span, f"{tree.value} lies outside the spec's folder", "copy the file there")
            return None
        return target

    def _used(self, tree: t.Tree, path: Path | None) -> dict[str, Block] | None:
        """The blocks of all files that a spec uses; None where one of them could not be read."""
        items = tree.items if isinstance(tree, t.Sequence) else [tree]
        found: dict[str, Block] = {}
        in_library = True
        for item in items:
            if not isinstance(item, t.Scalar) or not isinstance(item.value, str):
                self.diagnostics.error("A202", item.span, "`use` must name files of blocks", "use: [my_blocks.yaml]")
                in_library = False
                continue
            packaged = ":" in item.value
            target = self._packaged(item) if packaged else self._path(item, path)
            source = None
            if target is not None:
                source = self._read(target, item, item.value if packaged else shipped_name(target) or os.path.normpath(target))
            tree_of = t.parse(source, self.diagnostics) if source is not None else None
            self.sources |= {source} if source is not None else set()
            in_library = in_library and isinstance(tree_of, t.Mapping) and not tree_of.broken
            if tree_of is not None:
                found.update(self._blocks(tree_of))
        return found if in_library else None

    def _blocks(self, tree: t.Tree) -> dict[str, Block]:
        blocks = tree.get("blocks") if isinstance(tree, t.Mapping) and tree.get("layers") is not None else None
        if isinstance(blocks, t.Mapping):
            tree = blocks  # the blocks of another spec
        return read_blocks(tree, self.diagnostics, in_spec=False)

    def _packaged(self, tree: t.Scalar) -> Path | None:
        """`package:file.yaml`: a file of an installed package that offers blocks (entry point group `archc.blocks`).

        The package is found, not imported: a spec may not run code.
        """
        from archc.language.packages import file_of, offers

        package, _, file = str(tree.value).partition(":")
        offered = offers()
        if package not in offered:
            hint = did_you_mean(package, offered) or (f"there are {', '.join(sorted(offered))}" if offered else "none is installed")
            self.diagnostics.error("A704", tree.span, f'no installed package offers blocks as "{package}"', hint)
            return None
        target = file_of(offered[package], file)
        if target is None:
            self.diagnostics.error("A704", tree.span, f"{package} has no file {file}")
        return target
