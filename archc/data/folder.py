"""Folders of images: DIR/class/image.png, or DIR/train/class/…, DIR/val/class/…, DIR/test/class/…"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from archc.data.dataset import DataError
from archc.data.pixels import ENDINGS

PARTS = {"train": ("train", "training"), "validation": ("val", "valid", "validation"), "test": ("test", "testing")}
MOST_FILES = 20_000_000
MOST_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Listing:
    """Files below `root` in the order of class and name, with the label of each."""

    root: Path
    paths: list[str]
    labels: list[int]


def parts_of(root: Path) -> dict[str, Path]:
    """The folders of the splits; the folder itself for train where it has classes at once."""
    names = {entry.name: entry for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")}
    found = {part: root / name for part, known in PARTS.items() for name in known if name in names}
    others = [name for name in names if not any(name in known for known in PARTS.values())]
    return found if "train" in found and not others else {"train": root}


def is_folder(root: Path) -> bool:
    """Whether it has folders with images, or images."""
    return any(entry.is_dir() or entry.name.lower().endswith(ENDINGS) for entry in os.scandir(root) if not entry.name.startswith("."))


def class_folders(root: Path) -> tuple[str, ...]:
    """Classes are folders, in the order of their names. Raises DataError for none or one."""
    entries = [entry for entry in os.scandir(root) if not entry.name.startswith(".")]
    classes = tuple(sorted(entry.name for entry in entries if entry.is_dir()))
    loose = sum(entry.name.lower().endswith(ENDINGS) for entry in entries)
    if not classes and loose:
        raise DataError(f"{loose:,} images lie in {root} itself", "put them in one folder a class: cats/1.png, dogs/2.png")
    if not classes:
        raise DataError(f"there are no images in {root}", f"it wants one folder a class, with files ending in {', '.join(ENDINGS)}")
    if len(classes) == 1:
        raise DataError(f"{root} has one class alone, {classes[0]}", "two at least are needed to tell anything apart")
    return classes


def listing(root: Path, classes: tuple[str, ...], whole: bool) -> Listing:
    """The images of each class; `whole` says that each class has some. Raises DataError."""
    unknown = sorted({entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")} - set(classes))
    if unknown:
        raise DataError(f"{root} has the class {unknown[0]}, which no training image is of", f"known: {', '.join(classes[:8])}")
    inside = root.resolve()
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = _images(root, name, inside) if (root / name).is_dir() else []
        if not found and whole:
            raise DataError(
                f"the class folder {root / name} is empty",
                f"put images into it (files ending in {', '.join(ENDINGS)}), or remove it",
            )
        paths += found
        labels += [label] * len(found)
        if len(paths) > MOST_FILES:
            raise DataError(f"{root} has more than {MOST_FILES:,} images", "make shards of them")
    return Listing(root, paths, labels)


def _images(root: Path, name: str, inside: Path, depth: int = 1) -> list[str]:
    """Images below a folder, sorted, as paths from the root."""
    found: list[str] = []
    for entry in sorted(os.scandir(root / name), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        path = f"{name}/{entry.name}"
        if entry.is_symlink():
            _stays(root / path, inside)
        if entry.is_dir():
            if depth >= MOST_DEPTH:
                raise DataError(f"{root / path} lies deeper than {MOST_DEPTH} folders")
            found += _images(root, path, inside, depth + 1)
        elif entry.name.lower().endswith(ENDINGS):
            found.append(path)
    return found


def _stays(link: Path, inside: Path) -> None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        raise DataError(f"{link} is a link that leads nowhere", "remove it") from None
    if not target.is_relative_to(inside):
        raise DataError(f"{link} is a link that leaves {inside}", "copy the images into the folder")
    if target.is_dir():
        raise DataError(f"{link} is a link to another folder of the same set", "its images would count twice: remove it")
