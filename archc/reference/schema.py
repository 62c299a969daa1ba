"""The JSON Schema of specs: what makes an editor complete and check them. Written from the same signatures that bind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archc.catalog.initializers import INITIALIZERS
from archc.graph.dtypes import WHOLE
from archc.language import citation, library
from archc.language.blocks import Block
from archc.language.budget import FIGURES
from archc.language.citation import CLAIM, PAPER
from archc.language.entries import GROUPS, MODIFIERS
from archc.language.spec import KEYS, METRICS
from archc.language.variants import VARIANT_KEYS
from archc.ops import OPERATORS
from archc.ops.registry import Op
from archc.recipe.keys import DATA, PARTS, STOP, VALUES
from archc.recipe.keys import KEYS as TRAIN
from archc.recipe.tables import TABLES
from archc.signature import MISSING, Param, Signature

Schema = dict[str, Any]
EXPRESSION: Schema = {"type": "string", "pattern": r"\$"}
ENTRY: Schema = {"$ref": "#/$defs/entry"}
CHAIN: Schema = {"$ref": "#/$defs/chain"}


def schema(blocks: Iterable[Block] = ()) -> Schema:
    """The schema of specs that use the operators, the blocks that ship, and the blocks given."""
    shipped = [block for name in library.index() if (block := library.find(name)) is not None]
    kinds = {name: _operator(OPERATORS[name]) for name in OPERATORS} | {block.name: _block(block) for block in (*shipped, *blocks)}
    kinds |= {"layers": CHAIN | {"description": GROUPS["layers"]}, "inline": CHAIN | {"description": GROUPS["inline"]}}
    kinds["share"] = {"type": ["string", "integer"], "description": GROUPS["share"]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "archc spec",
        "type": "object",
        "properties": _top(),
        "additionalProperties": False,
        "$defs": {"entry": _entry(kinds), "chain": _chain(), "block": _block_definition(), "shape": _shape(), "input": _input()},
    }


def _top() -> Schema:
    one = {"anyOf": [{"$ref": "#/$defs/shape"}, {"$ref": "#/$defs/input"}]}
    shapes = {"anyOf": [*one["anyOf"], {"type": "object", "additionalProperties": one}]}
    texts = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    properties: Schema = {
        "archc": {"const": 1},
        "name": {"type": "string"},
        "doc": {"type": "string"},
        "paper": _paper(),
        "published": {"type": "array", "items": _claim()},
        "extends": {"type": "string"},
        "use": texts,
        "input": shapes,
        "sizes": {"type": "object", "additionalProperties": _or_expression({"type": "integer", "minimum": 1})},
        "params": {"type": "object"},
        "expect": _expect() | {"type": ["object", "null"]},
        "budget": _budget(),
        "defaults": {"type": "object", "additionalProperties": {"type": "object"}},
        "init": {"type": "object", "additionalProperties": _initializer()},
        "rename": {"type": "array", "items": {"type": "string", "pattern": "^s"}},
        "blocks": {"type": "object", "additionalProperties": {"$ref": "#/$defs/block"}},
        "layers": CHAIN,
        "outputs": {"anyOf": [*texts["anyOf"], {"type": "object"}]},
        "train": _train(),
    }
    variant = {"type": "object", "properties": {key: properties[key] for key in VARIANT_KEYS}, "additionalProperties": False}
    properties["variants"] = {"type": "object", "additionalProperties": variant}
    return {key: {**properties[key], "description": KEYS[key]} for key in KEYS}


def _expect() -> Schema:
    figure = {"type": ["integer", "number", "string", "array", "null"]}
    return {
        "type": "object",
        "properties": {name: {**figure, "description": what} for name, what in METRICS.items()},
        "additionalProperties": False,
    }


def _train() -> Schema:
    """The recipe: one of a table where a key chooses, numbers, patterns over names of tensors."""
    augmentation = _choice("augmentation")
    numbers: Schema = {"type": ["object", "null"], "additionalProperties": _or_expression({"type": "number", "minimum": 0})}
    patterns = {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}]}
    properties: Schema = {
        **{name: _param(param) for name, param in VALUES.params.items()},
        **{name: _choice(what) for name, what in PARTS.items()},
        "augment": {"if": {"type": "array"}, "then": {"type": "array", "items": augmentation}, "else": augmentation},
        "data": _arguments(DATA, ""),
        "stop": _arguments(STOP, ""),
        "heads": numbers,
        "rates": numbers,
        "freeze": patterns,
        "unfreeze": {"type": ["object", "null"], "patternProperties": {"^(0|[1-9][0-9]*)$": patterns}, "additionalProperties": False},
    }
    described = {name: {**properties[name], "description": TRAIN[name]} for name in TRAIN}
    return {"type": "object", "properties": described, "additionalProperties": False}


def _choice(what: str) -> Schema:
    """A word of a table, or one name with its arguments."""
    table = TABLES[what]
    named = {name: _arguments(choice.signature, choice.doc) for name, choice in table.items()}
    mapping = {"type": "object", "properties": named, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
    words: Schema = {"anyOf": [{"enum": list(table)}, EXPRESSION]}
    return {"if": {"type": "string"}, "then": words, "else": mapping if what != "augmentation" else {**mapping, "type": ["object", "null"]}}


def _budget() -> Schema:
    figure = {"type": ["integer", "number", "string"]}
    return {
        "type": "object",
        "properties": {name: {**figure, "description": what} for name, what in FIGURES.items()},
        "additionalProperties": False,
    }


def _initializer() -> Schema:
    """A number, a name, or one name with its arguments."""
    named = {name: _arguments(initializer.signature, initializer.doc) for name, initializer in INITIALIZERS.items()}
    alone = {"anyOf": [{"type": "number"}, {"enum": sorted(named)}, EXPRESSION]}
    mapping = {"properties": named, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
    return {"if": {"type": "object"}, "then": mapping, "else": alone}


def _paper() -> Schema:
    named: Schema = {"anyOf": [{"enum": list(citation.CONVENTIONS)}, {"type": "object", "additionalProperties": {"type": "string"}}]}
    types: Schema = {"year": {"type": "integer", "minimum": 1900}, "names": named}
    properties = {name: {**types.get(name, {"type": "string"}), "description": what} for name, what in PAPER.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _claim() -> Schema:
    figure: Schema = {"type": ["number", "string"]}
    types: Schema = dict.fromkeys(citation.FIGURES, figure) | {
        "of": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "set": {"type": "object"},
    }
    properties = {name: {**types.get(name, {"type": "string"}), "description": what} for name, what in CLAIM.items()}
    return {"type": "object", "properties": properties, "required": ["by"], "additionalProperties": False}


def _shape() -> Schema:
    return {"type": "array", "minItems": 1, "maxItems": 4, "items": _or_expression({"type": "integer", "minimum": 1})}


def _input() -> Schema:
    dtype = {"enum": list(WHOLE)}
    properties = {"shape": {"$ref": "#/$defs/shape"}, "dtype": dtype}
    return {"type": "object", "properties": properties, "required": ["shape"], "additionalProperties": False}


def _chain() -> Schema:
    return {"if": {"type": "array"}, "then": {"type": "array", "items": ENTRY}, "else": {"type": "object", "additionalProperties": ENTRY}}


def _entry(kinds: Schema) -> Schema:
    """A word, a list, or one mapping: nested ifs, so that an editor says "Property cnov is not allowed" and nothing vaguer."""
    words = {"anyOf": [{"enum": sorted(kinds)}, EXPRESSION]}
    return {
        "if": {"type": "string"},
        "then": words,
        "else": {"if": {"type": "array"}, "then": {"type": "array", "items": ENTRY}, "else": _mapping(kinds)},
    }


def _mapping(kinds: Schema) -> Schema:
    modifiers: Schema = {
        "from": {"anyOf": [{"type": ["string", "integer"]}, {"type": "array", "items": {"type": ["string", "integer"]}}]},
        "repeat": _or_expression({"type": "integer", "minimum": 0}),
        "for": {"anyOf": [{"type": "array"}, {"type": "object"}, EXPRESSION]},
        "when": _or_expression({"type": "boolean"}),
        "expect": _expect(),
        "train_only": _or_expression({"type": "boolean"}),
        "parallel": _or_expression({"type": "boolean"}),
        "tie": {"type": ["string", "integer", "object"]},
    }
    modifiers = {name: {**modifier, "description": MODIFIERS[name]} for name, modifier in modifiers.items()}
    return {
        "type": ["object", "null"],
        "properties": {**kinds, **modifiers},
        "patternProperties": {r"^\$": {}},
        "additionalProperties": False,
    }


def _operator(op: Op) -> Schema:
    made = _arguments(op.signature, op.summary)
    if op.merges:
        branches = {**made["then"], "additionalProperties": ENTRY}
        return {**made, "then": branches, "else": {"anyOf": [{"type": "array", "items": ENTRY}, {"type": "null"}]}}
    return made


def _block(block: Block) -> Schema:
    return _arguments(block.signature, " ".join(block.doc.split()))


def _arguments(signature: Signature, doc: str) -> Schema:
    """A mapping of arguments, or the main one alone."""
    properties = {name: _param(param) for name, param in signature.params.items()}
    main = signature.main
    alone: Schema = {"anyOf": [properties[main.name], {"type": "null"}]} if main is not None else {"type": "null"}
    named = {"properties": properties, "additionalProperties": False}
    return {"description": doc, "if": {"type": "object"}, "then": named, "else": alone}


def _param(param: Param) -> Schema:
    made = _or_expression(param.type.schema) if param.type.schema else {}
    made = {**made, "description": param.doc or param.type.expected}
    if param.default is not MISSING and not isinstance(param.default, tuple):
        made["default"] = param.default
    if param.default is None and "anyOf" in made:
        made["anyOf"] = [*made["anyOf"], {"type": "null"}]
    return made


def _or_expression(schema: Schema) -> Schema:
    return {"anyOf": [schema, EXPRESSION]}


def _block_definition() -> Schema:
    properties = {
        "doc": {"type": "string"},
        "params": {"type": "object"},
        "inputs": {"type": "array", "items": {"type": "string"}},
        "outputs": {"type": ["string", "integer", "array", "object"]},
        "layers": CHAIN,
    }
    return {"type": "object", "properties": properties, "required": ["layers"], "additionalProperties": False}
