"""Opens the set that a recipe names: finds its format and makes its parts splits."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from archc.data.class_names import names_beside
from archc.data.dataset import Corrupt, DataError, DataSet, Images, Labels, Reader, Shape, Split
from archc.data.formats import cifar, folder, idx, shards
from archc.data.formats.digits import load_digits, test_rows
from archc.data.layout import read_layout
from archc.data.pixels import image_shape
from archc.data.readers import Arrays, Files, small
from archc.data.splits import SAMPLED, Rows, hold_out, measure
from archc.data.survey import LOOKED_AT, common_shape, white_of
from archc.data.tree import shown
from archc.errors import Head, Parameter
from archc.recipe import Data
from archc.text.quantity import counted

DIGITS = "digits"
FORMATS = ("auto", "idx", "cifar", "folder", "shards")
# sets that people name, and what to do: they do not ship
KNOWN = {
    "mnist": "the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-…",
    "fashion-mnist": "the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-…",
    "cifar10": "cifar-10-binary.tar.gz, and unpack it",
    "cifar-10": "cifar-10-binary.tar.gz, and unpack it",
    "cifar100": "cifar-100-binary.tar.gz, and unpack it",
    "cifar-100": "cifar-100-binary.tar.gz, and unpack it",
    "imagenet": "its images, in folders train/CLASS and val/CLASS",
}


def open_data(data: Data, shape: tuple[int, ...] | None, seed: int) -> DataSet:
    """The set of a recipe, for a network whose input has this shape [C, H, W]; None takes the images' own. Raises DataError.

    Splits do not depend on the seed; the sample by which a large set is normalized does.
    """
    wanted = image_shape(shape, data.size) if shape is not None else None
    if data.source == DIGITS and data.format == "auto":
        return _digits(data, wanted, seed)
    path = _existing(data.source)
    try:
        form = data.format if data.format != "auto" else detect(path)
        opened = {"idx": _idx, "cifar": _cifar, "folder": _folder, "shards": _shards}[form]
        return opened(path, data, wanted, seed)
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read: {error.strerror}") from None


def _existing(source: str) -> Path:
    path = Path(source).expanduser()
    if path.exists():
        return path
    if source.lower() in KNOWN:
        raise DataError(f"{source} does not ship with archc", f"download {KNOWN[source.lower()]}, then give the folder's path")
    raise DataError(f"there is no {path}", f"data is `{DIGITS}`, which ships, or the path of a folder")


def detect(path: Path) -> str:
    """What a path holds: idx, cifar, folder or shards. Raises DataError."""
    if path.is_file():
        if path.suffix == ".tar":
            return "shards"
        raise DataError(f"{path} is a file", _unpack(path) or "give the folder that has the images, or a shard (.tar)")
    if idx.is_idx(path):
        return "idx"
    if cifar.is_cifar(cifar.folder_of(path)):
        return "cifar"
    if shards.find(path):
        return "shards"
    if folder.is_folder(path):
        return "folder"
    packed = next((file for file in sorted(path.iterdir()) if _unpack(file)), None)
    raise DataError(
        f"there are no images in {path}",
        (packed and f"unpack {packed.name} first") or "it may hold idx files, CIFAR's .bin files, one folder a class, or shards (.tar)",
    )


def _unpack(path: Path) -> str:
    return "unpack it first" if path.name.lower().endswith((".zip", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".7z", ".rar")) else ""


def _digits(data: Data, shape: Shape | None, seed: int) -> DataSet:
    images, labels, classes = load_digits()
    shape = shape or _own(images, data)
    reader, test = Arrays(DIGITS, images, shape), test_rows(labels)
    train, validation = _held(reader, np.flatnonzero(~test), labels[~test], data)
    tested = Split(reader, np.flatnonzero(test), labels[test])
    return DataSet(
        name=DIGITS,
        format=DIGITS,
        classes=classes,
        shape=shape,
        train=train,
        validation=validation,
        test=tested,
        stored=images.shape[2:],
        corrupt=[],
        measure=partial(measure, seed=seed, sampled=None),
    )


def _idx(path: Path, data: Data, shape: Shape | None, seed: int) -> DataSet:
    if path.is_file():
        raise DataError(f"{path} is a file", "give the folder that has the four files")
    training, test = idx.load_part(path, "train"), idx.load_part(path, "test")
    if training is None:
        raise DataError(f"{path} has no train-images-idx3-ubyte", "put all four files of the download there")
    classes = names_beside(path) or idx.class_names(training[1])
    for part, found in (("train", training), ("test", test)):
        if found is not None and found[1].max() >= len(classes):
            raise DataError(f"a {part} label of {path} is {found[1].max()}, and there are {len(classes)} classes")
    return _arrays(name=path.name, form="idx", classes=classes, training=training, test=test, data=data, shape=shape, seed=seed)


def _cifar(path: Path, data: Data, shape: Shape | None, seed: int) -> DataSet:
    inner = cifar.folder_of(path)
    if not inner.is_dir() or not cifar.is_cifar(inner):
        raise DataError(f"{path} is not CIFAR's binary version", "it has data_batch_1.bin … and test_batch.bin, or train.bin and test.bin")
    training, test, classes = cifar.load_cifar(inner)
    return _arrays(name=inner.name, form="cifar", classes=classes, training=training, test=test, data=data, shape=shape, seed=seed)


Part = tuple[Images, Labels]


def _arrays(
    *, name: str, form: str, classes: tuple[str, ...], training: Part, test: Part | None, data: Data, shape: Shape | None, seed: int
) -> DataSet:
    shape = shape or _own(training[0], data)
    reader = Arrays(f"{name}/train", training[0], shape)
    train, validation = _held(reader, np.arange(len(training[1])), training[1], data)
    measured = partial(measure, seed=seed, sampled=None if small(len(training[0]), shape) else SAMPLED)
    tested = _split_of(Arrays(f"{name}/test", test[0], shape), test[1]) if test is not None else None
    height, width = training[0].shape[2:]
    return DataSet(
        name=name,
        format=form,
        classes=classes,
        shape=shape,
        train=train,
        validation=validation,
        test=tested,
        stored=(height, width),
        corrupt=[],
        measure=measured,
    )


def _own(images: Images, data: Data) -> Shape:
    return image_shape(images.shape[1:], data.size)


def _held(reader: Reader, rows: Rows, labels: Labels, data: Data) -> tuple[Split, Split | None]:
    """Training images, and those held out for validation. `labels` are those of `rows`."""
    held = hold_out(labels, data.validation, [reader.key(int(row)) for row in rows])
    return Split(reader, rows[~held], labels[~held]), Split(reader, rows[held], labels[held]) if held.any() else None


def _split_of(reader: Reader, labels: Labels) -> Split:
    return Split(reader, np.arange(len(labels)), labels)


def _folder(path: Path, data: Data, shape: Shape | None, seed: int) -> DataSet:
    if path.is_file():
        raise DataError(f"{path} is a file", "give the folder that has one folder a class")
    layout = read_layout(path)
    classes = layout.classes
    listings = {part: folder.listing(root, classes) for part, root in layout.parts.items()}
    shape = shape or image_shape(common_shape(listings["train"].root / path for path in listings["train"].paths), data.size)
    white, white_note = white_of([listing.root / name for listing in listings.values() for name in listing.paths], data.white)
    corrupt: list[Corrupt] = []
    found: dict[str, tuple[Files, Labels]] = {}
    for part, listed in listings.items():
        files = Files(
            root=listed.root,
            paths=listed.paths,
            shape=shape,
            skip=data.corrupt == "skip",
            workers=data.workers,
            corrupt=corrupt,
            white=white,
        )
        found[part] = files, np.array(listed.labels, np.int64)
    train, validation = _split_of(*found["train"]), _split_of(*found["validation"]) if "validation" in found else None
    if validation is None:
        files, labels = found["train"]
        train, validation = _held(files, np.arange(len(labels)), labels, data)
    measured = partial(measure, seed=seed, sampled=None if small(len(train), shape) else SAMPLED)
    test = _split_of(*found["test"]) if "test" in found else None
    made = DataSet(
        name=path.resolve().name,
        format="folder",
        classes=classes,
        shape=shape,
        train=train,
        validation=validation,
        test=test,
        stored=None,
        corrupt=corrupt,
        measure=measured,
    )
    return replace(made, notes=(*layout.notes, *filter(None, [white_note])), doubtful=layout.doubtful, white=white)


def _shards(path: Path, data: Data, shape: Shape | None, seed: int) -> DataSet:
    found = shards.find(path)
    if "train" not in found:
        raise DataError(f"there are no shards (.tar) for training in {path}", "name them train-000.tar, train-001.tar …")
    beside = path if path.is_dir() else path.parent
    classes = names_beside(beside) or shards.class_names(found["train"])
    if len(classes) == 1:
        raise DataError(f"{path} has only one class, {classes[0]}", "at least two are needed")
    shape = shape or image_shape(common_shape(shards.some(found["train"], LOOKED_AT)), data.size)
    white, white_note = white_of(list(shards.some(found["train"], LOOKED_AT)), data.white)
    corrupt: list[Corrupt] = []
    none = np.empty(0, np.int64)

    def split(part: str, held: float = 0.0, inverse: bool = False) -> Split:
        shuffled = part == "train" and not inverse
        flow = shards.Shards(
            found[part],
            classes=classes,
            shape=shape,
            skip=data.corrupt == "skip",
            corrupt=corrupt,
            shuffled=shuffled,
            held=held,
            inverse=inverse,
            white=white,
        )
        return Split(None, none, none, flow)

    out = 0.0 if "validation" in found else data.validation
    validation = split("validation") if "validation" in found else split("train", out, inverse=True) if out else None
    test = split("test") if "test" in found else None
    measured = partial(measure, seed=seed)
    made = DataSet(
        name=path.resolve().name,
        format="shards",
        classes=classes,
        shape=shape,
        train=split("train", out),
        validation=validation,
        test=test,
        stored=None,
        corrupt=corrupt,
        measure=measured,
    )
    return replace(made, notes=tuple(filter(None, [white_note])), white=white)


def check_classes(dataset: DataSet, outputs: int, loaded: bool = False) -> None:
    """Raises DataError where a network has not one output a class. `loaded`: whether weights are, so that only the head is new."""
    if outputs == len(dataset.classes):
        return
    count = len(dataset.classes)
    mismatch = f"{dataset.name} has {counted(count, 'class', 'classes')}, and the network has {counted(outputs, 'output')}"
    if dataset.doubtful:
        named = ", ".join(shown(name) for name in dataset.classes[:8]) + (", …" if count > 8 else "")
        raise DataError(
            "\n".join([f"{mismatch}; the classes are taken to be {named}", *dataset.notes, "are the folders those that you mean?"])
        )
    parameter = (Head if loaded else Parameter)("classes", count)
    raise DataError(mismatch, "write ", parameter, " where the spec takes it, or change its last layer")
