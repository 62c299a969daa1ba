"""Folders of images with a folder for each class, in DIR itself or in DIR/train, DIR/val and DIR/test."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from archc.data.dataset import DataError
from archc.data.pixels import ENDINGS
from archc.data.roles import is_junk
from archc.data.tree import Folder

MOST_FILES = 20_000_000


@dataclass(frozen=True, slots=True)
class Listing:
    """Files below `root` in the order of class and name, with the label of each."""

    root: Path
    paths: list[str]
    labels: list[int]


def is_folder(root: Path) -> bool:
    """Whether it has folders, or images."""
    return any(entry.is_dir() or entry.name.lower().endswith(ENDINGS) for entry in os.scandir(root) if not is_junk(entry.name))


def listing(root: Folder, classes: tuple[str, ...]) -> Listing:
    """The images of each class. Raises DataError for links that lead out of the folder."""
    folders = {child.name: child for child in root.folders}
    inside = root.path.resolve()
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        if name not in folders:
            continue
        _without_links(folders[name], inside)
        found = list(folders[name].paths(f"{name}/"))
        paths += found
        labels += [label] * len(found)
        if len(paths) > MOST_FILES:
            raise DataError(f"{root.path} has more than {MOST_FILES:,} images", "make shards of them")
    return Listing(root.path, paths, labels)


def _without_links(folder: Folder, inside: Path) -> None:
    for name in folder.links:
        _stays(folder.path / name, inside)
    for child in folder.folders:
        _without_links(child, inside)


def _stays(link: Path, inside: Path) -> None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        raise DataError(f"{link} is a link that leads nowhere", "remove it") from None
    if not target.is_relative_to(inside):
        raise DataError(f"{link} is a link that leaves {inside}", "copy the images into the folder")
    if target.is_dir():
        raise DataError(f"{link} is a link to another folder of the same set", "its images would count twice: remove it")
