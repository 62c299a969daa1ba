"""Arguments: what was written, evaluated and bound to a signature."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from archc.elaborate.hints import explain_mistake, meant, several, star_hint
from archc.elaborate.state import Closure, Context, Elaboration
from archc.elaborate.unknown import suggest_argument, suggest_example, suggest_value
from archc.language.entries import Entry
from archc.language.functions import Unknown
from archc.language.values import Mistake, charge_walk, evaluate, is_entry, is_expression, names_in, written
from archc.signature import ANY, MISSING, Param, Signature, bind, shown
from archc.text import tree as t
from archc.text.source import Span

Trees = dict[str, t.Tree]
Instead = Callable[[Any], str | None]
THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
LISTS = ("shape", "sizes", "factors", "padding", "list", "layer", "any", "unknown")  # types that take a list, or anything


def arguments_of(run: Elaboration, entry: Entry, signature: Signature, what: str, context: Context) -> Trees | None:
    """The written arguments by name: a mapping names them, anything else is the main one. None after a mistake."""
    tree = entry.argument
    if tree is None or (isinstance(tree, t.Scalar) and tree.value is None and not tree.quoted):
        return {}
    if not isinstance(tree, t.Mapping):
        main = signature.main
        if main is None:
            takes = f"{what} takes no value without an argument name" if signature.params else f"{what} takes no arguments"
            run.error("A302", tree.span, takes, signature.nameless or f"write `{entry.kind}`", context.place)
            return None
        return {main.name: tree}
    found: Trees = {}
    good = not tree.broken
    given = [str(key.value) for key, _ in tree.items]
    for key, value in tree.items:
        if key.value in signature.params:
            found[str(key.value)] = value
        else:
            good = False
            hint = suggest_argument(run, entry, kind=entry.kind, key=key, value=value, given=given, signature=signature, context=context)
            run.error("A302", key.span, f'{what} has no argument "{key.value}"', hint, context.place)
    if not good:  # the others are checked all the same
        bound(
            run,
            entry,
            signature=Signature({name: signature.params[name] for name in found}),
            trees=found,
            preset={},
            what=what,
            context=context,
        )
        return None
    return found


def bound(
    run: Elaboration,
    entry: Entry,
    *,
    signature: Signature,
    trees: Trees,
    preset: dict[str, Any],
    what: str,
    context: Context,
    instead: Instead | None = None,
) -> dict[str, Any] | None:
    """Every argument, evaluated and checked. None where one is wrong or unknown.

    `instead`: what to write for a value without a name that would be read otherwise elsewhere
    """
    given: dict[str, Any] = {}
    known = True
    for name, tree in trees.items():
        value = argument(run, tree, signature.params[name], context)
        if value is MISSING:
            known = False
        given[name] = value
    if not known:
        preset = dict.fromkeys(signature.params) | preset
        given = {name: value for name, value in given.items() if value is not MISSING}
        signature = Signature({name: param for name, param in signature.params.items() if name in given})
    args, faults = bind(signature, given, preset)
    missing = [fault for fault in faults if fault.code == "A403"]
    if missing:
        names = " and ".join(f'"{fault.argument}"' for fault in missing)
        message = missing[0].message if len(missing) == 1 else f"needs {names}"
        run.error(
            "A403",
            entry.kind_span,
            f"{what} {message}",
            suggest_example(entry, [fault.argument or "" for fault in missing], signature),
            context.place,
        )
    for fault in faults:
        tree_of = trees.get(fault.argument or "")
        if fault.code != "A403":
            value = given.get(fault.argument or "")
            hint = star_hint(signature.params.get(fault.argument or ""), value) or meant(tree_of, value, context)
            hint = hint or (_bare_hint(entry, signature, value, instead) if tree_of is entry.argument else None)
            hint = hint or suggest_value(entry.kind, fault.argument, signature.params.get(fault.argument or ""), value)
            span = tree_of.span if tree_of is not None else entry.kind_span
            run.error(fault.code, span, fault.message, hint or fault.hint, context.place)
    if faults or not known or (instead is not None and _is_unclear(run, entry, given, what, context, instead)):
        return None
    return args


def _is_unclear(run: Elaboration, entry: Entry, given: Mapping[str, Any], what: str, context: Context, instead: Instead) -> bool:
    """Whether a value stands without a name that would be read otherwise elsewhere. An expression has names that tell."""
    tree = entry.argument
    if tree is None or len(given) != 1 or isinstance(tree, t.Mapping) or names_in(tree):
        return False
    value = next(iter(given.values()))
    hint = instead(value)
    if hint is not None:
        run.error("A402", tree.span, f"{shown(value)} without a name can mean two things to {what}", hint, context.place)
    return hint is not None


def _bare_hint(entry: Entry, signature: Signature, value: Any, instead: Instead | None) -> str | None:
    """What to write in place of a value without a name that is of the wrong type: several arguments each have a name."""
    hint = instead(value) if instead is not None else None
    hint = hint or several(entry.kind, signature, value)
    main = signature.main
    if isinstance(value, str) and (numbers := re.fullmatch(r"\d+((\s*,\s*|\s+)\d+)+", value.strip())) and not THOUSANDS.fullmatch(value):
        return _bare_hint(entry, signature, [int(number) for number in re.findall(r"\d+", numbers[0])], instead)
    if hint is not None or main is None or not isinstance(value, list) or main.type.name in LISTS:
        return hint
    if len(value) == 1:
        return f"write {{{entry.kind}: {shown(value[0])}}}"
    named = [f"{name}: {shown(part)}" for name, part in zip(signature.params, value, strict=False)]
    return f"name each: {{{entry.kind}: {{{', '.join(named)}}}}}" if 1 < len(value) <= len(signature.params) else None


def argument(run: Elaboration, tree: t.Tree, param: Param, context: Context) -> Any:
    """The value of one argument; MISSING after a mistake."""
    try:
        if param.type.name == "layer":
            return layer_argument(tree, context)
        if param.type is ANY and isinstance(tree, t.Mapping):
            return Closure(tree, context)
        return evaluate(tree, context.env)
    except Mistake as mistake:
        run.mistake(explain_mistake(mistake, context), context.place)
    except Unknown:
        pass
    return MISSING


def layer_argument(tree: t.Tree, context: Context) -> Any:
    """An entry with its place; a `$name` that is one already is handed on; null is no layer."""
    if isinstance(tree, t.Scalar) and tree.value is None:
        return None
    if is_expression(tree):
        value = written(tree).work(context.env)
        if value is None or isinstance(value, Closure):
            return value
        if not is_entry(charge_walk(value, tree)):
            raise Mistake("A402", tree.span, f"{shown(value)} is not a layer", "write a layer, as in `relu`")
    return Closure(tree, context)


def origins(run: Elaboration, kind: str, signature: Signature, trees: Trees) -> dict[str, tuple[Span, str]]:
    """Where each argument that was not left to its default was written, and how."""
    found = {name: (tree.span, "") for name, tree in trees.items()}
    if kind in run.spec.defaults:
        for key, tree in run.spec.defaults[kind][1].items:
            found.setdefault(str(key.value), (tree.span, "defaults"))
    return found


def preset_of(run: Elaboration, kind: str, signature: Signature) -> dict[str, Any]:
    """What `defaults` says of a layer or block, evaluated in the spec's own names, once."""
    if kind in run.presets:
        return run.presets[kind]
    found: dict[str, Any] = {}
    run.presets[kind] = found
    context = run.top
    assert context is not None
    if kind in run.spec.defaults:
        for key, tree in run.spec.defaults[kind][1].items:
            name = str(key.value)
            if name not in signature.params:
                given = [str(other.value) for other, _ in run.spec.defaults[kind][1].items]
                suggested = suggest_argument(run, None, kind=kind, key=key, value=tree, given=given, signature=signature, context=None)
                run.error("A302", key.span, f'{kind} has no argument "{name}"', suggested)
                continue
            value = argument(run, tree, signature.params[name], context)
            if value is not MISSING:
                accepted = signature.params[name].type.accept(value)
                if accepted is MISSING:
                    hint = meant(tree, value, context) or suggest_value(kind, name, signature.params[name], value)
                    run.error("A402", tree.span, f"{name} is {shown(value)}, not {signature.params[name].type.expected}", hint)
                else:
                    found[name] = value
    return found
