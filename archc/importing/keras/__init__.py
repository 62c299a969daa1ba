"""Keras: the JSON of a model, a .keras archive, or a model in HDF5. No code that they name or hold is run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from archc.importing.document import Part, parse
from archc.importing.draft import Draft, Refused
from archc.importing.imported import Imported, ImportedError
from archc.importing.keras.archive import config_of, weights_of
from archc.importing.keras.model import MODELS, Walk
from archc.importing.keras.values import Layer, Reading
from archc.importing.keras.weights import h5py_library, read_weights, snake
from archc.text.diagnostics import Diagnostics, SpecError, printable
from archc.text.files import read_file
from archc.text.source import Source

MOST_CONFIG = 16_000_000  # characters in the attribute of an HDF5 file


def is_keras(head: bytes) -> bool:
    """Whether a file that ends in .json, .keras or .h5 begins as Keras writes it."""
    return head.startswith((b"PK", b"\x89HDF")) or b'"class_name"' in head


def read_keras(path: Path, name: str, weights: Path | None = None) -> Imported:
    """The network of a file. Raises Refused at a place of its configuration, SpecError and ImportedError."""
    source = _source(path)
    reading, root = read_config(source, name)
    shown, places = printable(str(weights or path)), _places(root)
    tensors = {}
    if weights is not None:
        tensors = read_weights(weights, shown, reading.stored, places)
    elif path.suffix == ".keras":
        held = weights_of(path, 16 * sum(_count(shape) for shape in reading.draft.weights.values()) + (64 << 20))
        tensors = read_weights(held, shown, reading.stored, places) if held is not None and reading.stored else {}
    elif path.suffix != ".json":
        tensors = read_weights(path, shown, reading.stored, places)
    return Imported(reading.draft.name, reading.draft.text(), tuple(reading.notes), tensors)


def read_config(source: Source, name: str) -> tuple[Reading, Part]:
    """The network of a configuration, and what it was read from."""
    root = parse(source, "the model")
    kind = root.need("class_name")
    if kind.text() not in MODELS:
        hint = "a Functional or Sequential model is read; one whose class is its own keeps its layers in code"
        raise Refused(kind.span, f"a model of the class {kind.text()[:60]} is not read", hint, "A301")
    config = root.need("config")
    called = config.get_text("name", name) if config.is_mapping else name
    reading = Reading(Draft(called))
    reading.older = not root.get_text("keras_version", "3" if root.get("module") else "2").startswith("3")
    reading.channels_first = re.search(r'"data_format":\s*"channels_first"', source.text) is not None
    walk = Walk(reading, (), "", 0)
    outputs = walk.model(root, None)
    if not reading.draft.entries:
        raise Refused(kind.span, "no layer of this network computes anything", None, "A204")
    for at, held in enumerate(outputs):
        layer = Layer(reading, "the output", config, (), f"output{at}", kind.span)
        wire = layer.plain(held).wire if held.order else held.wire
        reading.draft.outputs[reading.draft.free_output("output" if len(outputs) == 1 else f"output{at}")] = wire
    return reading, root


def _count(shape: tuple[int, ...]) -> int:
    found = 1
    for size in shape:
        found *= size
    return found


def _source(path: Path) -> Source:
    """The configuration of a file as a text with places."""
    shown = printable(str(path))
    if path.suffix == ".keras":
        return Source(f"{shown}:config.json", config_of(path))
    if path.suffix == ".json":
        diagnostics = Diagnostics()
        source = read_file(path, str(path), None, diagnostics)
        if source is None:
            raise SpecError(diagnostics)
        return source
    library = h5py_library()
    try:
        with library.File(path, "r") as held:
            config = held.attrs.get("model_config")
    except OSError:
        raise ImportedError(f"{shown} is not HDF5, or is damaged") from None
    text = config.decode("utf-8", "replace") if isinstance(config, bytes) else config
    if not isinstance(text, str) or len(text) > MOST_CONFIG:
        raise ImportedError(f"{shown} holds weights alone: name the model's JSON, and this file as --weights")
    return Source(f"{shown}:model_config", text)


def _places(root: Part) -> dict[tuple[str, ...], str]:
    """Where Keras 3 keeps the weights of each layer: by its class, with a number from the second on."""
    return dict(_listed(root, (), ""))


def _listed(model: Part, path: tuple[str, ...], place: str) -> Iterator[tuple[tuple[str, ...], str]]:
    config = model.need("config")
    seen: Counter[str] = Counter()
    for entry in config.items() if config.is_list else config.need("layers").items():
        kind = entry.need("class_name").text()
        named = entry.get("name") or entry.need("config").get("name")
        name = named.text() if named is not None else kind.lower()
        word = snake(kind)
        own = f"{place}layers/{word}_{seen[word]}" if seen[word] else f"{place}layers/{word}"
        seen[word] += 1
        if kind in MODELS:
            yield from _listed(entry, (*path, name), f"{own}/")
        else:
            yield (*path, name), own
