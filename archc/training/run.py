"""A run is a folder: the network, the recipe, where it ran, its data, figures of each epoch, checkpoints, the best weights."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import platform
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from archc.analysis.recompute import CheckpointPlan, plan_of
from archc.data import DataSet, Normalization
from archc.elaborate.compiler import compile_text
from archc.elaborate.recipe.overrides import recipe_with
from archc.errors import Argument
from archc.graph import Graph
from archc.graph.write_spec import resolve_text
from archc.language.spec import Spec
from archc.text.diagnostics import SpecError
from archc.text.extras import DISTRIBUTION
from archc.text.files import read_regular
from archc.text.locks import Held, lock_folder
from archc.training.checkpoints import write
from archc.training.options import TrainError
from archc.training.record import MOST_BYTES, Noted, data_difference, read_record, shown

SPEC, RECIPE, ENVIRONMENT, DATA = "spec.yaml", "recipe.yaml", "environment.json", "data.json"
METRICS, BEST = "metrics.csv", "best.safetensors"
PLAN = "checkpoint.yaml"  # of a run with a plan of its own: what backward recomputes
START = "start.safetensors"  # of a run of feature extraction: the weights that it began with
RESULT, CHECKPOINTS, TENSORBOARD, CLASSIFIER = "result.json", "checkpoints", "tensorboard", "classifier"
_LONGEST = 200  # bytes of a folder's name, before its number
_PACKAGES = (DISTRIBUTION, "torch", "pytorch-ignite", "numpy", "safetensors", "pillow", "scikit-learn", "webdataset")
Row = dict[str, float]


@dataclass(slots=True)
class RunFolder:
    """A run on disk. `rows` are those of metrics.csv, one an epoch; a folder with a `stem` takes the next number that is free."""

    path: Path
    rows: list[Row] = field(default_factory=list)
    stem: str = ""

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def resumable(self) -> Path:
        """The run to go on with: of a classifier on features, the one around it."""
        return self.path.parent if (self.path.parent / START).is_file() else self.path

    @property
    def best(self) -> Path:
        return self.path / BEST

    @contextmanager
    def taken(self, resume: bool) -> Iterator[None]:
        """The folder, for this training alone until it ends, however it ends. Raises TrainError where another one has it."""
        if not resume:
            self._make()
        with ExitStack() as held:
            try:
                held.enter_context(lock_folder(self.path))
            except Held:
                raise TrainError(f"{self.path} is in use by another process that trains; wait for it, or name another folder") from None
            except OSError as error:
                raise TrainError(f"{self.path} cannot be used: {error.strerror}") from None
            if not resume and any(self.path.iterdir()):  # another one was faster, and is through
                raise TrainError(_why_used(self.path))
            try:
                yield
            finally:
                if not resume:
                    with contextlib.suppress(OSError):
                        self.path.rmdir()  # where nothing came into it

    def _make(self) -> None:
        """Makes the folder. Of several trainings at once, each gets a number of its own. Raises TrainError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    self.path.mkdir()
                    return
                except FileExistsError:
                    if not self.stem:
                        return
                self.path = self.path.parent / f"{self.stem}-{_number(self.path, self.stem) + 1}"
        except OSError as error:
            raise TrainError(f"{shown(str(self.path))} cannot be made: {error.strerror}") from None

    def begin(
        self, spec: str, recipe: str, environment: Mapping[str, Any], data: Mapping[str, Any], plan: CheckpointPlan | None = None
    ) -> None:
        """Writes what is known before the first step."""
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
            raise TrainError(f"{self.path} is damaged: its {SPEC} or {RECIPE} cannot be read\n\n{error}") from None
        return model.graph

    def plan(self, graph: Graph) -> CheckpointPlan | None:
        """The plan that the run began with, where the recipe alone does not say it. Raises TrainError."""
        if not (self.path / PLAN).exists():
            return None
        try:
            return plan_of(graph, self.path / PLAN)
        except SpecError as error:
            raise TrainError(f"{self.path} is damaged: its {PLAN} cannot be read\n\n{error}") from None

    def data(self) -> Noted:
        """What was noted of the data: classes, normalization, and what tells its images from others. Raises TrainError."""
        return read_record(self.path / DATA, Noted)

    def normalization(self) -> Normalization:
        """That of the training images. Raises TrainError."""
        written = self.data().normalization
        if not 0 < len(written.mean) == len(written.std) or min(written.std) <= 0:
            raise TrainError(f"{self.path / DATA} is damaged: the normalization has a mean and a std above 0 for each channel")
        return Normalization(written.mean, written.std)

    def same_data(self, data: DataSet) -> None:
        """Raises TrainError where a set is not the one that the run was begun with."""
        different = data_difference(self.data(), data)
        if different:
            raise TrainError(
                f"{shown(data.name)} is not what {shown(str(self.resumable))} was trained on: {different}. Name the same images as ",
                Argument("data", "PATH"),
                ", or begin another run with archc train",
            )


def is_run(path: str | Path) -> bool:
    return is_folder(Path(path)) and (Path(path) / SPEC).is_file()


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is longer than names are
        return False


def _own(path: Path) -> None:
    """All of a run lies in its folder, as regular files and folders. Raises TrainError where a stranger put a link or a pipe there."""
    folders = [path / CHECKPOINTS, path / TENSORBOARD, path / CLASSIFIER]
    files = [path / name for name in (SPEC, RECIPE, ENVIRONMENT, DATA, METRICS, BEST, PLAN, START, RESULT)]
    if (path / CHECKPOINTS).is_dir():
        folders += [entry for entry in (path / CHECKPOINTS).iterdir() if entry.name.startswith("step-")]
    for folder in (*folders, *files):
        right_kind = folder.is_dir() if folder in folders else folder.is_file()
        if folder.is_symlink() or (folder.exists() and not right_kind):
            what = (
                "a link"
                if folder.is_symlink()
                else "a folder"
                if folder.is_dir()
                else "no folder"
                if folder in folders
                else "no regular file"
            )
            raise TrainError(f"{folder} is {what}: a run has its files in its own folder; put the real one there")


def open_run(path: str | Path) -> RunFolder:
    """A run that is there. Raises TrainError."""
    path = Path(path)
    if not is_folder(path):
        raise TrainError(f"{shown(str(path))}: no such folder; name one that archc train made")
    if not (path / SPEC).is_file():
        raise TrainError(f"{path} is not a run of archc train: it has no {SPEC}")
    _own(path)
    return RunFolder(path, read_rows(path / METRICS))


def fresh(wanted: str | None, name: str, parent: Path = Path("runs")) -> RunFolder:
    """A folder for a new run: the one that was named, if nothing is in it, or runs/NAME-N. Raises TrainError."""
    if wanted is not None:
        path = Path(wanted)
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise TrainError(_why_used(path))
        except (OSError, ValueError) as error:
            raise TrainError(f"{shown(wanted)} cannot be a folder: {getattr(error, 'strerror', None) or error}") from None
        return RunFolder(path)
    plain = re.sub(r"[^\w.-]+", "-", name).strip(".-").encode()[:_LONGEST].decode("utf-8", "ignore") or "network"
    numbers = [_number(entry, plain) for entry in parent.iterdir()] if parent.is_dir() else []
    return RunFolder(parent / f"{plain}-{max(numbers, default=0) + 1}", stem=plain)


def _why_used(path: Path) -> str:
    """Why a folder is not for a new run."""
    if is_run(path):
        return f"{path} has a run; name another folder, or go on with it: archc resume {path}"
    return f"{path} has something else in it; name a folder that is empty or new"


def _number(path: Path, stem: str) -> int:
    """The number of a run's folder, 0 where it is none of this stem."""
    match = re.fullmatch(rf"{re.escape(stem)}-([0-9]{{1,9}})", path.name)
    return int(match[1]) if match else 0


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
    reader = csv.DictReader(_text(path).splitlines())
    rows: list[Row] = []
    try:
        for row in reader:
            rows.append({name: _figure(path, reader.line_num, name, value) for name, value in row.items() if value})
            if "epoch" not in rows[-1]:
                raise TrainError(f"{path}:{reader.line_num} is damaged: it has no epoch")
    except csv.Error as error:
        raise TrainError(f"{path}:{reader.line_num} is damaged: {error}") from None
    return rows


def _figure(path: Path, line: int, name: str | None, value: str | list[str]) -> float:
    """A number of metrics.csv. What stands beyond the last column has no name, and is a list."""
    if name is None or isinstance(value, list):
        raise TrainError(f"{path}:{line} is damaged: it has more values than there are names")
    try:
        return float(value)
    except ValueError:
        raise TrainError(f"{path}:{line} is damaged: {shown(name)} is {shown(value)}, where a number was expected") from None


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
        return read_regular(path, MOST_BYTES, follow=False).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None


def spec_text(graph: Graph) -> str:
    """The resolved spec without its recipe. It reads back as the same network."""
    nowhere = ("", SimpleNamespace(span=""))
    document: Any = SimpleNamespace(paper=graph.paper, input=None, params={}, init=defaultdict(lambda: nowhere), train={})
    return resolve_text(graph, cast(Spec, document), {"input": ""}) + "\n"
