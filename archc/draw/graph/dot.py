"""A graph in the DOT language: boxes, groups and edges, for graphviz to place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from math import atan2, ceil, degrees, hypot

from archc.draw.graph.fold import View
from archc.draw.graph.fold_marks import PORT, Edge, GraphBox, Group, Item, spines
from archc.draw.graph.labels import SIZE, SMALL_SIZE, Telling, clean, edge_text, joins, lines, sign, size, telling, title
from archc.draw.graph.look import BAR, CIRCLE, POINT, GraphOptions, frame_of, look_of
from archc.draw.scene import escape, text_width
from archc.text.diagnostics import printable

FONT = "Helvetica,Arial,sans-serif"
_EVEN = "Courier"  # as wide in every Graphviz: what it measures is replaced by what the measure stands for
_STRUT = f'<FONT POINT-SIZE="{SIZE}"> </FONT>'  # which keeps small lines as far apart as others


@dataclass(frozen=True, slots=True)
class _DotWriter:
    options: GraphOptions
    telling: Telling
    clusters: Iterator[int]
    bare: bool


def write_dot(name: str, views: list[View], options: GraphOptions, bare: bool = False) -> str:
    """Views beside each other as one DOT text. Numbers the boxes; the same views, the same bytes.

    `bare`: boxes of their sizes alone, which are painted after the layout, so that no font has a part in it.
    """
    return _text(name, views, _DotWriter(options, _number_boxes(views), count(), bare))


def write_columns(name: str, columns: list[View], options: GraphOptions) -> list[str]:
    """A bare DOT text for each column of a picture; numbers go on from one to the next."""
    writer = _DotWriter(options, _number_boxes(columns), count(), True)
    return [_text(name, [column], writer) for column in columns]


def _number_boxes(views: list[View]) -> Telling:
    """Numbers the boxes anew, since views stand beside each other; what tells the uses of blocks apart."""
    boxes = [box for view in views for box in view.boxes()]
    for i, box in enumerate(boxes):
        box.index = i
    return telling(boxes)


def _text(name: str, views: list[View], writer: _DotWriter) -> str:
    out = [f"digraph {_quote(clean(name))} {{", *_defaults(writer)]
    for view in views:
        for item in view.items:
            out += _item(item, writer, 1)
    for view in views:
        out += edge_lines(view, writer.options, writer.telling)
    return "\n".join([*out, "}", ""])


def _defaults(writer: _DotWriter) -> list[str]:
    theme = writer.options.theme
    graph = f'rankdir={writer.options.rankdir} nodesep="0.28" ranksep="0.36" fontsize={SIZE} labeljust=l newrank=true'
    if writer.bare:
        return [
            f'  graph [{graph} fontname="{_EVEN}"];',
            '  node [shape=box fixedsize=true label="" penwidth="1.1"];',
            f'  edge [fontname="{_EVEN}" fontsize={SMALL_SIZE + 1} arrowsize="0.6"];',
        ]
    return [
        f'  graph [{graph} bgcolor="{theme.background}" pad="0.2" fontname="{FONT}" fontcolor="{theme.ink}"];',
        f'  node [shape=box style="rounded,filled" fontname="{FONT}" fontsize={SIZE} fontcolor="{theme.ink}" penwidth="1.1" height="0.3"'
        ' width="0.6" margin="0.13,0.06"];',
        f'  edge [color="{theme.line}" fontname="{FONT}" fontsize={SMALL_SIZE} fontcolor="{theme.faint}" arrowsize="0.6"];',
    ]


def _item(item: Item, writer: _DotWriter, level: int) -> Iterator[str]:
    pad = "  " * level
    if isinstance(item, GraphBox):
        yield f"{pad}n{item.index} [{_size(item, writer) if writer.bare else _box(item, writer)}];"
        return
    number, look = next(writer.clusters), frame_of(item, level, writer.options.theme)
    yield f"{pad}subgraph cluster_{number} {{"
    if writer.bare:
        yield f'{pad}  penwidth="{look.width}"; margin=10;'
    else:
        yield f'{pad}  id="c-{number}"; class="{look.kind}"; style="rounded,filled"; penwidth="{look.width}"; margin=10;'
        yield f'{pad}  fillcolor="{look.fill}"; color="{look.edge}";'
    yield f"{pad}  label={_heading(item, writer)};"
    for child in item.items:
        yield from _item(child, writer, level + 1)
    yield f"{pad}}}"


def _heading(group: Group, writer: _DotWriter) -> str:
    heading, where = title(group)
    if writer.bare:
        width = text_width(heading, SIZE, True) + text_width(where, SMALL_SIZE) + 8
        return '"' + "x" * ceil(width / (0.6 * SIZE)) + '"'
    beside = f'  <FONT POINT-SIZE="{SMALL_SIZE}" COLOR="{writer.options.theme.faint}">{escape(where)}</FONT>' if where else ""
    return f"<<B>{escape(heading)}</B>{beside}>"


def _size(box: GraphBox, writer: _DotWriter) -> str:
    """The attributes of a node whose texts are painted later."""
    look = look_of(box, writer.options.theme)
    if look.shape == POINT:
        return 'shape=point width="0.02"'
    width, height = size(box, writer.telling)
    shape = "shape=circle " if look.shape == CIRCLE else ""
    line = f' penwidth="{look.width}"' if box.closed else ""
    return f'{shape}width="{width / 72:.3f}" height="{height / 72:.3f}"{line}'


def _box(box: GraphBox, writer: _DotWriter) -> str:
    """The attributes of a node."""
    found = look_of(box, writer.options.theme)
    look = f'id="n-{box.index}" class="{found.kind}" fillcolor="{found.fill}" color="{found.edge}"'
    if box.closed:
        look += f' penwidth="{found.width}"'
    if found.shape == CIRCLE:
        look += " shape=circle style=filled"
    elif found.shape == BAR:
        look += " style=filled"
    elif found.dashed:
        look += ' style="rounded,filled,dashed"'
    if found.shape in (CIRCLE, BAR):
        width, height = size(box, writer.telling)
        fixed = "true" if found.shape == CIRCLE else "false"
        look += f' width="{width / 72:.3f}" height="{height / 72:.3f}" margin="0.04,0.01" fixedsize={fixed}'
    return f"{look} label=<{_label(box, writer.telling)}>"


def _label(box: GraphBox, telling: Telling) -> str:
    rows = []
    for line in lines(box, telling):
        text = escape(line.text)
        rows.append(f"<B>{text}</B>" if line.strong else f'{_STRUT}<FONT POINT-SIZE="{SMALL_SIZE}">{text}</FONT>{_STRUT}')
    return rows[0].replace(_STRUT, "") if len(rows) == 1 else "<BR/>".join(rows)


def _quote(text: str) -> str:
    """A DOT string."""
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


_MARGIN = 8  # of a cluster, as far as a text may reach into it


def edge_lines(view: View, options: GraphOptions, telling: Telling) -> Iterator[str]:
    """The edges, first those that are drawn straight. Other branches begin at their fork; how far to the join, they have to see."""
    edges, spine, around = view.edges, spines(view.edges), _around(view.items)
    entering, leaving = Counter(edge.head.index for edge in edges), Counter(edge.tail.index for edge in edges)
    said: set[tuple[int, str]] = set()
    for edge in sorted(edges, key=lambda edge: id(edge) not in spine):
        tail, head = edge.tail.index, edge.head.index
        text = edge_text(edge, options.shapes)
        if not options.shapes and (tail, text) in said:
            text = ""  # what goes to several boxes has its shape once
        said.add((tail, text))
        single = leaving[tail] == entering[head] == 1
        straight = single or id(edge) in spine
        alone = straight and around[tail] == around[head] and (single or (leaving[tail] == 1 and _beside(edge, edges, around)))
        weight = 50 if straight else 3 if entering[head] == 1 else 1
        open_end = "arrowhead=none " if edge.head.end == PORT else ""
        yield f"  n{tail} -> n{head} [{_edge_label(edge, text, options.rankdir, alone, telling)}{open_end}weight={weight}];"


def _beside(edge: Edge, edges: list[Edge], around: dict[int, int]) -> bool:
    """Whether what an edge meets at its head comes around its block, and so from the side."""
    others = [other for other in edges if other.head is edge.head and other is not edge]
    return bool(sign(edge.head)) or (joins(edge.head) and all(around[other.tail.index] != around[edge.tail.index] for other in others))


def _edge_label(edge: Edge, text: str, rankdir: str, alone: bool, telling: Telling) -> str:
    """The text of an edge. Beside one that runs straight and `alone` there is room; for another, the layout has to make it."""
    if not text:
        return ""
    across, down = text_width(text, SMALL_SIZE) / 2 + 4, 11
    if not alone or rankdir not in ("TB", "BT") or 2 * across > size(edge.tail, telling)[0] / 2 + _MARGIN:
        return f'label=" {text} " '
    side = (1 if rankdir == "TB" else -1) * (-1 if joins(edge.head) else 1)  # what joins comes from the right, mostly
    return f'taillabel="{text}" labelangle={side * degrees(atan2(across, down)):.1f} labeldistance={hypot(across, down) / 10:.2f} '


def _around(items: Iterable[Item], within: int = 0) -> dict[int, int]:
    """For each box, the group that it is in."""
    found: dict[int, int] = {}
    for item in items:
        found |= {item.index: within} if isinstance(item, GraphBox) else _around(item.items, id(item))
    return found
