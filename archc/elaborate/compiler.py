"""From the name of a spec to its graph: the pipeline, read downwards."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.graph import Graph
from archc.graph.graph import growing
from archc.language.loading import Loader, shipped_address, shipped_name, shipped_names
from archc.language.spec import Spec
from archc.language.variants import split_address, variant_of
from archc.ops.shape import read_shape, read_sizes
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.files import read_file
from archc.text.source import Source, Span
from archc.text.suggest import did_you_mean

if TYPE_CHECKING:
    from archc.elaborate.open import OpenSpec


@dataclass(slots=True, eq=False)
class Model:
    """A spec and its graph; `graph` is None where `diagnostics` holds an error. `files` are all that were read for it.

    open: how to elaborate it for other sizes, where some are open and that was asked for; `graph` is then that of `open.witness`
    """

    spec: Spec | None
    graph: Graph | None
    diagnostics: Diagnostics
    changes: dict[str, str] = field(default_factory=dict)
    open: OpenSpec | None = None
    files: list[Path] = field(default_factory=list)


Given = str | Sequence[object]  # the shape of an input: a text as of `--input`, or sizes from a program


def compile_spec(
    named: str, changes: Mapping[str, str] | None = None, inputs: Mapping[str, Given] | None = None, may_be_open: bool = False
) -> Model:
    """The model of a file, or of a spec that ships. `changes` are `--set`, `inputs` are `--input` ("" is the only one).

    may_be_open: whether sizes of inputs may be open; otherwise they need numbers
    """
    diagnostics = Diagnostics()
    files: list[Path] = []
    model = _elaborate(load_spec(named, diagnostics, files), diagnostics, changes or {}, inputs or {}, may_be_open)
    model.files = files
    return model


def load_spec(named: str, diagnostics: Diagnostics, files: list[Path] | None = None) -> Spec | None:
    """A spec as it is written, with what it extends; None where it cannot be read, with the reason in `diagnostics`.

    `files` takes those that were read for it.
    """
    path, member = address(named)
    if path is None:
        file = split_address(named)[0]
        stem = re.sub(r"\.ya?ml$", "", re.split(r"[\\/]", file)[-1])
        names = shipped_names()
        ships = f"the shipped spec is called {stem}" if stem in names else None
        hint = ships or did_you_mean(stem, names) or "`archc list` shows the shipped specs"
        diagnostics.error("A701", Span(Source(named, named), 0, len(named)), f"{named} is neither a file nor a shipped spec", hint)
        return None
    source = read_file(path, shipped_name(path) or str(path), None, diagnostics)
    loader = Loader(path.parent, diagnostics)
    spec = None if source is None else loader.load(source, path)
    if spec is not None and member:
        spec = variant_of(spec, member, Span(Source(named, named), 0, len(named)), diagnostics)
    if files is not None:
        files += [path, *loader.files]
    return spec


def compile_text(
    text: str, changes: Mapping[str, str] | None = None, inputs: Mapping[str, Given] | None = None, name: str = "<text>"
) -> Model:
    """The model of a spec that is a text. It can extend specs that ship, and name no files."""
    diagnostics = Diagnostics()
    spec = Loader(None, diagnostics).load(Source(name, text.removeprefix("\ufeff")), None)
    return _elaborate(spec, diagnostics, changes or {}, inputs or {})


def variant(spec: Spec, changes: Mapping[str, t.Tree]) -> Model:
    """The model of a spec that was loaded, with other values for some parameters."""
    from archc.elaborate import elaborate

    diagnostics = Diagnostics()
    with growing():
        return Model(spec, elaborate(spec, diagnostics, changes, {}), diagnostics)


def locate(named: str) -> Path | None:
    """The file of a spec: as named, with .yaml, or the spec that ships under the name; of a variant, the one in which it stands."""
    return address(named)[0]


def address(named: str) -> tuple[Path | None, str]:
    """The file of a spec, and the variant in it that is named: `family.yaml:member`, or the name of one that ships."""
    file, member = split_address(named)
    found = _file_of(file)
    if found is not None or member:
        return found, member
    return shipped_address(named) or (None, "")


def _file_of(named: str) -> Path | None:
    try:
        for path in (Path(named), Path(named + ".yaml")):
            if path.exists() and not (path.is_dir() and path == Path(named) and named.isidentifier()):
                return path
    except (OSError, ValueError):
        return None
    return None


def _elaborate(
    spec: Spec | None, diagnostics: Diagnostics, changes: Mapping[str, str], inputs: Mapping[str, Given], may_be_open: bool = False
) -> Model:
    if spec is None:
        return Model(None, None, diagnostics)
    from archc.elaborate import elaborate
    from archc.elaborate.sizes import is_open

    set_trees = {name: _outside(f"--set {name}", text, diagnostics) for name, text in changes.items()}
    input_trees = {name: _shape(name, given, diagnostics) for name, given in inputs.items()}
    found = None
    if may_be_open and is_open(spec.input, input_trees):
        from archc.elaborate.open import open_spec

        found = open_spec(spec, set_trees, input_trees)
    if found is None:
        with growing():
            graph = elaborate(spec, diagnostics, set_trees, input_trees)
    else:
        graph = found.graph_at_witness(diagnostics)
    sizes = {name: read_shape(given) or [given] if isinstance(given, str) else given for name, given in inputs.items()}
    shapes = {name: "x".join(map(str, given)) for name, given in sizes.items()}
    return Model(spec, graph, diagnostics, dict(changes) | {f"input {name}".strip(): text for name, text in shapes.items()}, found)


def _outside(name: str, text: str, diagnostics: Diagnostics) -> t.Tree:
    """A value from the command line, read as YAML."""
    source = Source(name, text)
    return t.parse(source, diagnostics) or t.Scalar(source, 0, len(text), None)


def _shape(name: str, given: Given, diagnostics: Diagnostics) -> t.Tree:
    """`3x224x224` and the like, or sizes from a program."""
    from archc.elaborate.inputs import ARGUMENT, OPTION

    if isinstance(given, str):
        source = Source(f"{OPTION} {name}".strip(), given)
        sizes: Sequence[object] = read_sizes(given) or read_shape(given)
        if not sizes:
            return t.parse(source, diagnostics) or t.Scalar(source, 0, len(given), None)
    else:
        source, sizes = Source(f"{ARGUMENT}{name}", str(tuple(given))), given
    items: list[t.Tree] = [t.Scalar(source, 0, len(source.text), size) for size in sizes]
    return t.Sequence(source, 0, len(source.text), items)


def value_as_text(value: Any) -> str:
    """A Python value as the YAML text of `--set`."""
    import json

    return json.dumps(value)
