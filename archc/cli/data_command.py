"""What a set of images contains, or a picture of it, with the augmentations of a
recipe.

  archc data info digits
  archc data info photos --all
  archc data preview digits -o grid.png
  archc data preview digits -o grid.png --augment '{rotation: {degrees: 20}}'
  archc data preview -o grid.png --spec lenet5

SOURCE is digits, which ships, or a path: a folder with one folder for each
class, idx files (MNIST), CIFAR's binary version, or shards (.tar). Without it,
the set in the spec's recipe is used.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from archc.cli.common import compile_model, load_plugins, refuse_model, show
from archc.cli.console import DEFAULT_WIDTH, complain, table_text
from archc.cli.files import write_whole
from archc.cli.training import plugin_option, refuse, run_guarded
from archc.elaborate.compiler import compile_text
from archc.elaborate.recipe.overrides import Override, recipe_with
from archc.graph import Graph
from archc.recipe import Data, Recipe
from archc.text.atomic import is_stream
from archc.text.diagnostics import SpecError, printable
from archc.text.quantity import counted
from archc.text.table import Column, Table

if TYPE_CHECKING:
    from archc.data import DataSet

AT_ONCE = 256
MOST_SHOWN = 20  # classes, and corrupt files
# A recipe is read for a network; without one, for this.
ANY = "input: [{}]\nlayers: [flatten, linear: 2]\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("info", "preview"), help="what the set contains, or a picture of it")
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="digits, or a path")
    parser.add_argument("--spec", metavar="SPEC", help="use the input size and the recipe of this network")
    parser.add_argument("--as", dest="form", choices=("auto", "idx", "cifar", "folder", "shards"), help="the format of a path")
    parser.add_argument("--size", metavar="N|HxW", help="resize images to this size")
    parser.add_argument(
        "--validation", type=float, metavar="PART", help="the part of the training images held out, if the set has no validation images"
    )
    parser.add_argument("--corrupt", choices=("error", "skip"), help="what to do with a file that is not an image (default for info: skip)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that read files")
    parser.add_argument("--all", action="store_true", help="info: read every image of a large set, to find all corrupt ones")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="info: the form of the output")
    parser.add_argument("-o", "--output", metavar="FILE.png", help="preview: the file to write")
    parser.add_argument(
        "--augment", action="append", default=[], metavar="NAME", help="preview: an augmentation, as in a recipe; may be repeated"
    )
    parser.add_argument("--rows", type=int, default=8, metavar="N", help="preview: classes")
    parser.add_argument("--columns", type=int, default=8, metavar="N", help="preview: images of each")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="preview: decides which images, and everything random")
    plugin_option(parser)
    parser.set_defaults(set=[], input=[])


def run(args: argparse.Namespace) -> int:
    if (wrong := _wrong(args)) is not None:
        return refuse(wrong)
    load_plugins(args.plugin)
    return run_guarded(lambda: (_info if args.what == "info" else _preview)(args))


def _wrong(args: argparse.Namespace) -> str | None:
    """What cannot be meant by these options together."""
    if args.source is None and args.spec is None:
        return f"which images? write archc data {args.what} digits, or the path of a folder"
    if args.what == "preview" and not (args.output or "").lower().endswith(".png") and not is_stream(Path(args.output or "")):
        return "preview writes a picture: name a file, as in -o grid.png"
    if not 1 <= args.rows <= 100 or not 1 <= args.columns <= 100:
        return "--rows and --columns go from 1 to 100"
    if args.workers is not None and not 0 <= args.workers <= 256:
        return "--workers goes from 0 to 256"
    return None


def _info(args: argparse.Namespace) -> int:
    dataset, _, _ = _open_set(args, corrupt="skip")
    read = _read_all(dataset, args.all)
    counts = {name: split.counts(len(dataset.classes)) for name, split in dataset.splits().items()}
    if args.format == "json":
        print(json.dumps({**dataset.to_dict(), "counts": counts, "read": read, "sizes": _sizes(dataset)}, indent=2))
    else:
        print("\n".join(_lines(dataset, counts, read)))
    return 0


def _open_set(args: argparse.Namespace, corrupt: str) -> tuple[DataSet, Recipe, tuple[int, int] | None]:
    """The set under the command's options, the recipe, height and width of the network's input. Raises DataError, SpecError."""
    from archc.data import open_data

    graph = _network(args)
    shape = tuple(next(iter(graph.inputs.values())).shape) if graph is not None else None
    recipe = graph.recipe if graph is not None else Recipe()
    dataset = open_data(_data(args, recipe.data, corrupt), shape, args.seed)
    if args.augment:
        asked = Override("--augment", "augment", f"[{', '.join(args.augment)}]")
        recipe = recipe_with(graph or _stub(dataset), [asked])
    return dataset, recipe, (shape[1], shape[2]) if shape is not None else None


def _network(args: argparse.Namespace) -> Graph | None:
    if args.spec is None:
        return None
    refuse_model(args.spec, "data takes the recipe of a spec")
    model = compile_model(args, args.spec)
    if model.graph is None:
        raise SpecError(model.diagnostics)
    show(model.diagnostics)
    return model.graph


def _stub(dataset: DataSet) -> Graph:
    graph = compile_text(ANY.format(", ".join(map(str, dataset.shape)))).graph
    assert graph is not None
    return graph


def _data(args: argparse.Namespace, data: Data, corrupt: str) -> Data:
    if args.source is not None:
        data = Data(source=args.source)
    asked: dict[str, Any] = {"format": args.form, "validation": args.validation, "workers": args.workers}
    asked["corrupt"] = args.corrupt or corrupt
    asked["size"] = _size(args.size) if args.size else None
    return replace(data, **{name: value for name, value in asked.items() if value is not None})


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if not all(side.isascii() and side.isdecimal() and 0 < int(side[:6]) <= 65536 for side in sides) or len(sides) > 2:
        complain(f"--size needs 224 or 224x320 (height x width), not {text!r}")
        raise SystemExit(2)
    return int(sides[0]), int(sides[-1])


def _read_all(dataset: DataSet, large: bool) -> int:
    """Reads every image where all are few or the user wants it; how many were read."""
    from archc.data.readers import small

    read = 0
    for split in dataset.splits().values():
        if split.length is None and large:
            read += sum(1 for _ in split.stream(0, 0))
        elif split.length is not None and (large or small(len(split), dataset.shape)):
            for start in range(0, len(split), AT_ONCE):
                read += len(split.read(range(start, min(start + AT_ONCE, len(split))))[1])
    return read


def _lines(dataset: DataSet, counts: dict[str, list[int]], read: int) -> list[str]:
    shape = " x ".join(map(str, dataset.shape))
    lines = [printable(f"{dataset.name}: {counted(len(dataset.classes), 'class', 'classes')}, {dataset.format}, read as {shape}"), ""]
    lines += [table_text(_table(dataset, counts), DEFAULT_WIDTH), ""]
    # what cannot be read is known after the statistics
    mean, std = dataset.normalization.mean, dataset.normalization.std
    lines.append(f"mean     {'  '.join(f'{number:.4f}' for number in mean)}")
    lines.append(f"std      {'  '.join(f'{number:.4f}' for number in std)}")
    if (sizes := _sizes(dataset)) is not None:
        low, high = (f"{size[0]} x {size[1]}" for size in sizes)
        lines.append(f"stored   {low}" + (f" to {high}" if low != high else ""))
    lines += [printable(line) for note in dataset.notes for line in wrap(note, 70, initial_indent="note     ", subsequent_indent=" " * 9)]
    return [*lines, *_corrupt(dataset, sum(map(sum, counts.values())), read), ""]


def _table(dataset: DataSet, counts: dict[str, list[int]]) -> Table:
    table = Table([Column("class"), *(Column(name, "count") for name in counts)])
    rows = list(zip(dataset.classes, *counts.values(), strict=True))
    table.rows = [list(row) for row in rows[:MOST_SHOWN]]
    if len(rows) > MOST_SHOWN:
        table.rows.append(
            [f"{len(rows) - MOST_SHOWN:,} more", *(sum(row[i] for row in rows[MOST_SHOWN:]) for i in range(1, len(counts) + 1))]
        )
    table.totals = [["all", *map(sum, counts.values())]]
    return table


def _corrupt(dataset: DataSet, images: int, read: int) -> list[str]:
    bad = dataset.corrupt
    seen = "" if read + len(bad) >= images else " among those that were read; --all reads every image"
    lines = [f"corrupt  {len(bad) or 'none'}{seen}"]
    lines += [printable(f"  {image.name}: {image.reason}") for image in bad[:MOST_SHOWN]]
    return lines + ([f"  and {len(bad) - MOST_SHOWN} more (--format json has all)"] if len(bad) > MOST_SHOWN else [])


def _sizes(dataset: DataSet) -> list[tuple[int, int]] | None:
    """The smallest and the largest height and width, as stored: of files, among the first that could be opened."""
    from archc.data.survey import size_bounds

    if dataset.stored is not None:
        return [dataset.stored, dataset.stored]
    if dataset.format != "folder":
        return None
    return size_bounds(Path(dataset.train.name(i)) for i in range(len(dataset.train)))


def _preview(args: argparse.Namespace) -> int:
    from archc.data.grid import grid, of_each_class

    dataset, recipe, size = _open_set(args, corrupt="error")
    changes = [part.name for part in recipe.augment] + [name for name in ("mixup", "cutmix") if getattr(recipe, name)]
    rows = of_each_class(dataset, dataset.train, args.rows, 1 if changes else args.columns, args.seed)
    if changes:
        from archc.training.augment.augmentation import preview

        rows = preview(dataset, recipe, rows, args.columns - 1, args.seed, size)
        print(f"original, then {args.columns - 1} draws of {', '.join(changes)}")
    return write_whole(args.output, grid(rows, ("original", "augmented") if changes else ()), args)
