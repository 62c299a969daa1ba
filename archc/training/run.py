"""A run is a folder: the network, the recipe, where it ran, its data, figures of each epoch, checkpoints, the best weights."""

from __future__ import annotations

import csv
import io
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from archc.checkpointing import CheckpointPlan, plan_of
from archc.compiler import compile_text
from archc.elaborate.overrides import recipe_with
from archc.graph import Graph
from archc.text.diagnostics import SpecError
from archc.training.checkpoints import write
from archc.training.wishes import TrainError

SPEC, RECIPE, ENVIRONMENT, DATA = "spec.yaml", "recipe.yaml", "environment.json", "data.json"
METRICS, BEST = "metrics.csv", "best.safetensors"
PLAN = "checkpoint.yaml"  # of a run with a plan of its own: what backward runs again
START = "start.safetensors"  # of a run of feature extraction: the weights that it began with
_PACKAGES = ("archc", "torch", "pytorch-ignite", "numpy", "safetensors", "pillow", "scikit-learn", "webdataset")
Row = dict[str, float]


@dataclass(slots=True)
class RunFolder:
    """A run on disk. `rows` are those of metrics.csv, one an epoch."""

    path: Path
    rows: list[Row] = field(default_factory=list)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def whole(self) -> Path:
        """The run to go on with: of a classifier on features, the one around it."""
        return self.path.parent if (self.path.parent / START).is_file() else self.path

    @property
    def best(self) -> Path:
        return self.path / BEST

    def begin(
        self, spec: str, recipe: str, environment: Mapping[str, Any], data: Mapping[str, Any], plan: CheckpointPlan | None = None
    ) -> None:
        """Makes the folder with what is known before the first step."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainError(f"{self.path}\ncannot be made: {error.strerror}") from None
        write(self.path / RECIPE, recipe)
        write(self.path / ENVIRONMENT, json.dumps(environment, indent=1) + "\n")
        self.note(data)
        if plan is not None:
            write(self.path / PLAN, plan.text())
        write(self.path / SPEC, spec)  # last: a folder that has it is a run

    def note(self, data: Mapping[str, Any]) -> None:
        """What is known of the data, with images that turned out to be none."""
        write(self.path / DATA, json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    def add(self, row: Row) -> None:
        """A row of figures: the file is written anew, whole or not at all."""
        self.rows.append(row)
        write(self.path / METRICS, _csv(self.rows))

    def cut(self, epochs: int) -> None:
        """Forgets epochs after this one, which a resumed run goes through again."""
        self.rows = [row for row in read_rows(self.path / METRICS) if row["epoch"] <= epochs]

    def graph(self) -> Graph:
        """The network with the recipe of the run. Raises TrainError."""
        model = compile_text(_text(self.path / SPEC), name=str(self.path / SPEC))
        try:
            if model.graph is None:
                raise SpecError(model.diagnostics)
            model.graph.recipe = recipe_with(model.graph, file=self.path / RECIPE, known=True)
        except SpecError as error:
            raise TrainError(f"{self.path}\nis damaged: its {SPEC} or {RECIPE} cannot be read\n\n{error}") from None
        return model.graph

    def plan(self, graph: Graph) -> CheckpointPlan | None:
        """The plan that the run began with, where the recipe alone does not say it. Raises TrainError."""
        if not (self.path / PLAN).exists():
            return None
        try:
            return plan_of(graph, self.path / PLAN)
        except SpecError as error:
            raise TrainError(f"{self.path}\nis damaged: its {PLAN} cannot be read\n\n{error}") from None

    def data(self) -> dict[str, Any]:
        """What was noted of the data: classes, shape, normalization."""
        try:
            found = json.loads(_text(self.path / DATA))
            return {"classes": [str(one) for one in found["classes"]], "normalization": dict(found["normalization"])} | dict(found)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise TrainError(f"{self.path / DATA}\nis damaged: it has not the classes and the normalization of a run") from None


def is_run(path: str | Path) -> bool:
    return (Path(path) / SPEC).is_file()


def opened(path: str | Path) -> RunFolder:
    """A run that is there. Raises TrainError."""
    path = Path(path)
    if not path.is_dir():
        raise TrainError(f"{path}\nthere is no such folder; name one that archc train made")
    if not (path / SPEC).is_file():
        raise TrainError(f"{path}\nis no run of archc train: it has no {SPEC}")
    return RunFolder(path, read_rows(path / METRICS))


def fresh(wanted: str | None, name: str, parent: Path = Path("runs")) -> RunFolder:
    """A folder for a new run: the one that was named, if nothing is in it, or runs/NAME-N. Raises TrainError."""
    if wanted is not None:
        path = Path(wanted)
        if (path / SPEC).is_file():
            raise TrainError(f"{path}\nhas a run; name another folder, or go on with it:\narchc resume {path}")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise TrainError(f"{path}\nhas something else in it; name a folder that is empty or new")
        return RunFolder(path)
    plain = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "network"
    mine = re.compile(rf"{re.escape(plain)}-([0-9]{{1,9}})\Z")
    numbers = [int(match[1]) for one in parent.glob(f"{plain}-*") if (match := mine.match(one.name))]
    return RunFolder(parent / f"{plain}-{max(numbers, default=0) + 1}")


def environment(device: str, seed: int, processes: int, strategy: str) -> dict[str, Any]:
    """Where and how it runs."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    here = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    return here | {"device": device, "processes": processes, "strategy": strategy, "seed": seed, "versions": versions}


def read_rows(path: Path) -> list[Row]:
    """The rows of metrics.csv; none where there is none. Raises TrainError."""
    if not path.exists():
        return []
    try:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(_text(path).splitlines())]
        if all("epoch" in row for row in rows):
            return rows
    except (ValueError, TypeError, AttributeError, csv.Error):
        pass
    raise TrainError(f"{path}\nis damaged: each row should be numbers under their names")


def _csv(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows([{name: _plain(value) for name, value in row.items()} for row in rows])
    return out.getvalue()


def _plain(value: float) -> str:
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(float(value))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainError(f"{path}\ncannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
