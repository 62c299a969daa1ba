"""Blocks that ship, recognised in a network by their structure.

A block is guessed, elaborated at the part's input, and compared; where an argument differs, the place where it was written in the
block says which parameter decides it, and the guess is mended. A wrong guess can only miss.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from heapq import heappop, heappush
from itertools import count
from typing import Any

from archc.elaborate.compiler import compile_text
from archc.folding.signature import Part, Parts
from archc.graph import Node, Scope
from archc.language import library
from archc.language.blocks import Block
from archc.ops import OPERATORS
from archc.signature import MISSING
from archc.text.diagnostics import Use
from archc.text.source import Span
from archc.text.writing import text_of

MOST_IN_VAIN = 24  # of them in a row that come no nearer
MOST_TRIALS = 60  # elaborations for one part and one block
_NAME = re.compile(r"[\"']?\$\{?\s*([A-Za-z_]\w*)\s*\}?[\"']?\Z")
_TOP = re.compile(r"^[A-Za-z_]\w*:", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
Arguments = dict[str, Any]


class Layer(str):
    """A layer as an argument: `relu6`, `{leaky_relu: 0.1}`; written as it is."""

    __slots__ = ()


def text_of_argument(value: Any) -> str:
    return str(value) if isinstance(value, Layer) else text_of(value)


class Recogniser:
    """Finds the block that a part is. `head`: what stands in the spec before the layers, as `defaults`."""

    def __init__(self, head: str) -> None:
        self.head = head
        self._known: dict[tuple[Any, ...], tuple[str, Arguments] | None] = {}
        self._tried: dict[tuple[str, tuple[int, ...], str], Part | None] = {}
        self._fits: dict[tuple[Any, ...], dict[str, Arguments]] = {}  # the blocks that parts of a structure were, with their arguments
        self._searched: set[tuple[Any, ...]] = set()

    def find(self, part: Part) -> tuple[str, Arguments] | None:
        """A block and its arguments, without those that are its defaults; None where no block is the part."""
        if not part.plain or len(part.nodes) < 2:
            return None
        signature = part.signature
        if signature not in self._known:
            self._known[signature] = self._search(part)
        return self._known[signature]

    def _search(self, part: Part) -> tuple[str, Arguments] | None:
        """The simplest block that is a part. Parts of one structure are one block, or none."""
        skeleton = part.skeleton
        known = self._fits.setdefault(skeleton, {})
        for name, before in known.items():
            if (again := self._fit(_block(name), part, before)) is not None:
                return name, again
        if skeleton in self._searched:
            return None
        self._searched.add(skeleton)
        for block in _candidates(part):
            if (found := self._fit(block, part, None)) is not None:
                known[block.name] = found
                return block.name, found
        return None

    def _fit(self, block: Block, part: Part, before: Arguments | None) -> Arguments | None:
        """The arguments with which a block is the part. before: those with which it was another part of this structure"""
        tried: set[str] = set()
        order = count()
        waiting = [(0, next(order), args) for args in ([before] if before is not None else _first_guesses(block, part))]
        nearest, since = len(part.nodes) + 1, 0
        while waiting and len(tried) < MOST_TRIALS and since < MOST_IN_VAIN:  # what came of the nearest guess first
            _, _, args = heappop(waiting)
            text = _entry_text(block.name, args)
            if text in tried:
                continue
            tried.add(text)
            trial = self._elaborate(block.name, part, text)
            if trial is None:
                continue
            if trial.skeleton == part.skeleton and trial.arguments == part.arguments:
                return {name: value for name, value in args.items() if not self._is_idle(block, part, args, name)}
            far, since = _distance(trial, part), since + 1
            if far < nearest or far == 0:
                nearest, since = min(far, nearest), 0
            for guess in _mend(block, args, trial, part):
                heappush(waiting, (far, next(order), guess))
        return None

    def _is_idle(self, block: Block, part: Part, args: Arguments, name: str) -> bool:
        """Whether an argument says what is so without it."""
        if name not in block.defaults:
            return False
        rest = {other: value for other, value in args.items() if other != name}
        trial = self._elaborate(block.name, part, _entry_text(block.name, rest))
        return trial is not None and trial.skeleton == part.skeleton and trial.arguments == part.arguments

    def _elaborate(self, name: str, part: Part, text: str) -> Part | None:
        shape = tuple(map(int, part.taken[0].shape))
        key = (name, shape, text)
        if key not in self._tried:
            graph = compile_text(f"archc: 1\nname: trial\ninput: {list(shape)}\n{self.head}layers:\n  b: {text}\n").graph
            scope = next((child for child in graph.root.children if isinstance(child, Scope)), None) if graph is not None else None
            self._tried[key] = Parts(graph).of(scope) if graph is not None and scope is not None else None
        return self._tried[key]


def _entry_text(name: str, args: Mapping[str, Any]) -> str:
    return f"{{{name}: {{{', '.join(f'{key}: {text_of_argument(value)}' for key, value in args.items())}}}}}"


def _candidates(part: Part) -> Iterator[Block]:
    """The blocks that name all labels of a part, and layers of its kinds."""
    labels = {child.label for child in part.scope.children if isinstance(child, Scope) or child.facts.weights}
    kinds = {node.kind for node in part.nodes if node.facts.weights}
    for block in _library():
        if kinds <= _kinds(block.name) and _may_have(block.name, frozenset(labels)):
            yield block


@cache
def _may_have(name: str, labels: frozenset[str]) -> bool:
    """Whether a block's text names labels, or begins of labels that end with a number that is computed."""
    text, lists = _text(_block(name)), any(key is None for key, _ in _block(name).layers.entries)
    words, begins = set(_WORD.findall(text)), tuple(re.findall(r"(\w+)\$", text))
    free = re.search(r"^\s*[\"']?\$\{?\w+\}?[\"']?:", text, re.MULTILINE) is not None
    return all((lists if label.isdigit() else label in words) or free or label.startswith(begins or ("$",)) for label in labels)


@cache
def _kinds(name: str) -> frozenset[str]:
    """The kinds that a block's text names, with those of the blocks in it; a layer that is an argument may be any normalization."""
    block = _block(name)
    words = set(_WORD.findall(_text(block)))
    found = words & set(OPERATORS)
    for inner in words & library.index().keys() - {name}:
        found |= _kinds(inner)
    if any(param.type.name == "layer" for param in block.signature.params.values()):
        found |= {"batchnorm", "groupnorm", "instancenorm", "layernorm", "prelu"}
    return frozenset(found)


def _text(block: Block) -> str:
    """The text of a block, up to the next one of its file."""
    text = block.span.source.text
    match = _TOP.search(text, block.span.end + 1)
    return text[block.span.start : match.start() if match is not None else len(text)]


@cache
def _library() -> list[Block]:
    """The blocks of one input that ship, the simplest first."""
    found = [block for name in library.index() if not (block := _block(name)).inputs and not block.outputs]
    return sorted(found, key=lambda block: len(_text(block)))


def _block(name: str) -> Block:
    block = library.find(name)
    assert block is not None
    return block


def _first_guesses(block: Block, part: Part) -> Iterator[Arguments]:
    """Arguments to begin with: what must be given, by its name where it has one that says what it is."""
    out, x = part.given[0].shape, part.taken[0].shape
    channels = int(out[0] if len(out) != 2 else out[-1])
    args: Arguments = {}
    for name, param in block.signature.params.items():
        if name in block.defaults or param.default is not MISSING:
            continue
        if param.type.name in ("int", "number", "any"):
            args[name] = channels if name in ("channels", "features") else _guess_number(name, part, int(x[0]) + 8 * len(args))
        elif param.type.name == "list":
            args[name] = _guess_list(name, part)
        elif param.type.name == "layer":
            args[name] = Layer("relu")
        else:
            return
    yield args


def _guess_number(name: str, part: Part, unlike: int) -> int:
    """An argument of this name; else a number that no other parameter has, so that it is known again where it arrives."""
    return next((int(args[name]) for args in part.arguments if isinstance(args.get(name), int)), unlike)


def _guess_list(name: str, part: Part) -> list[Any]:
    singular = name.removesuffix("s") if name != "channels" else name
    return [args[singular] for args in part.arguments if singular in args] or [1]


def _distance(trial: Part, part: Part) -> int:
    """How many layers are in one of both alone."""
    mine, theirs = (Counter(row[:2] for row in one.rows) for one in (trial, part))
    return sum(((mine - theirs) + (theirs - mine)).values())


def _mend(block: Block, args: Arguments, trial: Part, part: Part) -> Iterator[Arguments]:
    """Guesses that are nearer: each difference of an argument is followed to the parameter that decides it."""
    exact: Arguments = {}
    sure: Arguments = {}  # also where other layers differ
    other: list[Arguments] = []
    pairs = [*_pairs(trial, part)]
    for (mine, have), (_, want) in pairs:
        for name in have.keys() & want.keys():
            if have[name] == want[name]:
                continue
            parameter, text = _decides(mine, name)
            if parameter is None:  # through a loop or a list: the one that has the value
                same = [one for one, value in args.items() if value == have[name] and not isinstance(value, bool)]
                parameter = same[0] if len(same) == 1 and isinstance(want[name], int) else None
            if parameter is not None and parameter in block.signature.params:
                exact.setdefault(parameter, _as_written(want[name]))
                if parameter not in block.defaults or not any(part.isdigit() for part in mine.name.split(".")[1:]):
                    sure.setdefault(parameter, _as_written(want[name]))
            else:
                other += _solved(block, args, text, have[name], want[name])
    if [row[:2] for row in trial.rows] == [row[:2] for row in part.rows]:
        if any(args.get(name) != value for name, value in exact.items()):
            yield args | exact
        yield from (args | exact | more for more in other)
    else:
        if any(args.get(name) != value for name, value in sure.items()):
            yield args | sure
        yield from (args | sure | more for more in _other_forms(block, args | sure, part))


def _pairs(trial: Part, part: Part) -> Iterator[tuple[tuple[Node, Arguments], tuple[Node, Arguments]]]:
    """Layers of a trial beside those of the part: of one name, or of one kind in order."""
    named = {row[0]: at for at, row in enumerate(part.rows) if row[0]}
    by_kind: dict[str, list[int]] = {}
    for at, row in enumerate(part.rows):
        if not row[0]:
            by_kind.setdefault(row[1], []).append(at)
    for at, row in enumerate(trial.rows):
        waiting = by_kind.get(row[1])
        other = named.get(row[0]) if row[0] else waiting.pop(0) if waiting else None
        if other is not None and part.rows[other][1] == row[1]:
            yield (trial.nodes[at], trial.arguments[at]), (part.nodes[other], part.arguments[other])


def _decides(node: Node, argument: str) -> tuple[str | None, str]:
    """The parameter of the outermost block that an argument is, and the text in its place where it is no parameter alone."""
    if node.written is None or argument not in node.written.arguments:
        return None, ""
    span, _ = node.written.arguments[argument]
    return _follow(span, node.written.uses)


def _follow(span: Span, uses: tuple[Use, ...]) -> tuple[str | None, str]:
    while (match := _NAME.match(span.text)) is not None:
        if len(uses) <= 1 or match[1] not in uses[0].arguments:
            return (match[1], "") if len(uses) <= 1 else (None, "")
        span, uses = uses[0].arguments[match[1]], uses[1:]
    return None, span.text


def _as_written(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _solved(block: Block, args: Arguments, text: str, have: Any, want: Any) -> list[Arguments]:
    """Values of the parameters in an expression that may give what is wanted, by the forms in which sizes are computed."""
    found: list[Arguments] = []
    if not isinstance(have, int | float) or not isinstance(want, int | float):
        return [{name: _as_written(want)} for name in dict.fromkeys(_WORD.findall(text)) if name in block.signature.params]
    for name in dict.fromkeys(_WORD.findall(text)):
        param = block.signature.params.get(name)
        if param is None or param.type.name not in ("int", "number", "any"):
            continue
        now = args.get(name, param.default)
        values: list[Any] = [want]
        if isinstance(now, int | float) and not isinstance(now, bool):
            if have:
                values.append(now * want / have)
            if want:
                values.append(now * have / want)
            values.append(now + want - have)
        if not now and isinstance(want, int | float) and want:
            values += [other / want for other in args.values() if isinstance(other, int) and not isinstance(other, bool) and other > want]
        for value in dict.fromkeys(int(one) if float(one).is_integer() else one for one in values):
            if value != now and not (param.type.name == "int" and not isinstance(value, int)):
                found.append({name: value})
    return found


def _other_forms(block: Block, args: Arguments, part: Part) -> Iterator[Arguments]:
    """Changes that make other layers: switches, layers that are arguments, numbers that are 0 or null where something is left out."""
    kinds = list(dict.fromkeys(_layer_text(node) for node in part.nodes if not node.facts.weights or "norm" in node.kind))
    for name, param in block.signature.params.items():
        now = args.get(name, param.default)
        if param.type.name == "bool":
            yield {name: not now}
        elif param.type.name == "layer":
            yield from ({name: Layer(kind)} for kind in [*kinds, "null"] if Layer(kind) != now)
        elif name in block.defaults and name not in args and isinstance(now, int | float | None):
            yield from ({name: value} for value in _numbers(name, part) if value != now)
            if now not in (0, 1, None):
                yield {name: 1}


def _layer_text(node: Node) -> str:
    params = node.op.signature.params
    given = {name: value for name, value in node.args.items() if value != params[name].default and name != "inplace"}
    return f"{{{node.kind}: {text_of(given)}}}" if given else node.kind


def _numbers(name: str, part: Part) -> Iterator[Any]:
    """What a number that is 0 may be: an argument of its name, the part that a squeeze leaves of the channels."""
    for node, args in zip(part.nodes, part.arguments, strict=True):
        main = node.op.signature.main
        if node.kind == name and main is not None:
            yield args[main.name]
        if name in args and isinstance(args[name], int | float):
            yield args[name]
    widths = [args["channels"] for args in part.arguments if isinstance(args.get("channels"), int)]
    if name in ("se", "reduction") and widths:
        least = min(widths)
        yield from dict.fromkeys([max(widths) // least, widths[-1] // least, least / int(part.taken[0].shape[0])])
