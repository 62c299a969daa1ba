"""Hints for an entry, and what its operator takes."""

from __future__ import annotations

from typing import Any

from archc.elaborate.compiler import compile_text
from archc.language import library
from archc.ops import OPERATORS
from archc.signature import Signature

MAP, TOKENS, VECTOR = [4, 12, 12], [6, 16], [20]


def signature(kind: str) -> Signature:
    found = OPERATORS.get(kind) or library.find(kind)
    assert found is not None, kind
    return found.signature


def params(kind: str) -> dict[str, str]:
    return {name: param.type.name + "!" * param.required for name, param in signature(kind).params.items()}


def said(entry: str, shape: list[int], before: str = "") -> list[Any]:
    model = compile_text(f"archc: 1\ninput: {shape}\nlayers:\n{before}  - {entry}\n")
    return list(model.diagnostics)


def hint_of(entry: str, shape: list[int] = MAP) -> str:
    """The hint that an entry of a list gets."""
    found = said(entry, shape)
    assert found, f"{entry} passes"
    return str(found[0].hint)
