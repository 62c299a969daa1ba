"""Values that other frameworks write in another way: texts to texts. None where there is no such value here."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from archc.aliases.table import fold

LONGEST = 60


def as_written(text: str) -> str | None:
    """A value as YAML has it inside brackets: of Python's tuples and words, of `3x3`. None where that cannot be told from its text."""
    plain = text.strip()
    if not plain or "\n" in plain or len(plain) > LONGEST:
        return None
    if plain[0] in "'\"" and plain[-1] == plain[0] and len(plain) > 1:
        inner = plain[1:-1]
        return as_written(inner) if re.fullmatch(r"\([\d, ]*\)|\d+(\s*x\s*\d+)+|-?\d+(\.\d+)?", inner.strip()) else plain
    if re.fullmatch(r"\d+(\s*x\s*\d+)+", plain):
        return "[" + ", ".join(re.findall(r"\d+", plain)) + "]"
    if re.fullmatch(r"[(\[][-\d, ()\[\]]*[)\]]", plain):
        return _space(plain.replace("(", "[").replace(")", "]"))
    if re.fullmatch(r"\[[\w$., -]*\]", plain):
        return plain
    if plain in _PYTHON:
        return _PYTHON[plain]
    if re.fullmatch(r"[\w.+-]+|\$[A-Za-z_]\w*", plain):
        return plain
    return f'"{plain}"' if re.fullmatch(r"\$\{[^\"\\]*\}", plain) else None


_PYTHON = {"True": "true", "False": "false", "None": "null", "yes": "true", "on": "true", "no": "false", "off": "false"}


def _space(text: str) -> str:
    return re.sub(r",\s*\]", "]", re.sub(r",\s*", ", ", text))


def complement(text: str, word: str) -> str | None:
    """A probability of keeping as one of dropping."""
    try:
        kept = Decimal(text)
    except InvalidOperation:
        return None
    return f"{(1 - kept).normalize():f}" if 0 <= kept <= 1 else None


def times(text: str, factor: int) -> str | None:
    """A number as a multiple of it."""
    try:
        return f"{(Decimal(text) * factor).normalize():f}"
    except InvalidOperation:
        return None


def negation(text: str, word: str) -> str | None:
    return {"true": "false", "false": "true", "1": "false", "0": "true"}.get(text.lower())


def without_batch(text: str, word: str) -> str | None:
    """An axis of a batch as one of an image, whose first axis is the batch's second."""
    found = re.findall(r"-?\d{1,2}", text)
    if not re.fullmatch(r"-?\d{1,2}|[\[(] *-?\d{1,2}( *, *-?\d{1,2})* *[\])]", text):
        return None
    if re.match(r"(tf|keras|K)\.", word) and found == ["1", "2"]:
        return "[1, 2]"  # of [N, H, W, C] the axes of space, which they are here, too
    axes = [axis - 1 if axis > 0 else axis for axis in map(int, found)]
    return str(axes if text[0] in "[(" else axes[0])


def concat_axis(text: str, word: str) -> str | None:
    """As without_batch; Keras has the channels last."""
    keras = (word.rpartition(".")[2] in ("Concatenate", "concatenate") or word.startswith(("tf.", "K."))) and text in ("-1", "3")
    return "0" if keras else without_batch(text, word)


def norm_axis(text: str, word: str) -> str | None:
    return {"-1": "last", "1": "channels", "last": "last", "channels": "channels"}.get(text)


def view(text: str, word: str) -> str | None:
    """A shape of PyTorch's, where -1 at its head is the batch."""
    numbers = re.findall(r"-?\d+", text)
    if not re.fullmatch(r"\[[-\d, ]*\]", text):
        return None
    batch = fold(word) == "view" and len(numbers) > 1 and numbers[0] == "-1" and "-1" not in numbers[1:]
    return "[" + ", ".join(numbers[batch:]) + "]"


def permutation(text: str, word: str) -> str | None:
    """An order of axes; of other frameworks, the batch's is 0, or the first of the others 1."""
    numbers = [int(number) for number in re.findall(r"-?\d+", text)]
    if not re.fullmatch(r"\[[\d, ]*\]", text):
        return None
    if numbers[:1] == [0] and sorted(numbers) == list(range(len(numbers))) and len(numbers) > 2:
        numbers = numbers[1:]
    elif 0 in numbers:
        return text
    return str([number - 1 for number in numbers])


def times_channels(text: str, word: str) -> str | None:
    return None if not text.isdigit() else '"${input.channels}"' if text == "1" else f'"${{input.channels * {text}}}"'


def part_of_channels(text: str, word: str) -> str | None:
    """A squeeze-excite's width by the factor, or the part, that it is of its input's."""
    if text.isdigit():
        return f'"${{input.channels // {text}}}"'
    return f'"${{int(input.channels * {text})}}"' if re.fullmatch(r"0?\.\d+", text) else None


def diameter(text: str, word: str) -> str | None:
    """TensorFlow counts the neighbours on one side."""
    return str(2 * int(text) + 1) if re.fullmatch(r"\d{1,4}", text) else None


def pads(text: str, word: str) -> str | None:
    """ONNX writes all beginnings, then all ends; here both sides of an axis stand together, as one number where they are the same."""
    numbers = re.findall(r"\d+", text)
    half = len(numbers) // 2
    if len(numbers) % 2 or not numbers:
        return None if len(numbers) != 1 else numbers[0]
    if numbers[:half] != numbers[half:]:
        return "[" + ", ".join(f"[{low}, {high}]" for low, high in zip(numbers[:half], numbers[half:], strict=True)) + "]"
    return numbers[0] if len(set(numbers)) == 1 else "[" + ", ".join(numbers[:half]) + "]"


def padding_word(text: str, word: str) -> str | None:
    return {"same": "same_upper", "sameupper": "same_upper", "valid": "0", "notset": "0"}.get(text.lower().replace("_", "").strip("'\""))


def shared(text: str, word: str) -> str | None:
    """PReLU's number of slopes: one, or one for each channel."""
    return None if not text.isdigit() else "true" if int(text) == 1 else "false"


def shared_axes(text: str, word: str) -> str | None:
    """Keras shares a slope along the axes of space."""
    return "false" if re.fullmatch(r"\[1, 2\]", text) else None


def approximation(text: str, word: str) -> str | None:
    return {"true": "tanh", "false": "none", "tanh": "tanh", "none": "none"}.get(text.lower().strip("'\""))


def as_it_is(text: str, word: str) -> str | None:
    return text


def sides(text: str, word: str) -> str | None:
    """A border of a map. PyTorch writes the last axis first; Keras writes a number, a number for each axis, or pairs."""
    found = re.search(r"([123])d$", word.lower())
    rank = int(found[1]) if found else 2
    numbers = re.findall(r"-?\d+", text)
    if not re.fullmatch(r"[-\d,\s\[\]]+", text) or len(numbers) not in (1, rank, 2 * rank):
        return None
    if len(numbers) == 1:
        numbers *= 2 * rank
    elif len(numbers) == rank:
        numbers = [number for number in numbers for _ in range(2)]
    elif re.search(r"Pad[123]d$|\.pad$", word):
        pairs = [numbers[at : at + 2] for at in range(0, 2 * rank, 2)]
        numbers = [number for pair in reversed(pairs) for number in pair]
    return "[" + ", ".join(numbers) + "]"


CONVERSIONS: dict[str, Callable[[str, str], str | None]] = {
    function.__name__: function
    for function in (
        complement,
        negation,
        without_batch,
        concat_axis,
        norm_axis,
        view,
        permutation,
        times_channels,
        part_of_channels,
        diameter,
        pads,
        padding_word,
        shared,
        shared_axes,
        approximation,
        as_it_is,
        sides,
    )
}
