"""A finished run in use: its network with the best weights, evaluated on images or asked for the classes of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from archc.data import DataSet, Split, open_data, read_image
from archc.training.distributed import World, real_device
from archc.training.evaluation import EvaluationReport
from archc.training.fit import best_module
from archc.training.options import TrainError
from archc.training.run import RunFolder
from archc.training.setup import check_data, evaluator, input_shape


class TrainedRun:
    """Raises TrainError, PlaceError, WeightsError where the run is damaged, or has no best weights yet."""

    def __init__(self, folder: RunFolder, device: str = "auto") -> None:
        self.folder = folder
        self.world = World(0, 1, real_device(device))
        self.graph = folder.graph()
        noted = folder.data()
        self.classes = noted.classes
        self.white = noted.white
        self.normalization = folder.normalization()
        if not folder.best.exists():
            raise TrainError(f"{folder.path}: no epoch is complete, so it has no best weights; go on with `archc resume {folder.path}`")
        self.module = best_module(self.graph, self.graph.recipe, folder, self.world)

    def data(self, source: str | None = None) -> DataSet:
        """The images of the run, or others of the same classes. Raises DataError, TrainError."""
        recipe = self.graph.recipe
        if self.white is not None:
            recipe = replace(recipe, data=replace(recipe.data, white=self.white))
        if source is not None:
            recipe = replace(recipe, data=replace(recipe.data, source=source, format="auto"))
        data = open_data(recipe.data, input_shape(self.graph), recipe.seed)
        check_data(self.graph, data)
        if data.classes != self.classes:
            other = next((pair for pair in zip(data.classes, self.classes, strict=False) if pair[0] != pair[1]), ("?", "?"))
            raise TrainError(f"{data.name} has other classes than {self.folder.path} was trained on: {other[0]} where {other[1]} was")
        return data

    def evaluate(self, split: Split, batch: int = 256) -> EvaluationReport:
        evaluate = evaluator(self.graph, self.graph.recipe, self.normalization, self.world, len(self.classes))
        return replace(evaluate, batch=batch)(self.module, split)

    @torch.no_grad()
    def predict(self, image: Path, top: int) -> list[tuple[str, float]]:
        """The likeliest classes of an image file with their probabilities, the likeliest first. Raises DataError."""
        evaluate = evaluator(self.graph, self.graph.recipe, self.normalization, self.world, len(self.classes))
        pixels = torch.tensor(read_image(image, input_shape(self.graph), self.white))[None].to(self.world.device)
        with evaluate.autocast():
            outputs = self.module(evaluate.prepare(pixels))
        logits = (outputs if isinstance(outputs, torch.Tensor) else outputs[evaluate.main])[0].double()
        parts = logits.sigmoid() if self.graph.recipe.loss.name == "bce" else logits.softmax(0)
        best = parts.topk(min(top, len(self.classes)))
        return [(self.classes[index], value) for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
