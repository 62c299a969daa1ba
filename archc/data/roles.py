"""The role of a folder by its name: a split, masks that go with images, or no part of a set."""

from __future__ import annotations

import re
from collections.abc import Sequence

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainset", "traindata"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev", "valset", "validset", "devset"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "holdout", "testset", "testdata", "evalset"), TEST),
}
# What may stand beside such a word and says nothing more: training_set, Test_Images, seg_train.
_PLAIN = _set(
    "set sets data dataset datasets image images img imgs pic pics picture pictures photo photos file files folder dir sample samples "
    "split part seg the my all full"
)
# Folders that hold other folders and mean nothing by themselves.
_CONTAINERS = _PLAIN | _set("archive input inputs jpg jpeg png raw rgb jpegimages class classes category categories")
_IMAGES = _set("image images img imgs jpegimages rgb input inputs frame frames picture pictures photo photos raw")
_TARGETS = _set(
    "mask masks label labels annotation annotations annot annots ann anns segmentation segmentations segmentationclass segmentationobject "
    "gt gts groundtruth target targets bbox bboxes box boxes xml xmls json csv csvs txt depth labelids instanceids keypoints"
)
_STRAY = _set(
    "pred preds predict predicted prediction predictions unlabeled unlabelled unsup unsupervised submission submissions tmp temp "
    "backup backups checkpoint checkpoints thumbnail thumbnails thumbs preview previews output outputs result results cache"
)
_DOUBTFUL = _STRAY | _set(
    "extra extras misc demo example examples old new other others archive raw unused log logs plot plots figure figures"
)
_JUNK = frozenset(("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", "node_modules"))
RUN_FILES = ("recipe.yaml", "environment.json")  # of a run of `archc train`, from its first moment on


def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case: `Test_Images`, `testImages` and `test-images2` begin alike."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])", " ", name)
    return tuple(word for word in re.split(r"[^0-9a-z]+", spaced.lower()) if word)


def role_of(name: str) -> str | None:
    """The split that a name means by itself: train, validation or test."""
    role, rest = find_role(name)
    return role if all(word in _PLAIN for word in rest) else None


def find_role(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The one split that a name tells of, and its other words: `asl_alphabet_train` has asl and alphabet."""
    said = _join_words(words(name))
    found = [word for word in said if word in _WORDS]
    if len({_WORDS[word] for word in found}) != 1:
        return None, said
    return _WORDS[found[0]], tuple(word for word in said if word not in _WORDS)


def _join_words(said: tuple[str, ...]) -> tuple[str, ...]:
    """`hold out` is one word."""
    text = " ".join(said).replace("hold out", "holdout")
    return tuple(text.split())


def is_container(name: str) -> bool:
    return all(word in _CONTAINERS for word in words(name))


def is_stray(name: str) -> bool:
    """Whether what lies there is the product of some program, or has no labels: never a class."""
    return _made_of(name, _STRAY)


def is_doubtful(name: str) -> bool:
    """Whether a class would hardly be called that."""
    return _made_of(name, _DOUBTFUL) or all(word in _PLAIN for word in words(name))


def _made_of(name: str, known: frozenset[str]) -> bool:
    said = words(name)
    return any(word in known for word in said) and all(word in known or word in _PLAIN or word == "single" for word in said)


def is_junk(name: str) -> bool:
    """Hidden, or put there by an operating system."""
    return name.startswith(".") or name in _JUNK


def find_pair(names: Sequence[str]) -> tuple[str, str] | None:
    """A folder of images and one of what belongs to each, as masks, boxes or labels: a set for another task."""
    images = next((name for name in names if _has(name, _IMAGES)), None)
    targets = next((name for name in names if _has(name, _TARGETS)), None)
    return (images, targets) if images and targets and images != targets else None


def is_target(name: str) -> bool:
    return _has(name, _TARGETS)


def _has(name: str, known: frozenset[str]) -> bool:
    """Whether a name is one of these words, beside words that say nothing and those of splits: `train_masks`."""
    said = words(name)
    return any(word in known for word in said) and all(word in known or word in _PLAIN or word in _WORDS or word.isdigit() for word in said)
