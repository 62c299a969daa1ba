"""Compares a set of images with the one that a run was trained on, by names, counts and checksums."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from archc.data import DataSet
from archc.data.tree import shown as shortened
from archc.training.record import Noted


def describe_data(data: DataSet) -> dict[str, Any]:
    """What a run notes of its data."""
    return data.to_dict() | {"digests": data.digests()}


def data_difference(before: Noted, data: DataSet) -> str:
    """What tells a set from the one that was noted, in words; nothing where they are the same."""
    if before.classes != data.classes:
        return _of_classes(before.classes, data.classes)
    splits = data.splits()
    for name in dict.fromkeys((*before.images, *splits)):
        if name not in splits or name not in before.images:
            return f"it has no {shown(name)} images" if name not in splits else f"it has {name} images, and had none"
        length, had = splits[name].length, before.images[name]
        if length is not None and had is not None and length != had:
            return f"it has {length:,} {name} images, and had {had:,}"
    digests = before.digests or {}
    for name, split in splits.items():
        if digests.get(name) and digests[name] != split.digest():
            return f"there are as many {name} images, but others, or with other labels"
    return ""


def _of_classes(before: tuple[str, ...], now: tuple[str, ...]) -> str:
    old, new = next((old, new) for old, new in zip_longest(before, now) if old != new)
    if len(before) != len(now):
        return f"it has {len(now):,} classes, and had {len(before):,}: {shown(new)} is new" if new else f"the class {shown(old)} is missing"
    return f"the class {shown(new)} stands where {shown(old)} was"


def shown(name: str) -> str:
    """A name of a stranger, or of any length, for a message."""
    return shortened(name, 100)
