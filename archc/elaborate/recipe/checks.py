"""What a recipe's settings say together, and of the network: names of outputs, patterns over names of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from archc.elaborate.initial import Tensors, is_learned, likely_patterns, such_as
from archc.elaborate.state import Elaboration
from archc.language.functions import budget
from archc.language.values import Mistake
from archc.recipe.recipe import Recipe
from archc.recipe.recipe import matching as matching
from archc.text import tree as t
from archc.text.source import Span
from archc.text.suggest import did_you_mean

Rows = Mapping[str, tuple[t.Scalar, t.Tree]]
Held = Callable[[t.Tree], bool]  # whether what is named at a place must be there: not where it was inherited


class Found:
    """Where a setting was written: its value, or a part of it."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def of(self, *names: str) -> Span | None:
        """The first of some settings that was written, or the part under a name in it."""
        return next((self.rows[name][1].span for name in names if name in self.rows), None)

    def inside(self, name: str, part: str) -> Span:
        """An argument of what a key chooses, `at` in `schedule: {step: {at: …}}`, or all of it."""
        tree = self.rows[name][1]
        inner = tree.items[0][1] if isinstance(tree, t.Mapping) and tree.items else tree
        found = inner.get(part) if isinstance(inner, t.Mapping) else None
        return (found or tree).span


def check_together(run: Elaboration, rows: Rows, recipe: Recipe, epochs: bool = True) -> None:
    """Settings that are each right and do not go together. `epochs`: also what would come after the last one."""
    for check in (_mixing, _check_accumulate, _cycle, *((_warmup, _drops, _unfrozen) if epochs else ())):
        mistake = check(Found(rows), recipe)
        if mistake is not None:
            run.mistake(mistake)


def _mixing(found: Found, recipe: Recipe) -> Mistake | None:
    which = "mixup" if recipe.mixup else "cutmix" if recipe.cutmix else ""
    span = found.of(which, "loss")
    if not which or recipe.loss.name in ("cross_entropy", "bce") or span is None:
        return None
    what = f"{which} works with the losses over classes, cross_entropy and bce, not with {recipe.loss.name}"
    return Mistake("A404", span, what, f"loss: cross_entropy, or {which}: 0")


def _check_accumulate(found: Found, recipe: Recipe) -> Mistake | None:
    span = found.of("accumulate", "batch")
    if recipe.batch % recipe.accumulate == 0 or span is None:
        return None
    nearest = max(recipe.batch // recipe.accumulate, 1) * recipe.accumulate
    what = f"a batch of {recipe.batch:,} cannot be divided into {recipe.accumulate:,} passes"
    return Mistake("A404", span, what, f"write batch: {nearest}; it is the batch of a whole step")


def _cycle(found: Found, recipe: Recipe) -> Mistake | None:
    span = found.of("warmup", "schedule")
    if not recipe.warmup or recipe.schedule.name != "one_cycle" or span is None:
        return None
    return Mistake("A404", span, "one_cycle already has a rise of its own", "remove warmup; set the rise by {one_cycle: {pct_start: 0.3}}")


def _warmup(found: Found, recipe: Recipe) -> Mistake | None:
    span = found.of("warmup")
    if span is None or recipe.warmup < recipe.epochs:
        return None
    return Mistake(
        "A404",
        span,
        f"a warm-up of {recipe.warmup:g} epochs is too long for {recipe.epochs} epochs",
        f"write fewer than {recipe.epochs}, or more epochs",
    )


def _drops(found: Found, recipe: Recipe) -> Mistake | None:
    late = [epoch for epoch in recipe.schedule.options.get("at") or () if epoch >= recipe.epochs]
    if not late or found.of("schedule") is None:
        return None
    what = f"a drop at epoch {late[0]:g}, after the last of {recipe.epochs}"
    return Mistake("A404", found.inside("schedule", "at"), what, f"epochs count from 0: write one below {recipe.epochs}, or more epochs")


def _unfrozen(found: Found, recipe: Recipe) -> Mistake | None:
    late = [epoch for epoch in recipe.unfreeze if epoch >= recipe.epochs]
    if not late or "unfreeze" not in found.rows:
        return None
    span = next((key.span for key, _, _ in _written(found.rows, "unfreeze") if key.value == str(late[0])), found.rows["unfreeze"][0].span)
    return Mistake(
        "A404",
        span,
        f"epoch {late[0]} comes after the last of {recipe.epochs}",
        "epochs count from 0: write an earlier one, or more epochs",
    )


def _written(rows: Rows, name: str) -> Iterator[tuple[t.Scalar, t.Tree, Span]]:
    """The pairs of a mapping."""
    tree = rows[name][1] if name in rows else None
    for key, value in tree.items if isinstance(tree, t.Mapping) else ():
        yield key, value, key.span


def check_names(run: Elaboration, rows: Rows, recipe: Recipe, held: Held, known: Recipe | None = None) -> None:
    """Outputs that `heads` names, tensors that patterns name. `known` is a recipe that was checked already."""
    _check_heads(run, rows, held, known)
    patterns = [row for row in _patterns(rows, recipe) if known is None or row[0] not in _all_patterns(known)]
    if not patterns and "freeze" not in rows:
        return
    tensors = Tensors(run.graph)
    names = [tensor.name for tensor in tensors.all if is_learned(tensor)]
    for pattern, span, tree in patterns:
        if not _match_names(run, pattern, names, tensors, span) and held(tree):
            run.error("A303", span, f'no learned tensor has a name like "{pattern}"', _hint(pattern, names, tensors))
    if "freeze" in rows and names and not recipe.unfreeze:
        span = rows["freeze"][1].span
        if len({name for pattern in recipe.freeze for name in _match_names(run, pattern, names, tensors, span)}) == len(names):
            run.error("A404", span, "with all tensors frozen, nothing is left to learn", "freeze fewer, or `unfreeze` some")


def _match_names(run: Elaboration, pattern: str, names: list[str], tensors: Tensors, span: Span) -> list[str]:
    """The names that a pattern fits; work is charged."""
    if not budget.take(tensors.characters * (len(pattern) + 10)):
        run.error("A603", span, "too many names to compare with patterns", "write fewer patterns")
    return list(filter(matching(pattern), names))


def _check_heads(run: Elaboration, rows: Rows, held: Held, known: Recipe | None) -> None:
    names = [*run.graph.heads, *list(run.graph.outputs)[1:]]
    for key, tree, span in _written(rows, "heads"):
        name = str(key.value)
        if name in names or not held(tree) or (known is not None and name in known.heads):
            continue
        if name in run.graph.outputs:
            run.error("A404", span, f'"{name}" is the first output, whose loss always has weight 1', "set weights for the other outputs")
            continue
        hint = did_you_mean(name, names) or (f"there are {', '.join(names[:5])}" if names else "this network has only one output")
        run.error("A303", span, f'no other output is called "{name}"', hint)


def _patterns(rows: Rows, recipe: Recipe) -> Iterator[tuple[str, Span, t.Tree]]:
    """Each pattern that was written, and where it stands."""
    for key, _, span in _written(rows, "rates"):
        yield str(key.value), span, key
    lists = [(rows["freeze"][1], recipe.freeze)] if "freeze" in rows else []
    lists += [(tree, recipe.unfreeze.get(int(str(key.value)), ())) for key, tree, _ in _written(rows, "unfreeze")]
    for tree, patterns in lists:
        for at, pattern in enumerate(patterns):
            item = tree.items[at] if isinstance(tree, t.Sequence) else tree
            yield pattern, item.span, item


def _all_patterns(recipe: Recipe) -> set[str]:
    return {*recipe.rates, *recipe.freeze, *(pattern for patterns in recipe.unfreeze.values() for pattern in patterns)}


def _hint(pattern: str, names: list[str], tensors: Tensors) -> str:
    fits = matching(pattern)
    if any(fits(tensor.name) for tensor in tensors.all):
        return "it is a buffer, which is stored but not learned"
    below = f"{pattern.removeprefix('.').rstrip('.')}.*"
    if any(map(matching(below), names)):
        return f'write "{below}" for the tensors in it'
    plain = [name.removeprefix(".") for name in tensors.names]
    near = did_you_mean(pattern, [*_levels(plain), *likely_patterns(plain), *plain])
    return near or such_as(plain)


def _levels(names: list[str]) -> list[str]:
    """Patterns over all that is in a layer or a group of layers."""
    heads = {".".join(parts[:many]) for name in names for parts in [name.split(".")] for many in range(1, len(parts))}
    return sorted(f"{head}.*" for head in heads)
