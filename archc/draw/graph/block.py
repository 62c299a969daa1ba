"""The style `block`: blocks in detail, as papers show them, beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from archc.analysis.cost.paper_names import meant
from archc.draw.graph.dot import write_dot
from archc.draw.graph.fold import View, block_view
from archc.draw.graph.look import GraphOptions
from archc.draw.graph.picture import Drawing, drawn
from archc.draw.graphviz import TIMEOUT, DrawError
from archc.graph import Graph, Scope
from archc.text.diagnostics import printable
from archc.text.suggest import did_you_mean

MOST_NAMES = 20


def block_dot(graphs: Sequence[Graph], names: Sequence[str], options: GraphOptions | None = None) -> str:
    """Blocks as DOT. Raises DrawError: no such block."""
    options = options or GraphOptions()
    return write_dot(_title(graphs), views(graphs, names, options), options)


def block_svg(graphs: Sequence[Graph], names: Sequence[str], options: GraphOptions | None = None, timeout: float = TIMEOUT) -> Drawing:
    """Blocks as SVG. Raises DrawError: no such block, no Graphviz, no layout in time."""
    options = options or GraphOptions()
    return drawn(_title(graphs), views(graphs, names, options), options, timeout)


def views(graphs: Sequence[Graph], names: Sequence[str], options: GraphOptions) -> list[View]:
    """Each block that is named, from the first network that has it. Raises DrawError."""
    return [_view(graphs, name, options) for name in names]


def blocks_of(graph: Graph) -> list[str]:
    """The names of the blocks that a network uses, in order."""
    return list(dict.fromkeys(scope.block for scope in _scopes(graph) if scope.block))


def _view(graphs: Sequence[Graph], name: str, options: GraphOptions) -> View:
    for graph in graphs:
        scope = _found(graph, name) or _found(graph, meant(graph, name))
        if scope is not None:
            place = f"{graph.name} {scope.name}" if len(graphs) > 1 else scope.name
            return block_view(graph, scope, options.folding, place)
    blocks = dict.fromkeys(block for graph in graphs for block in blocks_of(graph))
    parts = dict.fromkeys(scope.name for graph in graphs for scope in _scopes(graph) if "." not in scope.name)
    hint = did_you_mean(name, blocks) or did_you_mean(name, parts)
    listed = [f"\n  {what}: {_list_text(names)}" for what, names in (("blocks", blocks), ("parts", parts)) if names]
    raise DrawError(f"no block or part is called {printable(name)}{f'; {hint}' if hint else ''}{''.join(listed)}")


def _list_text(names: Iterable[str]) -> str:
    all_of_them = list(map(printable, names))
    return ", ".join(all_of_them[:MOST_NAMES]) + (" …" if len(all_of_them) > MOST_NAMES else "")


def _found(graph: Graph, name: str) -> Scope | None:
    """The first use of a block in its commonest form, as a unit without a projection; or the part of the network of that name."""
    scopes = list(_scopes(graph))
    uses = [(scope, _form(scope)) for scope in scopes if scope.block == name]
    if not uses:
        return next((scope for scope in scopes if scope.name == name), None)
    commonest = Counter(form for _, form in uses).most_common(1)[0][0]
    return next(scope for scope, form in uses if form == commonest)


def _form(scope: Scope) -> tuple[object, ...]:
    """What a block is made of, whatever its sizes."""
    return tuple((child.label, _form(child) if isinstance(child, Scope) else child.kind) for child in scope.children)


def _scopes(graph: Graph) -> Iterator[Scope]:
    """Scopes with layers that are there, outer ones first."""
    own = {id(node) for node in graph.nodes}

    def walk(scope: Scope) -> Iterator[Scope]:
        for child in scope.children:
            if isinstance(child, Scope) and any(id(node) in own for node in child.walk()):
                yield child
                yield from walk(child)

    yield from walk(graph.root)


def _title(graphs: Sequence[Graph]) -> str:
    return ", ".join(graph.name for graph in graphs)
