"""Folders as sets come in them: each gives the classes and splits that a person would say, or an error that draws what is there."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from archc.cli.console import prose
from archc.data import DataError, check_classes
from archc.data.roles import PARTS, find_role, role_of
from tests.data.test_sources import opened, told
from tests.helpers import image_sets

BUFFER = io.BytesIO()
image_sets.picture((90, 40, 20), (8, 8)).save(BUFFER, "PNG")
IMAGE = BUFFER.getvalue()
BOTH = ("cat", "dog")


def put(root: Path, files: Mapping[str, int]) -> Path:
    """`train/cat: 3` is three images; `labels/*.txt: 3` three such files; `runs/a!: 0` a run of archc."""
    for name, count in files.items():
        folder, _, ending = name.partition("/*")
        folder = folder.rstrip("!")
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / folder / f"{i}{ending or '.png'}").write_bytes(b"" if ending else IMAGE)
        if name.endswith("!"):
            (root / folder / "curves.png").write_bytes(IMAGE)
            (root / folder / "recipe.yaml").write_text("epochs: 1\n")
            (root / folder / "environment.json").write_text("{}")
    return root


def each(*folders: str, count: int = 4) -> dict[str, int]:
    """Cats and dogs in each of some folders."""
    return {f"{folder}/{name}".removeprefix("./"): count for folder in folders for name in BOTH}


UNDERSTOOD = {
    "plain": each("."),
    "train, val, test": each("train", "val", "test"),
    "training_set": each("training_set", "test_set"),
    "capitals": each("Train", "Valid", "TEST"),
    "spaces": each("Training Data", "Testing Data"),
    "dev and holdout": each("trn", "dev", "hold-out"),
    "Kaggle's doubles": each("seg_train/seg_train", "seg_test/seg_test") | {"seg_pred/seg_pred": 5},
    "named splits": each("asl_alphabet_train", "asl_alphabet_test"),
    "years": each("train2017", "val2017"),
    "one level too high": each("archive/PetImages"),
    "two levels too high": each("archive/chest/train", "archive/chest/test") | {"__MACOSX/chest": 2},
    "a copy within": each("train", "test", "set/train", "set/test"),
    "images within": each("train/images", "test/images"),
    "flat images within test": each("Final_Training/Images") | {"Final_Test/Images": 5},
    "images within classes": {"train/cat/images": 4, "train/dog/images": 4, "val/images": 4},
    "annotations beside": each("Images") | {"Annotation/cat/*.xml": 4, "Annotation/dog/*.xml": 4, "lists/*.mat": 1},
    "unlabelled": each("train", "val", "single_prediction"),
    "an extra one": each("train", "extra"),
    "predictions beside classes": each(".") | {"pred": 7, "seg_pred/seg_pred": 2},
    "own runs": each(".") | {"runs/net-1!": 2, "runs/net-2!": 0, "mine!": 1},
    "own runs beside splits": each("train", "val") | {"runs/net-1!": 2},
    "hidden": each(".") | {".ipynb_checkpoints": 3, "__MACOSX/cat": 3, "cat/.ipynb_checkpoints": 2},
    "loose images": each(".") | {".": 2},
    "a table beside": each(".") | {"./*.csv": 1, "labels/*.txt": 3},
    "flat test": each("train") | {"test": 9},
    "other files": each(".") | {"cat/*.avif": 3, "dog/*.txt": 2},
}
SAID = {
    "one level too high": "archive/PetImages/",
    "a copy within": "set/ is skipped: 16 images of no split",
    "unlabelled": "single_prediction/ is skipped: 8 images",
    "an extra one": "extra/ is skipped",
    "predictions beside classes": "pred/ is skipped: 7 images",
    "own runs": "runs of archc: mine/, runs/",
    "loose images": "2 images beside the folders of classes",
    "flat test": "test/ is skipped: its 9 images",
    "other files": "3 .avif, 2 .txt",
}


@pytest.mark.parametrize("kind", UNDERSTOOD)
def test_layouts_that_are_understood(kind: str, tmp_path: Path) -> None:
    files = UNDERSTOOD[kind]
    found = opened(put(tmp_path / "set", files), (3, 8, 8), validation=0.25)
    assert found.classes == BOTH
    wanted = {
        role: 8 for name in files if name.endswith("/cat") for part in name.split("/") for role in PARTS if find_role(part)[0] == role
    }
    wanted = wanted or {"train": 8}
    if "validation" not in wanted:
        wanted |= {"validation": 2, "train": 6}
    assert {name: len(split) for name, split in found.splits().items()} == wanted
    assert SAID.get(kind, "") in " ".join(found.notes)
    assert not any("\n" in note or "--set" in note for note in found.notes)


UNCLEAR = {
    "splits in classes": ({"cat/train": 2, "cat/test": 2, "dog/train": 2, "dog/test": 2}, "splits lie inside the classes"),
    "folds": (each("fold1", "fold2"), "have folders of the same names"),
    "another language": (each("entrenamiento", "prueba"), "have folders of the same names"),
    "a class each with its splits": ({"train_cat": 2, "test_cat": 2, "train_dog": 2, "test_dog": 2}, "each class has its splits"),
    "segmentation": ({"images": 5, "masks": 5}, "belong together"),
    "segmentation of splits": ({"train/images": 5, "train/masks": 5, "val/images": 2, "val/masks": 2}, "belong together"),
    "YOLO": ({"images/train": 3, "images/val": 3, "labels/train/*.txt": 3, "labels/val/*.txt": 3}, "belong together"),
    "YOLO within splits": ({"train/images": 3, "train/labels/*.txt": 3, "valid/images": 3, "valid/labels/*.txt": 3}, "belong together"),
    "VOC": ({"JPEGImages": 3, "Annotations/*.xml": 3}, "belong together"),
    "masks of each class": (each("images", "masks"), "have folders of the same names"),
    "flat in one folder": ({"images": 5}, "5 images lie in images/ itself"),
    "flat": ({".": 5}, "5 images lie in set/ itself"),
    "flat with a table": ({".": 5, "./*.csv": 1}, "labels from the .csv"),
    "flat splits": ({"train": 6, "test": 3}, "has no folders for classes"),
    "flat test beside classes": (each(".") | {"test": 3}, "is test/ a class, or images for testing?"),
    "no training": (each("val", "test"), "there is none for training"),
    "twice": (each("train", "Training", "val"), "are both the train split"),
    "a class or a split": (each("train") | {"bus": 4}, "or a class beside bus/?"),
    "one class": ({"cat": 4}, "only one class, cat"),
    "case": ({"cat": 4, "Cat": 4}, "differ only in case"),
    "case between splits": (each("train") | {"test/Cat": 2, "test/Dog": 2}, "it is called cat there"),
    "a class of the test alone": (each("train") | {"test/cat": 2, "test/bird": 2}, "bird, which no training image has; known: cat, dog"),
    "nearly all loose": (each(".", count=1) | {".": 9}, "9 images lie in set/ itself"),
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_layouts_that_are_not_understood(kind: str, tmp_path: Path) -> None:
    files, says = UNCLEAR[kind]
    text = told(put(tmp_path / "set", files), (3, 8, 8))
    assert says in text and "seen:\n  set/" in text and "expected: a folder for each class" in text and "--set" not in text
    assert len(text.splitlines()) < 30 and all(len(line) <= 100 for line in prose(text, 100).splitlines())


def test_what_has_no_images_that_are_read(tmp_path: Path) -> None:
    assert "3 .avif" in told(put(tmp_path / "a", {"cat/*.avif": 3}))
    text = told(put(tmp_path / "b", {"cat": 3, "dog/*.heic": 4}))
    assert "dog has 4 .heic, and no image that is read" in text


def test_classes_in_the_names_of_files(tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / f"cat.{i}.jpg").write_bytes(IMAGE)
        (tmp_path / f"dog.{i}.jpg").write_bytes(IMAGE)
    assert "to cat/cat." in told(tmp_path)


def test_a_number_of_classes_is_advised_only_where_they_are_plain(tmp_path: Path) -> None:
    for name, files, advised in (("a", each("."), True), ("b", each(".") | {"extra": 4}, False)):
        found = opened(put(tmp_path / name, files), (3, 8, 8))
        with pytest.raises(DataError) as error:
            check_classes(found, 5)
        assert ("write classes=2 " in str(error.value)) == advised
        assert advised or "extra/ is read as a class" in str(error.value)


def test_letters_may_differ_in_case(tmp_path: Path) -> None:
    assert opened(put(tmp_path, {"A": 3, "a": 3}), (3, 8, 8)).classes == ("A", "a")


def test_a_folder_within_a_class_is_of_that_class_and_said(tmp_path: Path) -> None:
    found = opened(put(tmp_path, {"cat/siamese": 3, "cat/persian": 3, "dog": 4}), (3, 8, 8), validation=0.0)
    assert found.classes == BOTH and len(found.train) == 10 and "cat/ (persian, siamese) has folders within" in found.notes[0]


def test_names_that_are_no_splits() -> None:
    assert [name for name in ("trainer", "contest", "latest", "steam_train", "evaluate_me", "valley", "device") if role_of(name)] == []


def test_large_folders_are_drawn_small(tmp_path: Path) -> None:
    text = told(put(tmp_path / "set", {f"fold{i}/{j}\x1b[31m": 1 for i in range(9) for j in range(9)}))
    assert len(text.splitlines()) < 30 and "\x1b" not in text and "more folders" in text
