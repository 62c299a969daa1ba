"""What a recipe can choose from: optimizers, schedules of the learning rate, losses, augmentations, with the types of their arguments.

The one table: the language binds a spec's arguments with it, the JSON Schema and the documentation are written from it, and
`archc train` does what it names. Epochs are counted from 0 and may be fractions; learning rates are those of the optimizer's step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from archc.catalog.dtypes import FLOATS, words_of
from archc.catalog.optimizers import OPTIMIZERS as _OPTIMIZERS
from archc.signature import MISSING, Fault, Type, is_int, one_of
from archc.signature.choices import BELOW_ONE, FRACTION, FROM_ZERO, POSITIVE, Choice, count, number, pair, takes

MOST_PATTERN = 400  # characters
PRECISIONS = {name: words_of(name)[:2] for name in FLOATS}  # its name, or fp16, bf16, …


def _same_twice(value: Any) -> Any:
    sizes = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
    return sizes if len(sizes) == 2 and all(is_int(size, 1) and size <= MOST_SIZE for size in sizes) else MISSING


def _epochs(value: Any) -> Any:
    found = tuple(POSITIVE.accept(number) for number in value) if isinstance(value, list | tuple) else ()
    fits = found and MISSING not in found and all(a < b for a, b in pairwise(found))
    return found if fits else MISSING


def _word(names: Mapping[str, tuple[str, ...]]) -> Callable[[Any], Any]:
    known = {word: name for name, words in names.items() for word in words}
    return lambda value: known.get(value, MISSING) if isinstance(value, str) else MISSING


def optional_text(expected: str) -> Type:
    return Type("str", expected, lambda v: v if isinstance(v, str) and v.strip() else MISSING, {"type": "string", "minLength": 1})


MOST_SIZE = 65_536
_SIDE = {"type": "integer", "minimum": 1, "maximum": MOST_SIZE}
SIZE = Type(
    "sizes",
    f"a whole number from 1 to {MOST_SIZE:,}, or height and width in a list",
    _same_twice,
    {"anyOf": [_SIDE, {"type": "array", "items": _SIDE, "minItems": 2, "maxItems": 2}]},
)
EPOCHS = Type(
    "list",
    "a list of epochs, numbers above 0, each larger than the one before it",
    _epochs,
    {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1},
)
MOST_BATCH = 1_000_000
BATCH = Type(
    "int",
    f"a whole number from 1 to {MOST_BATCH:,}, or fit",
    lambda v: 0 if v == "fit" else v if is_int(v, 1) and v <= MOST_BATCH else MISSING,
    {"anyOf": [{"enum": ["fit"]}, {"type": "integer", "minimum": 1, "maximum": MOST_BATCH}]},
)
PRECISION = Type(
    "str",
    "one of float32, bfloat16 (bf16), float16 (fp16), float64",
    _word(PRECISIONS),
    {"enum": [word for words in PRECISIONS.values() for word in words]},
)
MONITOR = one_of("accuracy", "loss")


def _one_of_two(arguments: Mapping[str, Any]) -> Fault | None:
    if (arguments["every"] is None) != (arguments["at"] is None):
        return None
    what = "step needs `every` or `at`" if arguments["every"] is None else "step has both `every` and `at`"
    return Fault(None, what, "write {step: {every: 30}} or {step: {at: [30, 60, 80]}}", "A403" if arguments["every"] is None else "A404")


def _does_something(arguments: Mapping[str, Any]) -> Fault | None:
    if any(arguments.values()):
        return None
    return Fault(None, "color_jitter that changes nothing", "write {color_jitter: {brightness: 0.4, contrast: 0.4}}", "A403")


_CHANCE = (FRACTION, 0.5, "how often")
OPTIMIZERS: dict[str, Choice] = {name: entry.choice for name, entry in _OPTIMIZERS.items()}
_GAMMA = (number(above=0, most=1), 0.1, "factor of the learning rate at each drop")
_END = (FRACTION, 0.0, "the learning rate at the end, as a fraction of the initial one")

SCHEDULES: dict[str, Choice] = {
    "constant": Choice("the learning rate stays the same", takes()),
    "step": Choice(
        "drops by a factor, every few epochs or at given epochs",
        takes(every=(POSITIVE, None, "epochs from drop to drop"), at=(EPOCHS, None, "the epochs of the drops"), gamma=_GAMMA),
        _one_of_two,
    ),
    "exponential": Choice("a factor for each epoch", takes(gamma=(number(above=0, most=1), 0.95, "factor of the learning rate per epoch"))),
    "polynomial": Choice(
        "falls with a power of the remaining time; 1 is a straight line",
        takes(power=(POSITIVE, 1.0, "the power"), end=_END),
    ),
    "cosine": Choice("falls along half a cosine (Loshchilov & Hutter, 2017)", takes(end=_END)),
    "one_cycle": Choice(
        "rises to the learning rate and falls far below it, once (Smith & Topin, 2018), as torch.optim's OneCycleLR",
        takes(
            pct_start=(number(above=0, below=1), 0.3, "the part of training during which it rises"),
            div_factor=(number(least=1), 25.0, "it starts at the learning rate divided by this"),
            final_div_factor=(number(least=1), 1e4, "it ends at its starting value divided by this"),
            anneal_strategy=(one_of("cos", "linear"), "cos", "how it moves between these values"),
        ),
    ),
    "plateau": Choice(
        "drops by a factor when a figure on the validation images stops improving, as torch.optim's ReduceLROnPlateau",
        takes(
            patience=(count(0, 1_000_000), 10, "epochs without improvement before a drop"),
            factor=(number(above=0, below=1), 0.1, "factor of the learning rate at each drop"),
            monitor=(MONITOR, "loss", "the figure: accuracy or loss"),
            least=(FROM_ZERO, 0.0, "by how much the figure must improve"),
            end=_END,
        ),
    ),
}

LOSSES: dict[str, Choice] = {
    "cross_entropy": Choice(
        "softmax and the negative log-likelihood of the class",
        takes(smoothing=(BELOW_ONE, 0.0, "the part of the target that is shared among all classes (Szegedy et al., 2016)")),
    ),
    "bce": Choice("a sigmoid and binary cross-entropy for each class, on one-hot targets", takes()),
    "mse": Choice("mean squared error, on one-hot targets", takes()),
}

_STRENGTH = "factors are drawn from 1 - this to 1 + this"
AUGMENTATIONS: dict[str, Choice] = {
    "flip": Choice("swaps left and right", takes(p=_CHANCE)),
    "vertical_flip": Choice("swaps top and bottom", takes(p=_CHANCE)),
    "crop": Choice("crops to the image's own size, after adding a border", takes(padding=(count(1, 1024), 4, "pixels of the border"))),
    "random_resized_crop": Choice(
        "crops a random area and shape, and resizes it to the image's size (Szegedy et al., 2015)",
        takes(
            scale=(pair(number(above=0, most=1), rising=True), (0.08, 1.0), "bounds of the crop's part of the area"),
            ratio=(pair(POSITIVE, rising=True), (3 / 4, 4 / 3), "bounds of its width by its height"),
        ),
    ),
    "rotation": Choice(
        "turns the image by a random angle", takes(degrees=(number(above=0, most=180), 10.0, "the largest angle, to either side"))
    ),
    "translate": Choice(
        "moves the image by a random fraction of its size",
        takes(fraction=(number(above=0, below=1), 0.1, "the largest part, along each axis")),
    ),
    "color_jitter": Choice(
        "changes brightness, contrast, saturation and hue at random",
        takes(
            brightness=(FROM_ZERO, 0.0, _STRENGTH),
            contrast=(FROM_ZERO, 0.0, _STRENGTH),
            saturation=(FROM_ZERO, 0.0, _STRENGTH),
            hue=(number(least=0, most=0.5), 0.0, "the largest turn of the color circle, to either side; 0.5 is half of it"),
        ),
        _does_something,
    ),
    "randaugment": Choice(
        "applies some changes from a set, all of the same magnitude (Cubuk et al., 2020)",
        takes(ops=(count(1, 16), 2, "changes of each image"), magnitude=(number(least=0, most=30), 9.0, "how strong they are, up to 30")),
    ),
    "random_erasing": Choice(
        "erases a random rectangle (Zhong et al., 2020)",
        takes(
            p=_CHANCE,
            scale=(pair(number(above=0, most=1), rising=True), (0.02, 0.33), "bounds of its part of the area"),
            ratio=(pair(POSITIVE, rising=True), (0.3, 3.3), "bounds of its width by its height"),
        ),
    ),
}

TABLES: dict[str, dict[str, Choice]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
    "augmentation": AUGMENTATIONS,
}
