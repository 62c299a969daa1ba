"""`variants`: the members of a family that stand in one file, each a spec that changes the one around it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from archc.language.blocks import unknown_keys
from archc.text import tree as t
from archc.text.diagnostics import Diagnostics
from archc.text.files import read_file
from archc.text.source import Source, Span
from archc.text.suggest import did_you_mean

if TYPE_CHECKING:
    from archc.language.spec import Spec

VARIANT_KEYS = ("doc", "paper", "params", "input", "expect", "budget", "published", "init", "train")
MOST_VARIANTS = 100
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_FORM = "variants: {big: {params: {depth: 50}, expect: {parameters: 25.6M}}}"


def split_address(named: str) -> tuple[str, str]:
    """`file.yaml:variant` as the file and the variant; the whole and nothing for any other text, and for a file of that name."""
    file, _, variant = named.rpartition(":")
    if not variant or not file.endswith((".yaml", ".yml")) or "/" in variant or "\\" in variant:
        return named, ""
    try:
        return (named, "") if Path(named).exists() else (file, variant)
    except (OSError, ValueError):
        return named, ""


def read_variants(tree: t.Tree, diagnostics: Diagnostics) -> dict[str, tuple[t.Scalar, t.Mapping]]:
    """The variants of a spec by name, in their order; those that are none are left out, with a diagnostic."""
    found: dict[str, tuple[t.Scalar, t.Mapping]] = {}
    if not isinstance(tree, t.Mapping):
        if not isinstance(tree, t.Scalar) or tree.value is not None:
            diagnostics.error("A202", tree.span, "variants must be a mapping of names to what they change", _FORM)
        return found
    if len(tree.items) > MOST_VARIANTS:
        message = f"{len(tree.items):,} variants, more than the {MOST_VARIANTS} that a file may have"
        diagnostics.error("A603", tree.items[MOST_VARIANTS][0].span, message, "put the others into specs that extend this one")
    for key, changes in tree.items[:MOST_VARIANTS]:
        name = str(key.value)
        if not re.fullmatch(_NAME, name):
            diagnostics.error("A306", key.span, f'"{name}" cannot be the name of a variant', "use letters, digits, _, - and dots")
        elif not isinstance(changes, t.Mapping):
            span = changes.span if changes.end > changes.start else key.span
            diagnostics.error("A202", span, f"the variant {name} must be a mapping of what it changes", _FORM)
        else:
            unknown_keys(changes, VARIANT_KEYS, diagnostics, "a variant")
            found[name] = key, changes
    return found


def variant_of(base: Spec, name: str, asked: Span, diagnostics: Diagnostics) -> Spec | None:
    """A member of the family: what it changes, over the spec of the file. `asked` is where it was named."""
    from archc.language.spec import NETWORK, read_spec

    if name not in base.variants:
        known = list(base.variants)
        hint = did_you_mean(name, known) or (f"there are {', '.join(known)}" if known else "it has no `variants:`")
        diagnostics.error("A701", asked, f'{base.source.name} has no variant "{name}"', hint)
        return None
    # promises are told apart by the texts in which they stand, and those of the variant stand in the text of its base
    own = Source(base.source.name, base.source.text, base.source.path, base.source.via)
    tree = t.parse(own, Diagnostics())
    variants = tree.get("variants") if isinstance(tree, t.Mapping) else None
    key, changes = (
        next((key, value) for key, value in variants.items if key.value == name) if isinstance(variants, t.Mapping) else (None, None)
    )
    if key is None or not isinstance(changes, t.Mapping):
        return None
    changed = any(changes.get(one) is not None for one in NETWORK)
    spec = read_spec(changes, own, replace(base, name=name, expect={}) if changed else base, {}, diagnostics)
    if spec is not None:
        spec.name, spec.variants = name, {}
        if changed:
            spec.superseded |= dict.fromkeys(base.sources, key.span)
    return spec


def names_in(path: Path) -> tuple[str, ...]:
    """The variants of a file, without a word of what is wrong with it."""
    try:
        return _names_in(path, path.stat().st_mtime_ns)
    except OSError:
        return ()


@lru_cache(maxsize=256)
def _names_in(path: Path, changed: int) -> tuple[str, ...]:
    source = read_file(path, path.name, None, Diagnostics())
    if source is None:
        return ()
    text = source.text
    if re.search(r"^variants\s*:", text, re.MULTILINE) is None:
        return ()
    tree = t.parse(source, Diagnostics())
    variants = tree.get("variants") if isinstance(tree, t.Mapping) else None
    return tuple(read_variants(variants, Diagnostics())) if variants is not None else ()
