"""A graph as DOT text: boxes as nodes, groups as clusters. What a spec says is escaped, or kept out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil

from archc.draw.graph.edges import edge_lines
from archc.draw.graph.fold import View
from archc.draw.graph.fold_fuse import SMALL
from archc.draw.graph.fold_marks import PORT, Box, Group, Item
from archc.draw.graph.labels import SIZE, SMALL_SIZE, Telling, clean, is_bar, lines, sign, size, telling, title
from archc.draw.graph.options import GraphOptions
from archc.draw.scene import escaped, mixed, text_width
from archc.draw.theme import Theme, family
from archc.text.diagnostics import printable

FONT = "Helvetica,Arial,sans-serif"
_EVEN = "Courier"  # as wide in every Graphviz: what it measures is replaced by what the measure stands for
_STRUT = f'<FONT POINT-SIZE="{SIZE}"> </FONT>'  # which keeps small lines as far apart as others


@dataclass(frozen=True, slots=True)
class _Writer:
    options: GraphOptions
    telling: Telling
    clusters: Iterator[int]
    bare: bool


def write_dot(name: str, views: list[View], options: GraphOptions, bare: bool = False) -> str:
    """Views beside each other as one DOT text. Numbers the boxes; the same views, the same bytes.

    `bare`: boxes of their sizes without texts, which are put in after the layout, so that no font has a part in it.
    """
    return _text(name, views, _Writer(options, _numbered(views), count(), bare))


def write_columns(name: str, columns: list[View], options: GraphOptions) -> list[str]:
    """A bare DOT text for each column of a picture; numbers go on from one to the next."""
    writer = _Writer(options, _numbered(columns), count(), True)
    return [_text(name, [one], writer) for one in columns]


def _numbered(views: list[View]) -> Telling:
    """Numbers the boxes anew, since views stand beside each other; what tells the uses of blocks apart."""
    boxes = [box for one in views for box in one.boxes()]
    for i, box in enumerate(boxes):
        box.index = i
    return telling(boxes)


def _text(name: str, views: list[View], writer: _Writer) -> str:
    out = [f"digraph {_quoted(clean(name))} {{", *_defaults(writer)]
    for one in views:
        for item in one.items:
            out += _item(item, writer, 1)
    for one in views:
        out += edge_lines(one, writer.options, writer.telling)
    return "\n".join([*out, "}", ""])


def _defaults(writer: _Writer) -> list[str]:
    theme, font = writer.options.theme, _EVEN if writer.bare else FONT
    node = 'fixedsize=true label=""' if writer.bare else 'height="0.3" width="0.6" margin="0.13,0.06"'
    small = SMALL_SIZE + 1 if writer.bare else SMALL_SIZE
    return [
        f'  graph [rankdir={writer.options.rankdir} bgcolor="{theme.background}" pad="0.2" nodesep="0.28" ranksep="0.36"'
        f' fontname="{font}" fontsize={SIZE} fontcolor="{theme.ink}" labeljust=l newrank=true];',
        f'  node [shape=box style="rounded,filled" fontname="{font}" fontsize={SIZE} fontcolor="{theme.ink}" penwidth="1.1" {node}];',
        f'  edge [color="{theme.line}" fontname="{font}" fontsize={small} fontcolor="{theme.faint}" arrowsize="0.6"];',
    ]


def _item(item: Item, writer: _Writer, level: int) -> Iterator[str]:
    pad = "  " * level
    if isinstance(item, Box):
        yield f"{pad}n{item.index} [{_box(item, writer)}];"
        return
    number, theme = next(writer.clusters), writer.options.theme
    yield f"{pad}subgraph cluster_{number} {{"
    yield f'{pad}  id="c-{number}"; class="{"block" if item.scope.block else "part"}"; style="rounded,filled"; penwidth="0.9"; margin=10;'
    yield f'{pad}  fillcolor="{shade(theme, level)}"; color="{theme.faint if item.times > 1 else _rim(theme)}";'
    yield f"{pad}  label={_heading(item, writer)};"
    for child in item.items:
        yield from _item(child, writer, level + 1)
    yield f"{pad}}}"


def _heading(group: Group, writer: _Writer) -> str:
    heading, where = title(group)
    if writer.bare:
        width = text_width(heading, SIZE, True) + text_width(where, SMALL_SIZE) + 8
        return '"' + "x" * ceil(width / (0.6 * SIZE)) + '"'
    beside = f'  <FONT POINT-SIZE="{SMALL_SIZE}" COLOR="{writer.options.theme.faint}">{escaped(where)}</FONT>' if where else ""
    return f"<<B>{escaped(heading)}</B>{beside}>"


def shade(theme: Theme, level: int) -> str:
    """The background of a cluster: the deeper, the further from the page's."""
    return mixed(theme.background, theme.ink, 0.035 * min(level, 4))


def _rim(theme: Theme) -> str:
    return mixed(theme.background, theme.ink, 0.25)


def _box(box: Box, writer: _Writer) -> str:
    """The attributes of a node."""
    theme, kind = writer.options.theme, main_kind(box)
    if box.end == PORT:
        return f'id="n-{box.index}" shape=point width="0.02" color="{theme.line}"'
    look = f'id="n-{box.index}" class="{kind}" fillcolor="{theme.fill(kind)}" color="{theme.edge(kind)}"'
    if box.closed:
        look = f'id="n-{box.index}" class="block" fillcolor="{shade(theme, 3)}" color="{theme.line}" penwidth="1.4"'
    if sign(box):
        look += " shape=circle style=filled"
    elif is_bar(box):
        look += " style=filled"
    elif box.end:
        look += ' style="rounded,filled,dashed"'
    width, height = size(box, writer.telling)
    if writer.bare:
        return f'{look} width="{width / 72:.3f}" height="{height / 72:.3f}"'
    if sign(box) or is_bar(box):
        look += f' width="{width / 72:.3f}" height="{height / 72:.3f}" margin="0.04,0.01" fixedsize={"true" if sign(box) else "false"}'
    return f"{look} label=<{_label(box, writer.telling)}>"


def _label(box: Box, telling: Telling) -> str:
    rows = []
    for line in lines(box, telling):
        text = escaped(line.text)
        rows.append(f"<B>{text}</B>" if line.strong else f'{_STRUT}<FONT POINT-SIZE="{SMALL_SIZE}">{text}</FONT>{_STRUT}')
    return rows[0].replace(_STRUT, "") if len(rows) == 1 else "<BR/>".join(rows)


def main_kind(box: Box) -> str:
    """The kind of a box's main layer: input or output at the ends, block where it is closed."""
    if box.end or box.closed:
        return box.end or "block"
    return next((node.kind for node in box.layers if family(node.kind) not in SMALL), box.layers[0].kind)


def _quoted(text: str) -> str:
    """A DOT string."""
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
