"""Reads the layout of a folder of images: which folders are splits, which are classes, and which are neither.

Where more than one reading is likely, it is an error that draws what is there and what is expected: nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from archc.data.dataset import DataError
from archc.data.pixels import ENDINGS
from archc.data.roles import PARTS, TEST, TRAIN, VALIDATION, find_pair, find_role, is_container, is_doubtful, is_stray, is_target, role_of
from archc.data.tree import Folder, shown
from archc.text.quantity import counted

_MOST_NAMED = 6
_PART_OF_NAMES = 0.9  # of the files of a flat folder, that begin with a class
EXPECTED = """expected: a folder for each class, or such folders within those of splits:
  {name}/cat/1.png   {name}/dog/1.png
  {name}/train/cat/1.png   {name}/val/cat/1.png   {name}/test/cat/1.png"""


@dataclass(frozen=True, slots=True)
class SetLayout:
    """Which folder is which.

    parts: the folder of each split; without splits, all are for training
    classes: the names of the classes, in their order
    notes: what was decided, and what is skipped, each in a sentence for the reader
    doubtful: whether something about the classes may be meant otherwise
    """

    parts: dict[str, Folder]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    doubtful: bool = False


class Notes:
    """Sentences on a layout as they are found."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.doubtful = False

    def add(self, text: str, doubtful: bool = True) -> None:
        if text not in self.texts:
            self.texts.append(text)
        self.doubtful |= doubtful


class Unclear(Exception):
    """What makes a layout unclear, and what would make it clear."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy

    def over(self, top: Folder) -> DataError:
        """The same as an error, with a drawing of what is there."""
        lines = [f"{shown(top.name, 40)}: {self.why}", "seen:", top.drawn(), EXPECTED.format(name=shown(top.name, 8)), self.remedy]
        return DataError("\n".join(line for line in lines if line))


def read_layout(path: Path) -> SetLayout:
    """The layout of a folder. Raises DataError."""
    top = Folder(path if path.name else path.resolve())
    try:
        return _layout(top)
    except Unclear as error:
        raise error.over(top) from None


def _layout(top: Folder) -> SetLayout:
    notes = Notes()
    root = _enter_folder(top, notes)
    parts = _splits(root, notes) or {TRAIN: root}
    classes = _classes(parts[TRAIN], notes)
    parts = {part: parts[part] for part in PARTS if part in parts and _has_classes(part, parts[part], notes)}
    _same_classes(parts, classes)
    _runs(root, notes)
    _pass_over(parts, classes, notes)
    return SetLayout(parts, classes, tuple(notes.texts), notes.doubtful)


def _enter_folder(folder: Folder, notes: Notes) -> Folder:
    """The folder that has the splits or classes: where one folder alone has images, that is looked into."""
    start = folder
    _not_other_tasks(folder)
    while not folder.images and len(folder.filled) == 1:
        inner = folder.filled[0]
        if role_of(inner.name) is not None or (_is_class(inner) and not is_container(inner.name)):
            break
        folder = folder.filled[0]
        _not_other_tasks(folder)
    if folder is not start:
        notes.add(f"the images are read from {folder.path.relative_to(start.path).as_posix()}/, the only folder that has any")
    return folder


def _is_class(folder: Folder) -> bool:
    """Whether images lie in it and not in folders of it."""
    return bool(folder.images) or not folder.filled


def _splits(root: Folder, notes: Notes) -> dict[str, Folder] | None:
    """The folder of each split, or None where the folders are classes. Raises Unclear."""
    roles = _roles(root)
    others = [child for child in root.filled if child not in roles.values()]
    for role in roles.values():
        _not_other_tasks(role)
    inner = {part: _inside(role, part) for part, role in roles.items()}
    divided = [part for part, child in inner.items() if child.filled]
    if not divided:
        _not_flat_splits(roles, others, notes)
        return None
    if TRAIN not in roles:
        raise Unclear(f"{shown(roles[divided[0]].name)}/ is a split, and there is none for training")
    if TRAIN not in divided:
        raise Unclear(f"{shown(roles[TRAIN].name)}/ has no folders for classes")
    strange = [other for other in others if not is_stray(other.name) and not is_doubtful(other.name) and not is_target(other.name)]
    if strange and len(roles) == 1:
        why = f"is {shown(roles[TRAIN].name)}/ the training images, or a class beside {shown(strange[0].name)}/?"
        raise Unclear(why, f"move {shown(strange[0].name)}/ elsewhere, or rename it to val or test if it is that")
    for other in others:
        notes.add(f"{shown(other.name)}/ is skipped: {counted(other.count(), 'image')} of no split")
    if root.images:
        notes.add(f"{counted(len(root.images), 'image')} beside the splits are skipped")
    return inner


def _roles(root: Folder) -> dict[str, Folder]:
    """The folders that are splits by their names. Raises Unclear where two are the same."""
    plain: dict[str, list[Folder]] = {}
    marked: dict[tuple[str, ...], dict[str, Folder]] = {}
    for child in root.filled:
        role, rest = find_role(child.name)
        if role_of(child.name) is not None and role is not None:
            plain.setdefault(role, []).append(child)
        elif role is not None:
            marked.setdefault(rest, {})[role] = child
    twice = next((found for found in plain.values() if len(found) > 1), None)
    if twice:
        raise Unclear(f"{shown(twice[0].name)}/ and {shown(twice[1].name)}/ are both the {role_of(twice[0].name)} split")
    several = [found for found in marked.values() if len(found) > 1 and TRAIN in found]
    if not plain and len(several) == 1:
        return several[0]
    if not plain and several:
        named = ", ".join(shown(folder.name) for folder in several[0].values())
        raise Unclear(f"each class has its splits: {named}, …", "make a folder for each split, and in it one for each class")
    return {role: found[0] for role, found in plain.items()}


def _inside(folder: Folder, part: str) -> Folder:
    """A split's folder of classes: seg_train/seg_train/ and train/images/ are one more step."""
    while not folder.images and len(folder.filled) == 1:
        inner = folder.filled[0]
        if role_of(inner.name) != part and inner.name.lower() != folder.name.lower() and not is_container(inner.name):
            break
        folder = inner
    return folder


def _not_flat_splits(roles: dict[str, Folder], others: list[Folder], notes: Notes) -> None:
    """Folders that are called as splits are, and have no classes in them. Raises Unclear."""
    kept = [other for other in others if not is_stray(other.name)]
    if len(roles) > 1 or (roles and not kept):
        first = next(iter(roles.values()))
        raise Unclear(f"{shown(first.name)}/ is a split by its name, and has no folders for classes", _by_name(first))
    for part, role in roles.items():
        if part != TRAIN:
            what = f"is {shown(role.name)}/ a class, or images for {'testing' if part == TEST else 'validation'}?"
            raise Unclear(what, f"move {shown(role.name)}/ elsewhere, or the classes into train/")
        notes.add(f"{shown(role.name)}/ is read as a class: its images lie in it, and not in folders of classes")


def _classes(root: Folder, notes: Notes) -> tuple[str, ...]:
    """The names of the classes. Raises DataError."""
    _not_other_tasks(root)
    found = [child for child in root.folders if not is_stray(child.name) and (child.has_images or not is_target(child.name))]
    left = [child for child in root.folders if child not in found]
    for child in left:
        notes.add(f"{shown(child.name)}/ is skipped: {counted(child.count(), 'image')} of no class")
    loose = len(root.images)
    if loose and loose >= sum(child.count() for child in found):
        what = f"{counted(loose, 'image')} lie{'s' if loose == 1 else ''} in {shown(root.name)}/ itself"
        raise Unclear(f"{what}, and not in one folder a class", _by_name(root))
    if loose:
        notes.add(f"{counted(loose, 'image')} beside the folders of classes {'is' if loose == 1 else 'are'} passed over")
    filled = [child for child in found if child.has_images]
    if not filled:
        unread = f"; it has {_endings(root.others())}" if root.others() else ""
        raise DataError(
            f"there are no images in {root.path}{unread}", f"it needs one folder for each class, with files ending in {', '.join(ENDINGS)}"
        )
    if len(filled) < len(found):
        empty = next(child for child in found if not child.has_images)
        why = f"has {_endings(empty.others())}, and no image that is read" if empty.others() else "is empty"
        raise DataError(
            f"the class folder {empty.path} {why}", f"put images into it (files ending in {', '.join(ENDINGS)}), or move it elsewhere"
        )
    if len(filled) == 1:
        raise Unclear(f"there is only one class, {shown(filled[0].name)}; at least two are needed")
    _not_divided(filled)
    _not_alike(found)
    _inner(found, notes)
    for child in found:
        if is_doubtful(child.name):
            notes.add(f"{shown(child.name)}/ is read as a class")
    return tuple(child.name for child in found)


def _inner(classes: Sequence[Folder], notes: Notes) -> None:
    """Says that folders within a class are of that class."""
    deep = [cls for cls in classes if cls.filled and not (len(cls.filled) == 1 and is_container(cls.filled[0].name))]
    if deep:
        named = ", ".join(shown(inner.name) for inner in deep[0].filled[:_MOST_NAMED])
        more = f" and {len(deep) - 1:,} more classes have" if len(deep) > 1 else " has"
        notes.add(f"{shown(deep[0].name)}/ ({named}){more} folders within: all of them are of the one class")


def _runs(root: Folder, notes: Notes) -> None:
    if root.runs:
        notes.add(f"skipped, as runs of archc: {', '.join(f'{shown(name)}/' for name in root.runs[:_MOST_NAMED])}", doubtful=False)


def _pass_over(parts: dict[str, Folder], classes: tuple[str, ...], notes: Notes) -> None:
    """Files among the images that are none by their endings."""
    files: Counter[str] = Counter()
    for part in (child for folder in parts.values() for child in folder.folders if child.name in classes):
        files += part.others()
    if files:
        notes.add(f"files that are not read, by their endings: {_endings(files)}", doubtful=False)


def _endings(files: Counter[str]) -> str:
    named = [f"{count:,} {shown(ending, 16)}" for ending, count in files.most_common(_MOST_NAMED)]
    return ", ".join(named) + (f" and {len(files) - _MOST_NAMED} kinds more" if len(files) > _MOST_NAMED else "")


def _not_other_tasks(root: Folder) -> None:
    """Folders of images beside folders of masks, boxes or labels are for segmentation or detection. Raises Unclear."""
    pair = find_pair([child.name for child in root.folders])
    first = next((child for child in root.filled if pair is not None and child.name == pair[0]), None)
    if pair is not None and first is not None and (first.images or all(role_of(child.name) for child in first.filled)):
        images, targets = map(shown, pair)
        raise Unclear(
            f"{images}/ and {targets}/ belong together, as for segmentation or detection",
            "archc trains on images of classes",
        )


def _not_divided(classes: Sequence[Folder]) -> None:
    """Classes with the same folders in them: those are the classes, or splits. Raises Unclear."""
    for cls in classes:
        roles = [role_of(inner.name) for inner in cls.filled]
        if roles and (all(roles) or len({*roles} - {None}) > 1):
            names = ", ".join(shown(inner.name) for inner in cls.filled[:3])
            raise Unclear(f"the splits lie inside the classes: {shown(cls.name)}/ has {names}", _splits_first(cls))
    first: dict[str, Folder] = {}
    for cls in classes:
        shared = Counter(first[_common_stem(inner.name)].name for inner in cls.filled if _common_stem(inner.name) in first)
        if shared and (most := shared.most_common(1)[0])[1] > 1:
            why = f"{shown(most[0])}/ and {shown(cls.name)}/ have folders of the same names: which are the classes?"
            inner = cls.filled[0]
            remedy = (
                f"if {shown(inner.name)} is a class, name the outer folders train, val and test; "
                f"if {shown(cls.name)} is one, put its images into {shown(cls.name)}/ itself"
            )
            raise Unclear(why, remedy)
        for inner in cls.filled:
            first.setdefault(_common_stem(inner.name), cls)


def _splits_first(folder: Folder) -> str:
    role = next((part for inner in reversed(folder.filled) if (part := role_of(inner.name))), TRAIN)
    inner = next(inner for inner in folder.filled if role_of(inner.name) == role)
    short = {VALIDATION: "val"}.get(role, role)
    return f"move {shown(folder.name)}/{shown(inner.name)}/ to {short}/{shown(folder.name)}/, and so on"


def _common_stem(name: str) -> str:
    """What names of classes that are meant to be the same have in common."""
    return normalize("NFC", name).strip().casefold()


def _not_alike(classes: Iterable[Folder]) -> None:
    """Cat and cat are one class, most likely; A and a are letters. Raises Unclear."""
    seen: dict[str, str] = {}
    for cls in classes:
        other = seen.setdefault(_common_stem(cls.name), cls.name)
        if other != cls.name and len(cls.name.strip()) > 1:
            raise Unclear(f"{shown(other)}/ and {shown(cls.name)}/ differ only in case or spaces", "join them, or rename one")


def _has_classes(part: str, folder: Folder, notes: Notes) -> bool:
    """Whether a split has classes; what has none is told of."""
    if part != TRAIN and not folder.filled:
        notes.add(f"{shown(folder.name)}/ is skipped: its {counted(len(folder.images), 'image')} lie in no folders of classes")
        return False
    if folder.images and part != TRAIN:
        notes.add(f"{counted(len(folder.images), 'image')} beside the classes of {shown(folder.name)}/ are skipped")
    return True


def _same_classes(parts: dict[str, Folder], classes: tuple[str, ...]) -> None:
    """Raises Unclear for a class that no training image is of."""
    for part, folder in parts.items():
        for child in folder.folders if part != TRAIN else ():
            if child.name in classes or is_stray(child.name) or (not child.has_images and is_target(child.name)):
                continue
            near = next((name for name in classes if _common_stem(name) == _common_stem(child.name)), None)
            known = f"it is called {shown(near)} there" if near else f"known: {', '.join(shown(name) for name in classes[:_MOST_NAMED])}"
            raise Unclear(f"{shown(folder.name)}/ has the class {shown(child.name)}, which no training image has; {known}")


def _by_name(folder: Folder) -> str:
    """Where the names of flat files begin with classes, that they do."""
    found = Counter(match[1] for name in folder.images if (match := re.match(r"([^\W\d_]{2,}?)[^A-Za-z]*[._\- (]+\d", name)))
    if not folder.images:
        return ""
    if len(found) > 1 and sum(found.values()) >= _PART_OF_NAMES * len(folder.images) and len(found) < len(folder.images) / 2:
        first = next(name for name in folder.images if name.startswith(next(iter(found))))
        label = next(iter(found))
        return f"the class seems to be in the names: move {shown(first)} to {shown(label)}/{shown(first)}, and so on"
    table = next((ending for ending in (".csv", ".json", ".xml", ".txt") if folder.files[ending]), None)
    return f"archc does not read labels from the {table} beside them: move each image into the folder of its class" if table else ""
