"""The documentation of operators and blocks, from their signatures, and the formulas of an operator, from running it on symbols."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from archc.analysis.cost.derive import DEFINITIONS
from archc.language import library
from archc.language.blocks import Block
from archc.ops import OPERATORS
from archc.ops.facts import Facts, Work
from archc.ops.registry import Op
from archc.ops.shape import Shape, product
from archc.ops.tracked import Tracked, formula, track
from archc.recipe.keys import DATA, KEYS, STOP, VALUES
from archc.recipe.tables import TABLES
from archc.signature import MISSING, Fault, Param, Signature, shown
from archc.text.table import Column, Table, to_markdown, to_terminal, wrap_table


def listing() -> list[Table]:
    """All operators and blocks, a line each."""
    blocks = [block for name in library.index() if (block := library.find(name)) is not None]
    operators = Table([Column("layer"), Column("what", "text")], [[name, OPERATORS[name].summary] for name in sorted(OPERATORS)])
    ready = Table([Column("block"), Column("what", "text")], [[block.name, _first_sentence(block.doc)] for block in blocks])
    return [operators, ready]


def operator_text(op: Op, width: int | None = None) -> str:
    """One operator: what it does, its arguments in a table of no more than `width` columns."""
    lines = [f"  {what} = {text}" for what, text in formulas(op)]
    return "\n".join(
        [f"{op.name}: {op.summary}", *([op.doc] if op.doc else []), *_table(op.signature, width), *([""] if lines else []), *lines]
    )


def block_text(block: Block, width: int | None = None) -> str:
    """One block that ships: what it is, its arguments."""
    inputs = [f"inputs: {', '.join(block.inputs)}"] if block.inputs else []
    return "\n".join([f"{block.name} (block): {' '.join(block.doc.split())}", *inputs, *_table(block.signature, width)])


def markdown(names: Iterable[str] | None = None) -> str:
    """All operators and blocks as Markdown: docs/operators.md."""
    wanted = set(names) if names is not None else None
    parts = ["# Layers and blocks", "", "Written by `archc docs --format markdown`.", "", "## Layers"]
    for name in sorted(OPERATORS):
        if wanted is None or name in wanted:
            op = OPERATORS[name]
            parts += ["", f"### {name}", "", _code_shapes(op.summary), *([op.doc] if op.doc else []), *_markdown_table(op.signature)]
    parts += ["", "## Blocks", "", "Macros written in the language: `archc/blocks/`."]
    for name in library.index():
        block = library.find(name)
        if block is not None and (wanted is None or name in wanted):
            parts += ["", f"### {name}", "", " ".join(block.doc.split()), *_markdown_table(block.signature)]
    return "\n".join(parts)


def choice_text(name: str, width: int | None = None) -> str | None:
    """One of the tables of a recipe by its name: an optimizer, a schedule, a loss, an augmentation. None where there is none."""
    found = next(((what, table[name]) for what, table in TABLES.items() if name in table), None)
    return "\n".join([f"{name} ({found[0]}): {found[1].doc}", *_table(found[1].signature, width)]) if found else None


def recipe_markdown() -> str:
    """The settings of `train:` and all that they choose from: docs/recipe.md."""
    parts = [
        "# Recipes",
        "",
        "Written by `archc docs --recipe`. [language.md](language.md) says how a recipe is written.",
        "",
        "## Settings",
    ]
    settings = Table([Column("setting"), Column("default"), Column("meaning")])
    for name, what in KEYS.items():
        param = VALUES.params.get(name)
        settings.rows.append([name, _default(param) if param is not None else _CHOSEN[name], what])
    parts += ["", to_markdown(settings)]
    for name, signature in (("data", DATA), ("stop", STOP)):
        parts += ["", f"### {name}", *_markdown_table(signature)]
    for what, table in TABLES.items():
        parts += ["", f"## {_PLURALS[what]}"]
        for name, entry in table.items():
            parts += ["", f"### {name}", "", f"{entry.doc[:1].upper()}{entry.doc[1:]}.", *_markdown_table(entry.signature)]
    return "\n".join(parts)


_PLURALS = {"optimizer": "Optimizers", "schedule": "Schedules", "loss": "Losses", "augmentation": "Augmentations"}
_CHOSEN = {"data": "digits", "optimizer": "adamw", "schedule": "cosine", "loss": "cross_entropy"} | dict.fromkeys(
    ("heads", "augment", "rates", "freeze", "unfreeze", "stop"), "none"
)


def definitions_markdown() -> str:
    """What each figure means, and the formulas of every layer: docs/definitions.md."""
    parts = ["# Definitions", "", "Written by `archc docs --definitions`. `archc explain SPEC LAYER` puts the numbers in.", ""]
    parts += [f"- **{name}**: {text}" for name, text in DEFINITIONS.items()]
    parts += ["", "## Formulas", "", _FORMULAS, "", "| layer | figure | formula, for one image |", "|---|---|---|"]
    for name in sorted(OPERATORS):
        rows = formulas(OPERATORS[name]) or [("all counts", "0")]
        parts += [f"| {name if i == 0 else ''} | {what} | `{text}` |" for i, (what, text) in enumerate(rows)]
    return "\n".join(parts)


_FORMULAS = (
    "C, H, W are the channels, height and width of the input, T and D the tokens and features of a sequence, H' and W' the"
    " height and width of the output; other names are arguments. Divisions of sizes round down. A map of one or three axes has"
    " one or three sizes in place of H and W. The FLOPs of a layer are the sum of its multiplies, adds, compares and special"
    " functions; optional parts (a bias, a scale) are shown as they are by default."
)


def _code_shapes(summary: str) -> str:
    shapes, dot, rest = summary.partition("]. ")
    return f"`{shapes}]`. {rest}" if dot else summary


def _table(signature: Signature, width: int | None) -> list[str]:
    if not signature.params:
        return ["", "  no arguments"]
    room = width and max(width - 2, 40)
    return ["", *("  " + line for line in to_terminal(wrap_table(_arguments(signature), room), room).splitlines())]


def _markdown_table(signature: Signature) -> list[str]:
    return ["", to_markdown(_arguments(signature))] if signature.params else []


def _arguments(signature: Signature) -> Table:
    table = Table([Column("argument"), Column("default"), Column("meaning")])
    for param in signature.params.values():
        table.rows.append([param.name, _default(param), param.doc or param.type.expected])
    return table


def _default(param: Param) -> str:
    return "required" if param.default is MISSING else "none" if param.default is None else shown(param.default).strip('"')


def _first_sentence(text: str) -> str:
    flat = " ".join(text.split())
    return flat.partition(". ")[0].rstrip(".") + "." if flat else ""


# Axes as the first lines of the operators' documentation name them, with sizes at which most arguments are legal.
_Axes = tuple[tuple[str, ...], tuple[int, ...]]
_MAP: _Axes = ("C", "H", "W"), (16, 12, 12)
_TOKENS: _Axes = ("T", "D"), (6, 16)
_VECTOR: _Axes = ("F",), (16,)
_INPUTS: dict[str, _Axes] = {
    "[T, D]": _TOKENS,
    "[S, D]": (("S", "D"), (5, 16)),
    "[*, F]": _TOKENS,
    "[*, D]": _TOKENS,
    "[F]": _VECTOR,
    "[T]": (("T",), (6,)),
    "[A, B]": _TOKENS,
    "[*, M, K]": (("M", "K"), (6, 8)),
    "[*, K, N]": (("K", "N"), (8, 4)),
}
_SAMPLES = {"int": 4, "sizes": 2, "factors": 2, "number": 2, "list": None}
_NAMES = {"multiply": "multiplies", "add": "adds", "compare": "compares", "special": "special functions"}


def formulas(op: Op) -> list[tuple[str, str]]:
    """(what, formula) for the output, the weights, the MACs and the FLOPs by kind; empty where no sample is legal."""
    facts = _sample(op)
    if facts is None:
        return []
    rows = [(size.symbols, formula(size)) for size in facts.outputs[0] if isinstance(size, Tracked) and size.parent is not None]
    for role in ("weight", "bias"):
        sizes = [formula(product(weight.shape)) for weight in facts.owned if weight.role == role]
        rows += [({"weight": "weights", "bias": "biases"}[role], " + ".join(sizes))] if sizes else []
    rows += [("MACs", formula(facts.macs))] if isinstance(facts.macs, int) and facts.macs else []
    if isinstance(facts.work, Work):
        rows += [(_NAMES[name], formula(value)) for name, value in facts.work._asdict().items() if value]
    return rows


def _sample(op: Op) -> Facts | None:
    """The facts of a legal use of the operator, on tracked numbers."""
    inputs = re.findall(r"\[[^\]]*\]", op.summary.partition("->")[0].partition(", or ")[0])
    named = [_INPUTS.get(text, _MAP) for text in inputs[:2]]
    shapes = [Shape(track(sizes, names)) for names, sizes in named]
    args: dict[str, Any] = {}
    for name, param in op.signature.params.items():
        value = param.default if param.default is not MISSING else _SAMPLES.get(param.type.name)
        args[name] = Tracked(value, name) if isinstance(value, int) and not isinstance(value, bool) else value
    try:
        return op.function(*shapes, **args)
    except (Fault, TypeError, ValueError, AttributeError):
        return None
