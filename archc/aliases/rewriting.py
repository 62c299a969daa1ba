"""An entry in the words of another framework, written anew in archc's: what each argument means, and how an entry with it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from archc.aliases.table import Alias, Chosen, find_layer, fold, table
from archc.aliases.values import CONVERSIONS, as_written, times
from archc.text import tree as t

Params = Mapping[str, str]
"""The arguments of a layer by name, in their order, with the names of their types; `!` after a type where one is required."""


@dataclass(frozen=True, slots=True)
class Says:
    """What an argument's word means for a layer: an argument, with a conversion of its value; or where it stands instead."""

    argument: str = ""
    by: str = ""
    inferred: bool = False
    next: str | None = None
    say: str = ""
    another: bool = False  # whether the layer itself is another one with this argument


def find_argument(kind: str, name: str, params: Params, *, foreign: bool = True, own: bool = False) -> Says:
    """What an argument means of a layer that does not have it, or (`own`) may have it. `foreign`: in a foreign layer, or a foreign word."""
    known, folded = table(), fold(name)
    if own and name in params:
        return Says(name, _conversion(kind, name) if foreign else "")
    if (say := known.told.get((kind, folded))) is not None:
        return Says(say=say, another="leave it out" not in say)
    argument = known.of.get((kind, folded), "")
    if argument in params:
        return Says(argument, _conversion(kind, argument))
    converted = known.converted.get((kind, folded))
    if converted is not None and converted.argument in params:
        return Says(converted.argument, converted.by)
    meant = next((argument for argument in known.arguments.get(folded, ()) if argument in params), None)
    meant = meant or next((param for param in params if fold(param) == folded), None)
    if meant is not None:
        return Says(meant, _conversion(kind, meant))
    if folded in known.inferred or (folded in known.channels_inferred and kind in known.keeping):
        return Says(inferred=True)
    if folded in known.layout:
        return Says(say="maps are [C, H, W] here: leave it out")
    if folded in known.elsewhere:
        return Says(say=known.elsewhere[folded])
    return Says(next=known.next.get(folded))


def _conversion(kind: str, argument: str) -> str:
    """How a value of a foreign argument becomes one of this."""
    return table().conversions.get((kind, argument), "")


MOST_ARGUMENTS = 20
MERGES = ("add", "mul", "average", "concat", "matmul")
_NO = ("false", "null", "0", "no", "none")
_YES = ("true", "1", "yes")


@dataclass(frozen=True, slots=True)
class Known:
    """The layers and blocks that there are, and how to ask for their arguments."""

    kinds: tuple[str, ...]
    params: Callable[[str], Params]


@dataclass(slots=True)
class Rewritten:
    """What to write: a layer's own text, the entries that follow it, and words on what was left out."""

    text: str = ""
    after: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    instead: str = ""  # what to say where the layer is another one


def rewrite(word: str, layer: Alias | Chosen, argument: t.Tree | None, known: Known) -> Rewritten | None:
    """An entry `{word: argument}` in archc's words. None where it does not say which layer it is."""
    if isinstance(layer, Chosen):
        return _choose(word, layer, argument, known)
    if layer.shown:
        return Rewritten(layer.shown, notes=[layer.note])
    if layer.kind in MERGES and isinstance(argument, t.Sequence):
        return Rewritten(_merge(layer.kind, argument, known))
    given = named_arguments(argument)
    given = given if given is not None else _positional(word, layer, known.params(layer.kind), argument)
    return _Rewriting(word, layer, known).run(given)


def activation(text: str, known: Known) -> str | None:
    """The entry of an activation as an argument names it elsewhere; an empty text for none, None where it is not known."""
    plain = text.strip().strip("'\"")
    if fold(plain) in table().none:
        return ""
    word = plain.removesuffix("()")
    if not re.fullmatch(r"[\w.]{1,40}", word):
        return None
    layer = Alias(word) if word in known.kinds else find_layer(word, known.kinds)
    return entry_text(layer.kind, layer.fixed, known.params(layer.kind)) if isinstance(layer, Alias) and not layer.shown else None


def next_entry(kind: str, value: str | None, known: Known) -> str | None:
    """The entry that an argument asks for after its layer; an empty text for none, None where that cannot be told."""
    if value is None:
        return None
    word = value.strip("'\"").lower()
    if word in _NO:
        return ""
    if kind in ("dropout", "maxpool"):
        return f"{{{kind}: {value}}}" if re.fullmatch(r"\d*\.?\d+", value) else None
    if word in _YES:
        return kind or None
    return activation(value, known)


def entry_text(kind: str, arguments: Mapping[str, str], params: Params) -> str:
    """An entry as one would type it: a word, one number alone, or names with values, in the signature's order."""
    names = [name for name in params if name in arguments]
    if not names:
        return kind
    value = arguments[names[0]]
    plain = re.fullmatch(r"…|[\d.e-]+|\$\w+|\"\$\{.*\}\"", value) is not None
    if len(names) == 1 and names[0] == next(iter(params)) and names[0] in _ALONE and plain:
        return f"{{{kind}: {value}}}"
    return f"{{{kind}: {{{', '.join(f'{name}: {arguments[name]}' for name in names)}}}}}"


# Main arguments that a reader takes for nothing else where they stand without their names.
_ALONE = ("channels", "features", "kernel", "p", "slope", "size", "groups", "factor")


def parse_call(word: str) -> tuple[str, list[tuple[str, str]]] | None:
    """A call in Python's form, as `nn.Conv2d(3, 64, bias=False)`: its name, and its arguments, those by place without a name."""
    match = re.fullmatch(r"([A-Za-z_][\w.]*)\((.{0,200}?)\)?", word.strip(), re.DOTALL)
    if match is None:
        return None
    given: list[tuple[str, str]] = []
    for part in re.split(r",(?![^(\[]*[)\]])", match[2])[:MOST_ARGUMENTS]:
        key, equals, value = part.partition("=")
        if part.strip():
            given.append((key.strip(), value.strip()) if equals and key.strip().isidentifier() else ("", part.strip()))
    functional = "." in match[1] and match[1].rpartition(".")[2].islower() and re.search(r"^(F|tf|torch|nn|jax|K)\.|functional\.", match[1])
    return match[1], given[1:] if functional and given[:1] and not given[0][0] else given  # a function's first argument is its input


def rewrite_call(name: str, layer: Alias, given: list[tuple[str, str]], known: Known) -> Rewritten:
    """A call in archc's words. Arguments by place are in the order that the name has elsewhere, or else in the layer's own."""
    order = _order(name) or tuple(known.params(layer.kind))
    places = iter(order)
    return _Rewriting(name, layer, known).run({key or next(places, "?"): value for key, value in given})


def named_arguments(argument: t.Tree | None) -> dict[str, str] | None:
    """The arguments by name, as texts. None where they are written without names."""
    if argument is None or (isinstance(argument, t.Scalar) and argument.value is None):
        return {}
    if not isinstance(argument, t.Mapping):
        return None
    return {str(key.value): value.span.text for key, value in argument.items}


def _order(word: str) -> tuple[str, ...]:
    return table().positions.get(word.rpartition(".")[2], ())


def _positional(word: str, layer: Alias, params: Params, argument: t.Tree | None) -> dict[str, str]:
    """What stands after a layer's name alone: its arguments in order, or the main one that the name leaves open."""
    assert argument is not None
    main = next((name for name in params if name not in layer.fixed), "")
    alone = table().alone.get(layer.kind, main)
    if layer.kind == "upsample" and isinstance(argument, t.Sequence) and "resiz" in fold(word) + "ing":
        return {"target_size": argument.span.text}
    as_list = params.get(main, "").rstrip("!") in ("sizes", "padding", "list", "shape") or alone == "num_features"
    if isinstance(argument, t.Sequence) and not as_list:
        return {name: item.span.text for name, item in zip(_order(word), argument.items, strict=False)}
    return {alone: argument.span.text} if alone else {}


def _merge(kind: str, branches: t.Sequence, known: Known) -> str:
    """A merge with a list: of branches, or of names of values."""
    names = [branch.value for branch in branches.items if isinstance(branch, t.Scalar) and isinstance(branch.value, str)]
    if names and len(names) == len(branches.items) and not any(name in known.kinds for name in names):
        return f"{{from: [{', '.join(names[:6])}{', …' * (len(names) > 6)}], {kind}: }}"
    text = branches.span.text
    return f"{{{kind}: {text if text.startswith('[') and len(text) <= 80 and chr(10) not in text else '[…, …]'}}}"


class _Rewriting:
    """One layer on its way: each argument goes among the new ones, into an entry of its own, or nowhere."""

    def __init__(self, word: str, layer: Alias, known: Known) -> None:
        self.word, self.layer, self.known = word, layer, known
        self.params = known.params(layer.kind)
        self.arguments: dict[str, str] = {}
        self.left: list[str] = []
        self.made = Rewritten(after=[layer.then] if layer.then else [], notes=[layer.note] if layer.note else [])

    def run(self, given: Mapping[str, str]) -> Rewritten:
        given = _paired(given)
        for name, text in list(given.items())[:MOST_ARGUMENTS]:
            self._place(name, text)
        self._as_theirs(given)
        if "size" in given and self.layer.kind == "conv" and self.arguments.get("padding") == "1":
            self.arguments["padding"] = "same"  # darknet's pad: half of the window
        for name, text in self.layer.fixed.items():
            if name in self.params:
                self.arguments.setdefault(name, text)
        self._same_padding()
        if self.layer.kind == "upsample" and not {"scale", "size"} & set(self.arguments):
            self.arguments["scale"] = "…"
        for name, of_type in self.params.items():
            if of_type.endswith("!"):
                self.arguments.setdefault(name, "…")
        self.made.text = entry_text(self.layer.kind, self.arguments, self.params)
        if self.layer.kind in MERGES and not self.arguments:
            self.made.text = f"{{{self.layer.kind}: }}"
        over = re.findall(r"\d+", given.get("normalized_shape", given.get("num_features", "")))
        if self.layer.kind == "layernorm" and len(over) > 1:
            self.made.notes.append("over the last axis alone")
        if self.left:
            self.made.notes.insert(0, f"{' and '.join(self.left[:3])} {'is' if len(self.left) == 1 else 'are'} inferred")
        return self.made

    def _as_theirs(self, given: Mapping[str, str]) -> None:
        """Values whose meaning, or whose absence, is another one elsewhere."""
        arguments = self.arguments
        if (
            self.layer.kind == "split"
            and re.fullmatch(r"(?!tf\.|np\.|jnp\.)\w+\.split", self.word)
            and arguments.get("parts", "").isdigit()
        ):
            arguments["parts"] = f'"${{input.channels // {arguments["parts"]}}}"'  # torch.split tells the size of a part
        if self.layer.kind == "lrn" and "depth_radius" in given and arguments.get("size", "").isdigit():
            # TensorFlow does not divide its sum by the size, and has other defaults
            arguments["alpha"] = times(arguments.get("alpha", "1"), int(arguments["size"])) or "…"
            arguments.setdefault("beta", "0.5")

    def _place(self, name: str, text: str) -> None:
        kind = self.layer.kind
        foreign = self.word != kind
        known = self.layer.arguments.get(fold(name))
        says = Says(known) if known is not None else find_argument(kind, name, self.params, foreign=foreign, own=True)
        value = as_written(text)
        if says.argument:
            self._set(says, name, value)
        elif says.inferred:
            self.left.append(name)
        elif says.next is not None:
            after = next_entry(says.next, value, self.known)
            at = 0 if says.next == "batchnorm" else len(self.made.after)  # a normalization stands before the activation
            self.made.after[at:at] = [after] if after else []
            self.made.notes.extend([f"{name} is an entry of its own"] if after is None else [])
        elif not says.say:
            self.made.notes.append(f"{name[:30]} is not known here")
        elif says.another:
            self.made.instead = self.made.instead or f"{name}: {says.say}"
        elif "leave it out" not in says.say:
            self.made.notes.append(f"{name}: {says.say}")

    def _set(self, says: Says, name: str, value: str | None) -> None:
        """One argument under archc's name, its value in archc's words."""
        if value is not None and says.by:
            value = CONVERSIONS[says.by](value, self.word)
        elif value is not None and says.argument != "padding":
            value = table().values.get((says.argument, fold(value.strip("'\""))), value)
        self.arguments.setdefault(says.argument, value if value is not None else "…")
        if says.argument == "act" and value is not None:
            self.arguments["act"] = activation(value, self.known) or ("identity" if value.lower() in _NO else value)

    def _same_padding(self) -> None:
        """`same` and `valid` as Keras, TensorFlow and PyTorch mean them: where the two halves differ, the larger is after."""
        kind, arguments = self.layer.kind, self.arguments
        said = arguments.get("padding", "").strip("'\"").lower()
        if said == "valid":
            arguments["padding"] = "0"
        if said in ("valid", "0") and kind in ("conv", "conv_transpose", "maxpool", "avgpool"):
            del arguments["padding"]
        elif said == "same" and kind == "conv_transpose":
            self._same_transposed()
        elif said == "same" and kind in ("conv", "maxpool", "avgpool") and self.word != kind:
            odd = re.fullmatch(r"\d*[13579]", arguments.get("kernel", "1")) is not None
            arguments["padding"] = "same" if kind == "conv" and odd and arguments.get("stride", "1") == "1" else "same_upper"
            if kind == "avgpool":
                arguments["count_padding"] = "false"

    def _same_transposed(self) -> None:
        """A transposed convolution whose output is `stride` times as large: what is more is cut, the smaller half before."""
        kernel, stride = self.arguments.get("kernel", "1"), self.arguments.get("stride", "1")
        del self.arguments["padding"]
        if not (kernel.isdigit() and stride.isdigit() and int(kernel) >= int(stride)):
            self.made.notes.append("for a map `stride` times as large, `crop` what is more")
            return
        more = int(kernel) - int(stride)
        if more and more % 2 == 0:
            self.arguments["padding"] = str(more // 2)
        elif more:
            low, high = more // 2, more - more // 2
            self.made.after.insert(0, f"{{crop: {{sides: [{low}, {high}, {low}, {high}]}}}}")


def _paired(given: Mapping[str, str]) -> dict[str, str]:
    """Caffe's `kernel_h` and `kernel_w` as one list, and the like; of one alone, the other is open."""
    found: dict[str, str] = {}
    for name, text in given.items():
        stem, _, side = name.rpartition("_")
        if side in ("h", "w") and stem in _SIDED:
            found.setdefault(stem, f"[{given.get(f'{stem}_h', '…')}, {given.get(f'{stem}_w', '…')}]")
        else:
            found[name] = text
    return found


_SIDED = ("kernel", "stride", "pad", "dilation")


def _choose(word: str, layer: Chosen, argument: t.Tree | None, known: Known) -> Rewritten | None:
    """A layer that an argument names, as in `{Pooling: {pool: MAX}}` or `{activation: relu}`."""
    given = named_arguments(argument)
    by = next((name for name in layer.by if given and name in given), None)
    said = given[by] if given and by else argument.span.text if isinstance(argument, t.Scalar) and given is None else ""
    if not layer.cases:
        text = activation(said, known) if said else None
        return Rewritten(text or "identity") if text is not None else None
    first = next(iter(layer.cases.values()))
    kind = layer.cases.get(fold(said.strip("'\"")))
    if by is None and kind is None and argument is not None and given is None:  # a number alone: of the commonest
        return rewrite(word, Alias(first), argument, known)
    if kind is None and said:
        return None
    kind = kind or first
    rest = {name: text for name, text in (given or {}).items() if name != by}
    if any(rest.get(name, "").lower() in _YES for name in layer.everywhere):
        return Rewritten(f"global_{kind}")
    rest = {name: text for name, text in rest.items() if name not in layer.everywhere}
    fixed = layer.fixed if by is not None and not any(name in rest for name in layer.unless) else {}
    return _Rewriting(word, Alias(kind, fixed), known).run(rest)
