"""`paper` and `published`: where a network comes from, and the figures that others print of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from archc.language.blocks import unknown_keys
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.quantity import BYTES, COUNT, QuantityParts, parts
from archc.text.source import Span

PAPER = {
    "title": "its title",
    "authors": "who wrote it",
    "venue": "where it was published",
    "year": "the year of first publication",
    "url": "where it can be read",
    "names": "what it calls layers: `layers` or `stages`, as they are counted, or a mapping of its names to ours: {conv4_x: layer3}",
}
CONVENTIONS = {
    "layers": "convolutions and dense layers are counted on: conv1, conv2, …, fc6, with relu1, norm1, pool1",
    "stages": "convolutions are counted in stages that end with a pool: conv4_3, relu4_3, pool4; dense layers go on from the last: fc6",
}
COUNTED = {  # worked out from the network
    "parameters": "learned values",
    "weights": "learned values without biases",
    "biases": "biases",
    "macs": "multiply-accumulates",
    "flops": "floating-point operations",
    "activations": "values of all outputs, views not counted",
}
PRINTED = {  # worked out as well, but nothing that a spec would promise
    "volumes": "values of the rows of `archc analyze --view lecture`: the input, and layers with weights or another size",
    "dense": "parameters of a fully-connected layer in the place of a convolution",
}
ACCURACY = {"top1": "accuracy of the first guess, %", "top5": "how often the class is among five guesses, %"}
ERRORS = {"top1_error": "100 - top1, where the error was printed", "top5_error": "100 - top5, where the error was printed"}
FIGURES = {**COUNTED, **PRINTED, **ACCURACY, **ERRORS}
STORED = ("parameters", "weights", "biases", "activations", "volumes")  # what may be printed in bytes
CLAIM = {
    **FIGURES,
    "by": "who printed it, and where",
    "of": "the layer or part, or several, that it is about; the whole network unless given",
    "only": "a kind of layer, if no other is counted",
    "set": "values of parameters that it is about",
    "note": "what a reader should know",
    "why": "why our figure does not round to the printed one",
}
_EXAMPLE = 'published: [{macs: 3.8G, by: "paper, table 1"}]'
VALUE_BYTES = 4  # of a value that was printed in bytes: float32


@dataclass(slots=True)
class Paper:
    """Where a network was published. What is not known is empty, or 0."""

    title: str = ""
    authors: str = ""
    venue: str = ""
    year: int = 0
    url: str = ""
    names: str | dict[str, str] = ""

    @property
    def short(self) -> str:
        """`He et al., CVPR 2016`."""
        names = [name.strip() for name in self.authors.replace(" and ", ", ").split(",") if name.strip()]
        who = names[0] if len(names) == 1 else " & ".join(names) if len(names) == 2 else f"{names[0]} et al." if names else ""
        return ", ".join(part for part in (who, self.venue or (str(self.year) if self.year else "")) if part)


@dataclass(slots=True)
class Claim:
    """What was printed of a network: figures as they stand, by whom, and of what."""

    span: Span
    figures: dict[str, int | float | str] = field(default_factory=dict)
    by: str = ""
    of: tuple[str, ...] = ()
    only: str = ""
    set: dict[str, t.Tree] = field(default_factory=dict)
    note: str = ""
    why: str = ""


def read_paper(tree: t.Tree, diagnostics: Diagnostics) -> Paper:
    paper = Paper()
    if not isinstance(tree, t.Mapping):
        diagnostics.error("A202", tree.span, "paper must be a mapping", 'paper: {title: "…", authors: "…", venue: CVPR 2016, year: 2016}')
        return paper
    unknown_keys(tree, tuple(PAPER), diagnostics, "paper")
    for key, value in tree.items:
        name = str(key.value)
        if name == "year":
            year = _number(value)
            if isinstance(year, int) and 1900 <= year < 2200:
                paper.year = year
            else:
                diagnostics.error("A402", value.span, "not a year", "year: 2016")
        elif name == "names":
            paper.names = _names(value, diagnostics)
        elif name in PAPER:
            setattr(paper, name, _text(name, value, diagnostics))
    return paper


def _names(tree: t.Tree, diagnostics: Diagnostics) -> str | dict[str, str]:
    if isinstance(tree, t.Mapping):
        return {str(key.value): _text("names", value, diagnostics) for key, value in tree.items}
    if isinstance(tree, t.Scalar) and tree.value in CONVENTIONS:
        return str(tree.value)
    diagnostics.error("A402", tree.span, "not a known way to name layers", f"{' or '.join(CONVENTIONS)}, or a mapping: {{conv2_x: layer1}}")
    return ""


def read_published(tree: t.Tree, diagnostics: Diagnostics) -> list[Claim]:
    if not isinstance(tree, t.Sequence):
        diagnostics.error("A202", tree.span, "published must be a list of claims", _EXAMPLE)
        return []
    return [claim for item in tree.items if (claim := _claim(item, diagnostics)) is not None]


def _claim(tree: t.Tree, diagnostics: Diagnostics) -> Claim | None:
    if not isinstance(tree, t.Mapping):
        diagnostics.error("A202", tree.span, "a claim must be a mapping", _EXAMPLE)
        return None
    unknown_keys(tree, tuple(CLAIM), diagnostics, "published")
    claim = Claim(tree.span)
    for key, value in tree.items:
        name = str(key.value)
        if name in FIGURES:
            _read_figure(claim, name, value, diagnostics)
        elif name == "of":
            parts = value.items if isinstance(value, t.Sequence) else [value]
            claim.of = tuple(_text(name, part, diagnostics) for part in parts)
        elif name == "set":
            if isinstance(value, t.Mapping):
                claim.set = {str(item.value): tree for item, tree in value.items}
            else:
                diagnostics.error("A202", value.span, "set must be a mapping of names to values", "set: {classes: 10}")
        elif name in CLAIM:
            setattr(claim, name, _text(name, value, diagnostics))
    keys = {str(key.value) for key, _ in tree.items}
    if keys <= {"by", "of", "only", "set", "note", "why"} and not tree.broken:
        diagnostics.error("A204", tree.span, "no figure", f"there are {', '.join(FIGURES)}")
    if "by" not in keys and not tree.broken:
        diagnostics.error("A204", tree.span, "nobody printed it", 'add by: "paper, table 1"')
    return claim


def _read_figure(claim: Claim, name: str, value: t.Tree, diagnostics: Diagnostics) -> None:
    number = _number(value)
    if number is not None:
        claim.figures[name] = number
    elif isinstance(value, t.Scalar) and isinstance(value.value, str) and (printed := _parse_printed(value.value)) is not None:
        claim.figures[name] = value.value
        if _of_bytes(printed) and name not in STORED:
            diagnostics.error("A402", value.span, f"{name} is not measured in bytes", f"only {', '.join(STORED)} can be given in bytes")
    else:
        hint = "76.13" if name in (*ACCURACY, *ERRORS) else "a number, or a text such as 3.8G"
        diagnostics.error("A402", value.span, f"{name} is not a figure", hint)


def _number(value: t.Tree) -> int | float | None:
    """A scalar's number that is not negative."""
    if not isinstance(value, t.Scalar) or isinstance(value.value, bool) or not isinstance(value.value, int | float):
        return None
    return value.value if value.value >= 0 else None


def _text(name: str, value: t.Tree, diagnostics: Diagnostics) -> str:
    if isinstance(value, t.Scalar) and isinstance(value.value, str | int | float) and not isinstance(value.value, bool):
        return " ".join(str(value.value).split())
    diagnostics.error("A202", value.span, f"{name} must be a text", "write one, or remove the key")
    return ""


def _parse_printed(text: str) -> QuantityParts | None:
    """The parts of a figure that was printed: an amount of things, or of bytes where the unit has a B of its own, as in 552MB."""
    found = parts(text)
    if found is None or found.sign or found.slack or (_of_bytes(found) and not found.unit.endswith("B")):  # 1Kb may be bits
        return None
    return found if (BYTES if _of_bytes(found) else COUNT).scale(found.unit) is not None else None


def _of_bytes(found: QuantityParts) -> bool:
    return len(found.unit) > 1


def in_bytes(figure: int | float | str) -> bool:
    """Whether a figure was printed in bytes, as 552MB."""
    found = _parse_printed(figure) if isinstance(figure, str) else None
    return found is not None and _of_bytes(found)


def leading(figure: int | float | str) -> tuple[float, float]:
    """What a printed figure stands for: its value (or bytes), and half of a unit of its last digit (0 where it is exact)."""
    if isinstance(figure, int):
        return figure, 0
    found = _parse_printed(figure if isinstance(figure, str) else repr(figure))
    assert found is not None
    scale = (BYTES if _of_bytes(found) else COUNT).scale(found.unit)
    assert scale is not None
    return found.amount(scale), found.rounding(scale)
