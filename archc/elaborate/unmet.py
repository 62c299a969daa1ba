"""What elaboration did not come by: entries of blocks that nothing uses, and of what `when` leaves out."""

from __future__ import annotations

from archc.elaborate.kinds import find_kind
from archc.elaborate.state import Elaboration
from archc.elaborate.unknown import complete, suggest_argument, suggest_kind
from archc.language.blocks import Block
from archc.language.entries import GROUPS, Chain, Entry, read_entry
from archc.language.values import Mistake
from archc.signature import Signature
from archc.text import tree as t


def check_unmet(run: Elaboration) -> None:
    """Their kinds, and the names of their arguments; values need shapes, which are not there."""
    chains = [block.layers for block in run.spec.blocks.values() if block.in_spec and not block.broken]
    for chain in [*chains, *([run.spec.layers] if run.spec.layers is not None else [])]:
        _check_chain(run, chain)


def _check_chain(run: Elaboration, chain: Chain) -> None:
    todo = [tree for _, tree in chain.entries]
    while todo:
        tree = todo.pop()
        entry = read_entry(tree, run.diagnostics)
        if entry is None:
            complete(run, tree, None, chain)
            continue
        if entry.chain is not None:
            todo.extend(child for _, child in entry.chain.entries)
        elif entry not in run.met and entry.kind not in GROUPS and entry.kind != "null" and not entry.kind.startswith("$"):
            todo.extend(_check_entry(run, entry, chain))


def _check_entry(run: Elaboration, entry: Entry, chain: Chain) -> list[t.Tree]:
    """The branches of an entry, to be checked in their turn."""
    try:
        found = find_kind(run.spec.blocks, entry.kind, entry.kind_span)
    except Mistake as mistake:
        run.mistake(mistake)
        return []
    if found is None and not run.spec.no_blocks:
        run.error("A301", entry.kind_span, f'no layer or block is called "{entry.kind}"', suggest_kind(run, entry, None, chain))
    if found is None or (isinstance(found, Block) and found.broken):
        return []
    if not isinstance(found, Block) and found.merges:
        return _branches(found.signature, entry.argument)
    if isinstance(entry.argument, t.Mapping):
        _check_arguments(run, entry, entry.argument, found.signature)
    return []


def _branches(signature: Signature, argument: t.Tree | None) -> list[t.Tree]:
    if isinstance(argument, t.Sequence):
        return argument.items
    return [tree for key, tree in argument.items if key.value not in signature.params] if isinstance(argument, t.Mapping) else []


def _check_arguments(run: Elaboration, entry: Entry, argument: t.Mapping, signature: Signature) -> None:
    given = [str(key.value) for key, _ in argument.items]
    for key, value in argument.items:
        if key.value not in signature.params:
            hint = suggest_argument(run, entry, kind=entry.kind, key=key, value=value, given=given, signature=signature, context=None)
            run.error("A302", key.span, f'{entry.kind} has no argument "{key.value}"', hint)
