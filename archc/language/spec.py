"""The document: a spec's top-level keys, what it inherits, the blocks that it uses."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from archc.language import citation
from archc.language.blocks import RULE, Block, check_chain, is_name, read_blocks, unknown_keys
from archc.language.budget import FIGURES
from archc.language.entries import Chain, read_chain
from archc.language.variants import read_variants
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.source import Source, Span
from archc.text.suggest import did_you_mean, nearest

KEYS = {
    "archc": "the version of the language, 1",
    "name": "the network's name; the file's name unless given",
    "doc": "what it is",
    "paper": "where it was published: title, authors, venue, year, url",
    "extends": "a spec to inherit from: a file, or the name of one that ships",
    "use": "files of blocks, or `package:file.yaml`",
    "input": "the shape of the input without a batch axis, or a mapping of names to shapes",
    "sizes": "numbers for the open sizes of inputs, where no others are given: {H: 224, W: 224}",
    "params": "named values, changed by `--set name=value`",
    "expect": "what `archc check` compares: parameters, macs, …",
    "budget": "what it may cost: limits that `archc check` holds it to",
    "published": "figures that others print of it, for `archc explain --paper`",
    "defaults": "default arguments of layers and blocks, for the whole spec",
    "init": "how weights begin: layers and names of tensors to initializers",
    "rename": "what files of weights call otherwise: `s/pattern/replacement/`, as of `archc build --rename`",
    "blocks": "blocks of the spec's own",
    "layers": "the network",
    "outputs": "the values that come out; the last layer unless given",
    "train": "how it is trained: data, batch, epochs, optimizer, schedule, …",
    "variants": "the family: names to what each member changes",
}
METRICS = {
    **citation.COUNTED,
    "params": "learned values",
    "shape": "the output's shape",
    "channels": "the output's channels",
    "unused": "learned values that lead to no output",
}
NETWORK = (
    "input",
    "sizes",
    "params",
    "defaults",
    "blocks",
    "use",
    "layers",
    "outputs",
)  # what changes the network of a spec that is extended


Reader = Callable[["Spec", t.Scalar, t.Tree, Diagnostics], None]


@dataclass(slots=True, kw_only=True, eq=False)
class Spec:
    """A spec with all that it inherits. Trees know the file in which they stand.

    sources: the texts of the spec and of all that it builds on
    superseded: those whose promises are of another network, with the `extends` of the spec that changed it
    cleared: those whose promises are not kept at all
    no_params, no_blocks: some were refused, so that an unknown one may be among them
    base_name, base_input: of the spec that this extends
    """

    source: Source
    name: str
    doc: str = ""
    paper: citation.Paper = field(default_factory=citation.Paper)
    published: list[citation.Claim] = field(default_factory=list)
    input: t.Tree | None = None
    sizes: dict[str, tuple[t.Scalar, t.Tree]] = field(default_factory=dict)
    params: dict[str, tuple[t.Scalar, t.Tree]] = field(default_factory=dict)
    expect: dict[str, tuple[t.Scalar, t.Tree]] = field(default_factory=dict)
    defaults: dict[str, tuple[t.Scalar, t.Mapping]] = field(default_factory=dict)
    init: dict[str, tuple[t.Scalar, t.Tree]] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    layers: Chain | None = None
    layers_span: Span | None = None
    outputs: t.Tree | None = None
    rename: tuple[str, ...] = ()
    train: dict[str, tuple[t.Scalar, t.Tree]] = field(default_factory=dict)
    budget: dict[str, tuple[t.Scalar, t.Tree]] = field(default_factory=dict)
    variants: dict[str, tuple[t.Scalar, t.Mapping]] = field(default_factory=dict)
    no_params: bool = False
    no_blocks: bool = False
    sources: frozenset[Source] = frozenset()
    superseded: dict[Source, Span] = field(default_factory=dict)
    cleared: frozenset[Source] = frozenset()
    base_name: str = ""
    base_input: t.Tree | None = None


def read_spec(
    tree: t.Tree,
    source: Source,
    base: Spec | None,
    used: dict[str, Block],
    diagnostics: Diagnostics,
    sources: frozenset[Source] = frozenset(),
) -> Spec | None:
    """The spec of a tree, over what it extends and the blocks that it uses; `sources` are the texts of those blocks."""
    if not isinstance(tree, t.Mapping):
        empty = isinstance(tree, t.Scalar) and tree.value is None
        message = "an empty spec" if empty else "a spec must be a mapping"
        diagnostics.error("A202", tree.span, message, "a spec begins with `archc: 1`; `archc new` writes one")
        return None
    _check_keys(tree, diagnostics)
    spec = _inherit(base, source)
    if base is not None:
        spec.base_name, spec.base_input = base.name, base.input
    spec.blocks.update(used)
    for key, value in tree.items:
        read = _READERS.get(str(key.value))
        if read is not None:
            read(spec, key, value, diagnostics)
    if base is not None:
        _check_params(tree, base, diagnostics)
        _supersede(spec, tree, base)
    spec.sources |= {source} | sources
    _check_missing(spec, tree, diagnostics)
    return spec


def _supersede(spec: Spec, tree: t.Mapping, base: Spec) -> None:
    """A spec that changes the network makes what was promised of it outdated; one that changes nothing takes what was printed of it."""
    extends = tree.get("extends")
    changed = any(tree.get(key) is not None for key in NETWORK)
    if changed and extends is not None:
        spec.superseded |= dict.fromkeys(base.sources, extends.span)
    if not changed and all(tree.get(key) is None for key in ("init", "train", "published")):
        spec.published = base.published


def _check_missing(spec: Spec, tree: t.Mapping, diagnostics: Diagnostics) -> None:
    """`input` and `layers` must be there, unless a misspelled or refused key may be what is missing."""
    examples = {"input": "`input: [3, 224, 224]`", "layers": "`layers: [{conv: 64}, relu]`"}
    unknown = [str(key.value) for key, _ in tree.items if key.value not in KEYS]
    misspelled = [name for word in unknown for name in (*nearest(word, KEYS), *_meant(word))]
    missing = [name for name in examples if getattr(spec, name) is None and tree.get(name) is None and name not in misspelled]
    if missing and not tree.broken:
        message = f"the spec has no {' and no '.join(f'`{name}`' for name in missing)}"
        span = tree.items[0][0].span if tree.items else tree.span
        diagnostics.error("A204", span, message, "add " + " and ".join(examples[name] for name in missing))


def _meant(word: str) -> tuple[str, ...]:
    """The key that a word of another framework means."""
    from archc.aliases.entries import key_meant

    return (key_meant(word),)


def _check_keys(tree: t.Mapping, diagnostics: Diagnostics) -> None:
    unknown_keys(tree, tuple(KEYS), diagnostics, "a spec")
    version = tree.get("archc")
    if version is not None and (not isinstance(version, t.Scalar) or version.value != 1 or isinstance(version.value, bool)):
        diagnostics.error("A202", version.span, "not a version of the language", "archc: 1")


def _inherit(base: Spec | None, source: Source) -> Spec:
    name = re.sub(r"\.ya?ml$", "", re.split(r"[\\/]", source.name)[-1]) or "network"
    if base is None:
        return Spec(source=source, name=name)
    return Spec(
        source=source,
        name=base.name,
        doc=base.doc,
        paper=base.paper,
        published=[],  # what was printed of the base was not printed of this
        input=base.input,
        sizes=dict(base.sizes),
        params=dict(base.params),
        expect=dict(base.expect),
        defaults=dict(base.defaults),
        init=dict(base.init),
        blocks=dict(base.blocks),
        layers=base.layers,
        layers_span=base.layers_span,
        outputs=base.outputs,
        rename=base.rename,
        train=dict(base.train),
        budget=dict(base.budget),
        no_params=base.no_params,
        no_blocks=base.no_blocks,
        sources=base.sources,
        superseded=dict(base.superseded),
        cleared=base.cleared,
    )


def _check_params(tree: t.Mapping, base: Spec, diagnostics: Diagnostics) -> None:
    """A parameter that the base has not, in a spec that adds nothing that could read it, is misspelled."""
    params = tree.get("params")
    if not isinstance(params, t.Mapping) or any(tree.get(key) is not None for key in ("layers", "blocks", "input", "defaults", "init")):
        return
    for key, _ in params.items:
        if key.value not in base.params and not base.no_params:
            hint = did_you_mean(str(key.value), base.params) or f"it has {', '.join(base.params) or 'none'}"
            diagnostics.error("A307", key.span, f'{base.name}, which this extends, has no parameter "{key.value}"', hint)


def _text(attribute: str) -> Reader:
    def read(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
        if not isinstance(value, t.Scalar) or isinstance(value.value, bool) or value.value is None:
            diagnostics.error(
                "A202", value.span if value.end > value.start else key.span, f"{attribute} must be a text", "write one, or remove the key"
            )
        else:
            setattr(spec, attribute, str(value.value).strip())

    return read


def _tree(attribute: str) -> Reader:
    def read(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
        setattr(spec, attribute, value)

    return read


def _read_paper(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    spec.paper = citation.read_paper(value, diagnostics)


def _read_published(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    spec.published = citation.read_published(value, diagnostics)


def is_null(tree: t.Tree) -> bool:
    """Whether nothing was written."""
    return isinstance(tree, t.Scalar) and tree.value is None


def _rows(value: t.Tree, key: t.Scalar, what: str, diagnostics: Diagnostics) -> list[tuple[t.Scalar, t.Tree]]:
    if isinstance(value, t.Mapping):
        return value.items
    if not is_null(value):
        diagnostics.error("A202", value.span, f"{key.value} must be a mapping of {what}", _EXAMPLES[str(key.value)])
    return []


_EXAMPLES = {
    "params": "params: {classes: 1000}",
    "sizes": "sizes: {H: 224, W: 224}",
    "expect": "expect: {parameters: 25.6M}",
    "budget": 'budget: {parameters: "<= 5M", train_memory: "<= 8GiB @ batch 64"}',
    "defaults": "defaults: {batchnorm: {eps: 0.001}}",
    "init": "init: {conv: kaiming_normal}",
    "train": "train: {data: digits, epochs: 20, optimizer: {adamw: {lr: 0.001}}}",
}


def _read_sizes(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    spec.sizes.update({str(name.value): (name, size) for name, size in _rows(value, key, "names of open sizes to numbers", diagnostics)})


def _read_params(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    rows = _rows(value, key, "names to values", diagnostics)
    spec.no_params |= value.broken if isinstance(value, t.Mapping) else not is_null(value)
    for name, default in rows:
        if is_name(name.value):
            spec.params[str(name.value)] = name, default
        else:
            spec.no_params = True
            diagnostics.error("A306", name.span, f'"{name.value}" cannot be the name of a parameter', RULE)


def _is_null(value: t.Tree) -> bool:
    return isinstance(value, t.Scalar) and value.value is None and not value.quoted


def _read_expect(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    """Figures; null takes back one that was inherited, or all of them."""
    if _is_null(value):
        spec.expect.clear()
        spec.cleared |= spec.sources
    for name, wanted in _rows(value, key, "figures", diagnostics):
        if name.value not in METRICS:
            hint = did_you_mean(str(name.value), METRICS) or f"there are {', '.join(METRICS)}"
            diagnostics.error("A201", name.span, f'"{name.value}" is not a figure', hint)
            continue
        metric = "parameters" if name.value == "params" else str(name.value)
        if _is_null(wanted):
            spec.expect.pop(metric, None)
        else:
            spec.expect[metric] = name, wanted


def _read_budget(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    for name, limit in _rows(value, key, "figures to limits", diagnostics):
        if name.value in FIGURES:
            spec.budget[str(name.value)] = name, limit
        else:
            hint = did_you_mean(str(name.value), FIGURES) or f"there are {', '.join(FIGURES)}"
            diagnostics.error("A201", name.span, f'"{name.value}" is not a figure of a budget', hint)


def _read_defaults(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    for name, arguments in _rows(value, key, "layers to arguments", diagnostics):
        if isinstance(arguments, t.Mapping):
            spec.defaults[str(name.value)] = name, arguments
        else:
            diagnostics.error("A202", arguments.span, f"defaults of {name.value} must be a mapping", f"{name.value}: {{argument: value}}")


def _read_init(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    for what, how in _rows(value, key, "layers and tensors to initializers", diagnostics):
        name = what.value if isinstance(what.value, str) else what.span.text
        spec.init.pop(name, None)  # rules stand in the order of their writing
        spec.init[name] = what, how


def _read_train(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    """Which keys there are is known to archc/recipe; elaboration checks them."""
    spec.train.update({str(name.value): (name, setting) for name, setting in _rows(value, key, "settings", diagnostics)})


def _read_rename(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    """Rules as they stand: whoever loads weights reads them."""
    items = value.items if isinstance(value, t.Sequence) else [value]
    wrong = next((item for item in items if not isinstance(item, t.Scalar) or not str(item.value).startswith("s")), None)
    if wrong is not None and not (is_null(value) or (isinstance(value, t.Sequence) and not items)):
        diagnostics.error("A202", wrong.span, "not a rule that renames", "rename: [s/^backbone//]")
    else:
        spec.rename = tuple(str(item.value) for item in items if isinstance(item, t.Scalar) and item.value is not None)


def _read_variants(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    spec.variants = read_variants(value, diagnostics)


def _read_blocks(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    spec.no_blocks |= value.broken if isinstance(value, t.Mapping) else not is_null(value)
    if not is_null(value):
        spec.blocks.update(read_blocks(value, diagnostics, in_spec=True))


def _read_layers(spec: Spec, key: t.Scalar, value: t.Tree, diagnostics: Diagnostics) -> None:
    spec.layers = read_chain(value, diagnostics, key.span)
    spec.layers_span = key.span
    if spec.layers is not None:
        if not spec.layers.entries and not spec.layers.broken:
            diagnostics.error("A204", key.span, "no layers", "add one, as in `- {conv: 64}`")
        check_chain(spec.layers, diagnostics)


_READERS: dict[str, Reader] = {
    "name": _text("name"),
    "doc": _text("doc"),
    "paper": _read_paper,
    "published": _read_published,
    "input": _tree("input"),
    "sizes": _read_sizes,
    "outputs": _tree("outputs"),
    "train": _read_train,
    "params": _read_params,
    "expect": _read_expect,
    "budget": _read_budget,
    "defaults": _read_defaults,
    "init": _read_init,
    "rename": _read_rename,
    "variants": _read_variants,
    "blocks": _read_blocks,
    "layers": _read_layers,
}
