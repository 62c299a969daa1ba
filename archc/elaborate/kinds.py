"""What the name of an entry means: an operator, a block of the spec, or a block that ships."""

from __future__ import annotations

from collections.abc import Mapping

from archc.language import library
from archc.language.blocks import Block
from archc.language.entries import GROUPS
from archc.language.values import Mistake
from archc.ops import OPERATORS, Op
from archc.text.source import Span


def find_kind(blocks: Mapping[str, Block], kind: str, offered_at: Span | None = None) -> Op | Block | None:
    """The first that there is of a spec's own `blocks`, the operators, the blocks that ship, and what installed packages offer.

    offered_at: where the name stands; without it no package is asked, since asking takes time

    Raises Mistake where a package's operator cannot be loaded.
    """
    found = blocks.get(kind) or OPERATORS.get(kind) or library.find(kind)
    return found if found is not None or offered_at is None else _find_offered(kind, offered_at)


def is_kind(blocks: Mapping[str, Block], kind: str) -> bool:
    """Whether an entry can have this name, as far as the spec and archc itself say; no block is read."""
    return kind in GROUPS or kind in blocks or OPERATORS.get(kind) is not None or kind in library.index()


def ships(block: Block | None) -> bool:
    """Whether a block is one of those that ship: no block of a spec takes the place of what it uses."""
    return block is not None and not block.in_spec and library.find(block.name) is block


def _find_offered(kind: str, span: Span) -> Op | None:
    if not kind.isidentifier():
        return None
    from archc.ops.plugins import PluginError, find_installed

    try:
        return find_installed(kind)
    except PluginError as error:
        raise Mistake("A705", span, str(error)) from None
