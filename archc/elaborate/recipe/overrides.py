"""A recipe changed from outside: by a file, and by `key=value` on the command line. Read and checked as a spec's `train` is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

from archc.elaborate.blocks import axes_of
from archc.elaborate.recipe.checks import check_names, check_together
from archc.elaborate.recipe.reading import Rows, read_rows
from archc.elaborate.state import Closure, Context, Elaboration, ElaborationStopped, Place, Space
from archc.graph import Graph
from archc.language.functions import budget
from archc.language.spec import Spec
from archc.language.values import Mistake, as_tree
from archc.recipe.keys import DATA, KEYS, PARTS
from archc.recipe.recipe import Recipe, written
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics, SpecError
from archc.text.files import read_file
from archc.text.source import Source
from archc.text.suggest import did_you_mean

EXAMPLE = "write it as in optimizer.lr=0.1"
MAPPINGS = ("data", "stop", "heads", "rates", "unfreeze")


class Override(NamedTuple):
    """A setting from the command line: the option as it was written, what it sets, and its value as YAML.

    path: `optimizer.lr`; what follows the first dot is one argument, one name of an output or one pattern
    """

    option: str
    path: str
    text: str


class _Setting(NamedTuple):
    head: str
    rest: str
    key: t.Scalar
    tree: t.Tree


def recipe_with(
    graph: Graph, overrides: Sequence[str | Override] = (), file: str | PathLike[str] | None = None, *, known: bool = False
) -> Recipe:
    """The graph's recipe with what a file and then `overrides` say in its place: `key=YAML`, as in `optimizer.lr=0.1`.

    Whole settings go before parts of them, in whatever order they stand. `known`: the file is a run's, whose settings were held
    against each other and the network when they were written. Raises SpecError, whose text names the option or the file.
    """
    diagnostics = Diagnostics()
    run = _run(graph, diagnostics)
    recipe = graph.recipe
    budget.fill()
    try:
        if file is not None:
            recipe = _with_file(run, Path(fspath(file)), recipe, known)
        if not diagnostics.failed:
            settings = [setting for text in overrides if (setting := _setting(text, recipe, diagnostics)) is not None]
            recipe = _with_settings(run, settings, recipe)
    except ElaborationStopped:
        pass
    if diagnostics.failed:
        raise SpecError(diagnostics)
    return recipe


def _run(graph: Graph, diagnostics: Diagnostics) -> Elaboration:
    """An elaboration of nothing but the recipe, in which the parameters of the network have their values."""
    run = Elaboration(Spec(source=Source(graph.name, ""), name=graph.name), diagnostics)
    run.graph = graph
    params = {name: value for name, value in graph.params.items() if not isinstance(value, Closure)}
    place = Place(None, {name: (value,) for name, value in graph.inputs.items()}, (), 0)
    space = Space(graph.root, None)
    run.top = Context(space, space, {**axes_of(place.inputs), **params}, place)
    return run


def _with_file(run: Elaboration, path: Path, recipe: Recipe, known: bool) -> Recipe:
    """A file with the keys of a recipe, or with the one key `train`."""
    source = read_file(path, str(path), None, run.diagnostics)
    tree = t.parse(source, run.diagnostics) if source is not None else None
    if isinstance(tree, t.Mapping) and [key.value for key, _ in tree.items] == ["train"]:
        tree = tree.items[0][1]
    if tree is None or (isinstance(tree, t.Scalar) and tree.value is None):
        return recipe
    if not isinstance(tree, t.Mapping):
        run.error("A202", tree.span, "a recipe must be a mapping", "epochs: 20")
        return recipe
    rows = {str(key.value): (key, value) for key, value in tree.items}
    made = read_rows(run, rows, recipe)
    if made is None or known:
        return made or recipe
    return _check_recipe(run, rows, made, recipe, epochs=False)


def _with_settings(run: Elaboration, settings: list[_Setting], recipe: Recipe) -> Recipe:
    """Whole settings at once, then parts of them one by one."""
    known = recipe
    rows: dict[str, tuple[t.Scalar, t.Tree]] = {setting.head: (setting.key, setting.tree) for setting in settings if not setting.rest}
    recipe = read_rows(run, rows, recipe) or recipe
    for setting in settings:
        if setting.rest and not run.diagnostics.failed:
            try:
                rows[setting.head] = setting.key, _part_of(setting, recipe)
            except Mistake as mistake:
                run.mistake(mistake)
                continue
            recipe = read_rows(run, {setting.head: rows[setting.head]}, recipe) or recipe
    return recipe if run.diagnostics.failed else _check_recipe(run, rows, recipe, known, epochs=True)


def _check_recipe(run: Elaboration, rows: Rows, recipe: Recipe, known: Recipe, epochs: bool) -> Recipe:
    check_together(run, rows, recipe, epochs)
    check_names(run, rows, recipe, lambda tree: True, known)
    return recipe


def _setting(text: str | Override, recipe: Recipe, diagnostics: Diagnostics) -> _Setting | None:
    """What an option sets; None after a mistake."""
    if isinstance(text, Override):
        source = Source(text.option, text.text)
        return _made(source, text.path, start=0, end=len(text.text), value=0, recipe=recipe, diagnostics=diagnostics)
    name, equals, _ = text.partition("=")
    source = Source(f"--train {name}".strip(), text)
    if not equals:
        diagnostics.error("A202", t.Scalar(source, 0, len(text), text).span, "there is no = between the key and its value", EXAMPLE)
        return None
    return _made(source, name.strip(), start=0, end=len(name), value=len(name) + 1, recipe=recipe, diagnostics=diagnostics)


def _made(source: Source, path: str, *, start: int, end: int, value: int, recipe: Recipe, diagnostics: Diagnostics) -> _Setting | None:
    head, dot, rest = path.partition(".")
    key = t.Scalar(source, start, end, head)
    if dot and not rest:
        diagnostics.error("A202", key.span, "there is no name after the dot", EXAMPLE)
        return None
    if head not in KEYS:
        diagnostics.error("A201", key.span, f'unknown key "{head}" in a recipe', _unknown(head, recipe))
        return None
    tree = t.parse_part(source, value, len(source.text), diagnostics)
    return _Setting(head, rest, key, tree) if tree is not None else None


def _unknown(head: str, recipe: Recipe) -> str:
    """What an unknown key may have meant."""
    if head in recipe.optimizer.options:
        return f"write optimizer.{head}=…"
    if head in DATA.params:
        return f"write data.{head}=…"
    from archc.aliases.entries import setting_hint

    return setting_hint(head) or did_you_mean(head, KEYS) or f"there are {', '.join(KEYS)}"


def _part_of(setting: _Setting, recipe: Recipe) -> t.Tree:
    """The whole setting with one part of it changed, as if it were written. Raises Mistake."""
    head, name, key, tree = setting
    plain = written(recipe)[head]
    where = t.Scalar(tree.source, key.start, key.end, head)
    if head in MAPPINGS:
        return _join_mapping(plain or {}, name, where, tree)
    if head in PARTS:
        return _chosen(plain, name, where, tree)
    if head != "augment":
        raise Mistake("A202", key.span, f"{head} has no parts", f"write {head}=…")
    which, _, argument = name.partition(".")
    names = [_name(part) for part in plain]
    if names.count(which) != 1 or not argument:
        hint = did_you_mean(which, names) or f"augment has {', '.join(names) or 'none'}; write augment=[flip, …]"
        raise Mistake("A302", key.span, f'"{which}" does not appear exactly once in augment', hint)
    items = [_chosen(part, argument, where, tree) if _name(part) == which else as_tree(part, where) for part in plain]
    return t.Sequence(where.source, where.start, where.end, items)


def _name(plain: Any) -> str:
    return plain if isinstance(plain, str) else str(next(iter(plain)))


def _chosen(plain: Any, name: str, where: t.Scalar, tree: t.Tree) -> t.Mapping:
    """`{adamw: {lr: …}}` with one argument changed."""
    kind = _name(plain)
    options = {} if isinstance(plain, str) else plain[kind]
    inner = _join_mapping(options, name.removeprefix(f"{kind}."), where, tree)
    return t.Mapping(where.source, where.start, where.end, [(t.Scalar(where.source, where.start, where.end, kind), inner)])


def _join_mapping(plain: dict[str, Any], name: str, where: t.Scalar, tree: t.Tree) -> t.Mapping:
    source, start, end = where.source, where.start, where.end
    rows: Iterable[tuple[str, t.Tree]] = [(key, as_tree(part, where)) for key, part in plain.items() if key != name] + [(name, tree)]
    return t.Mapping(source, start, end, [(t.Scalar(source, start, end, key), value) for key, value in rows])
