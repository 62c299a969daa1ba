"""The commands of `archc look`: each makes a picture of a trained run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from archc.data import read_image
from archc.inspect import attribution as methods
from archc.inspect.examples import seen, strongest
from archc.inspect.layers import LayerPlace, LookError, first_convolution, place
from archc.inspect.maximize import maximize, visible
from archc.inspect.sheet import MOST as MOST_FILTERS
from archc.inspect.sheet import Cell, Pixels, heat, pixels_of, sheet, signed_pixels
from archc.inspect.sheet import filters as filters_of
from archc.text.suggest import did_you_mean
from archc.training.predict import TrainedRun
from archc.training.setup import evaluator, input_shape

COLUMNS, UNITS, ROWS = 8, 16, 8  # of a sheet: cells in a row; units of a whole layer, as inputs and as rows of examples
TITLES = {"gradcam": "Grad-CAM", "integrated": "integrated gradients", "lrp": "LRP, epsilon rule"}


@dataclass(frozen=True, slots=True)
class Look:
    """A picture, and lines that say what is in it."""

    png: bytes
    notes: list[str] = field(default_factory=list)


def _prepare(trained: TrainedRun, images: Tensor) -> Tensor:
    evaluate = evaluator(trained.graph, trained.graph.recipe, trained.normalization, trained.world, len(trained.classes))
    return evaluate.prepare(images.to(trained.world.device))


def filters(trained: TrainedRun, layer: str = "") -> Look:
    """The filters of a convolution, each on its own scale."""
    at = place(trained.graph, trained.module, layer) if layer else first_convolution(trained.graph, trained.module)
    found = filters_of(at)
    cells = [Cell(pixels_of(image), str(number)) for number, image in enumerate(found)]
    shown = f"{at.units} filters" if at.units <= MOST_FILTERS else f"the first {MOST_FILTERS} of {at.units:,} filters"
    channels = int(at.node.inputs[0].shape[0])
    first = "" if channels in (1, 3) else f", each by its first of {channels:,} channels"
    title = f"{trained.graph.name} {at.node.name}: {shown}{first}"
    return Look(sheet(_rows(cells, 2 * COLUMNS), title), [title])


def _rows(cells: list[Cell], columns: int) -> list[tuple[str, list[Cell]]]:
    return [("", cells[start : start + columns]) for start in range(0, len(cells), columns)]


def attribution(trained: TrainedRun, image: Path, method: str, target: str | None, layer: str) -> Look:
    """An image beside maps of what in it speaks for a class. What a method cannot do is told, unless it alone was asked for."""
    raw = torch.from_numpy(read_image(image, input_shape(trained.graph), trained.white).copy())
    given = _prepare(trained, raw[None])
    with torch.no_grad():
        parts = trained.module(given)[0].double().softmax(0)
    at = int(parts.argmax()) if target is None else _class(trained, target)
    under = pixels_of(raw)
    cells, notes = [Cell(under, image.name)], [f"{trained.classes[at]}: {parts[at]:.1%}"]
    for name in [method] if method else methods.METHODS:
        try:
            found = methods.METHODS[name](trained.graph, trained.module, given, at, layer if name == "gradcam" else "")
        except LookError as error:
            if method:
                raise
            notes.append(f"without {TITLES[name]}: {error}")
            continue
        cells.append(Cell(_drawn(name, found, under), TITLES[name]))
    return Look(sheet([("", cells)], f"{trained.graph.name} for {trained.classes[at]}, {parts[at]:.1%}"), notes)


def _drawn(name: str, found: Tensor, under: Pixels) -> Pixels:
    return heat(found, under) if name == "gradcam" else signed_pixels(found)


def _class(trained: TrainedRun, name: str) -> int:
    if name in trained.classes:
        return trained.classes.index(name)
    raise LookError(f'no class is called "{name}"; {did_you_mean(name, trained.classes) or "`archc eval` lists the classes"}')


def _units(at: LayerPlace, most: int) -> list[int]:
    return [at.unit] if at.unit is not None else list(range(min(most, at.units)))


def feature(trained: TrainedRun, where: str, steps: int, seed: int) -> Look:
    """Inputs that excite units, in the colours of the data."""
    at = place(trained.graph, trained.module, where)
    units = _units(at, UNITS)
    found, responses = maximize(trained.module, at, units, input_shape(trained.graph), seed, steps)
    images = visible(found, trained.normalization)
    named = [f"{at.node.name}.{unit}" for unit in units]
    cells = [Cell(pixels_of(image), f"{unit}: {value:.3g}") for image, unit, value in zip(images, units, responses.tolist(), strict=True)]
    notes = [
        f"{name} responds with {value:.4g} on average over its positions" for name, value in zip(named, responses.tolist(), strict=True)
    ]
    return Look(sheet(_rows(cells, COLUMNS), f"{trained.graph.name} {at.node.name}: inputs that excite a unit"), notes)


def examples(trained: TrainedRun, where: str, source: str | None, split: str, top: int) -> Look:
    """Images that excite units; a frame is around what a unit saw where it responded most."""
    at = place(trained.graph, trained.module, where)
    units = _units(at, ROWS)
    data = trained.data(source)
    chosen = data.splits().get(split)
    if chosen is None:
        raise LookError(f"{data.name} has no {split} images; it has {', '.join(data.splits())}")
    found = strongest(trained.module, at, units, chosen, lambda images: _prepare(trained, images), top)
    rows, notes = [], []
    for unit, best in zip(units, found, strict=True):
        cells = []
        for example in best:
            image, labels = chosen.read([example.index])
            box = seen(trained.graph, at, example.position, image.shape[2:])
            cells.append(Cell(pixels_of(torch.from_numpy(image[0])), f"{data.classes[int(labels[0])]}: {example.response:.3g}", box))
            notes.append(f"{at.node.name}.{unit}  {example.response:.4g}  {chosen.name(example.index)}")
        rows.append((f"{at.node.name}.{unit}", cells))
    return Look(sheet(rows, f"{trained.graph.name} {at.node.name}: {split} images that excite a unit most"), notes[:top])
