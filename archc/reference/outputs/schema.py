"""The JSON Schema of each command's output. Draft 2020-12, made by pydantic; descriptions are those of the dataclasses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from archc.reference.outputs import figures, findings, formulas, machines

VERSION = 1  # a key may come without a new version; one that goes, or changes its meaning, makes one

# By command. Where it prints one of several objects, its options say which.
OUTPUTS: dict[str, tuple[type[Any], ...]] = {
    "analyze": (figures.Analysis,),
    "list": (figures.Summaries,),
    "compare": (figures.Summaries,),
    "explain": (figures.Derivations, figures.Explanation, formulas.OpenTotals, figures.PaperFigures, figures.StructureOutput),
    "diff": (figures.DifferenceOutput,),
    "memory": (machines.MemoryOutput, machines.GenerationOutput),
    "fit": (machines.FitOutput,),
    "time": (machines.TimeOutput,),
    "devices": (machines.Devices,),
    "check": (findings.Diagnosed,),
    "lint": (findings.Findings,),
    "data": (findings.DataOutput,),
    "eval": (findings.EvalOutput,),
    "predict": (findings.PredictOutput,),
}


def output_schema(command: str) -> dict[str, Any]:
    """The schema of a command's output. Raises KeyError for a command without, ImportError where pydantic cannot be loaded."""
    from pydantic import TypeAdapter

    several = OUTPUTS[command]
    union: Any = several[0]
    for output in several[1:]:
        union = union | output
    made = TypeAdapter(union).json_schema()
    by_name = {type_.__name__: type_ for top in several for type_ in dataclasses_in(top)}
    for name, part in [(made.get("title", ""), made), *made.get("$defs", {}).items()]:
        if name in by_name:
            _describe(part, by_name[name])
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:archc:output:{command}:{VERSION}",
        "title": f"archc {command} --format json",
        "version": VERSION,
    }
    return head | {name: value for name, value in made.items() if name not in head}


def _describe(part: dict[str, Any], output: type[Any]) -> None:
    """Adds what the fields of a dataclass mean."""
    part["description"] = output.__doc__
    texts = meanings(output)
    part["properties"] = {
        key(name): {inner: value for inner, value in keywords.items() if inner not in ("title", "default")}
        | ({"description": texts[name]} if texts[name] else {})
        for name, keywords in part["properties"].items()
    }
    part["required"] = [key(name) for name in part["required"]]


def key(name: str) -> str:
    """The key of JSON that a field stands for: `class` is no name in Python."""
    return name.rstrip("_")


def meanings(output: type[Any]) -> dict[str, str]:
    """The fields of an output, with what is said of each."""
    hints = get_type_hints(output, include_extras=True)
    return {name: next((mark for mark in _metadata(hint) if isinstance(mark, str)), "") for name, hint in hints.items()}


def _metadata(hint: Any) -> tuple[Any, ...]:
    return hint.__metadata__ if get_origin(hint) is Annotated else ()


def dataclasses_in(output: type[Any]) -> Iterator[type[Any]]:
    """An output and all dataclasses that its fields hold, each once."""
    seen: dict[type[Any], None] = {}
    todo: list[Any] = [output]
    while todo:
        described_type = todo.pop(0)
        if is_dataclass(described_type) and isinstance(described_type, type):
            if described_type not in seen:
                seen[described_type] = None
                todo += get_type_hints(described_type).values()
        else:
            todo += get_args(described_type)
    yield from seen
