"""The receptive field growing through the network: nested squares on the input, and its size layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from archc.analysis.field.field import Field, fields
from archc.draw.scene import Box, Point, Scene, mix, plain_ticks, shorten, text_box, text_width
from archc.draw.theme import FAMILIES, Theme, family
from archc.errors import ArgumentError
from archc.graph import Graph, Node
from archc.ops.shape import Shape
from archc.text.quantity import counted
from archc.text.suggest import did_you_mean

SQUARE, CHART_WIDE = 300.0, 620.0
MOST_NESTED, MOST_POINTS = 5, 400


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """layers: those whose fields are drawn on the input, by name; as many as are legible unless given."""

    layers: tuple[str, ...] = ()


@dataclass(slots=True)
class Growth:
    """A layer whose field is another than those before; `size` is along the last axis, None where the whole input is seen."""

    node: Node
    field: Field
    at: int

    @property
    def size(self) -> int | None:
        return None if self.field.covers_input else self.field.size[-1]


def draw(graph: Graph, options: FieldOptions, theme: Theme) -> str:
    """The figure as SVG. Raises ValueError for a network whose input has no space, and for a layer that it does not have."""
    return scene(graph, options, theme).svg()


def scene(graph: Graph, options: FieldOptions, theme: Theme) -> Scene:
    graph = graph.deployed()
    if not graph.nodes:
        raise ArgumentError(f"{graph.name} has no layers to draw")
    shape = next(iter(graph.inputs.values())).shape
    if len(shape) < 2:
        raise ArgumentError(f"{graph.name} has no receptive fields: its input {shape} is a vector")
    found = growths(graph)
    if len(graph.inputs) > 1:
        raise ArgumentError(f"{graph.name} has {counted(len(graph.inputs), 'input')}; the style field draws the field on one")
    if all(point.field.covers_input for point in found):
        raise ArgumentError(f"{graph.name} has no receptive field smaller than its input to draw")
    picture = Scene(theme, f"{graph.name}: receptive field")
    picture.text((0, -34), shorten(graph.name, 15, 600), 15, theme.ink, bold=True)
    picture.text((0, -18), "What one position of a layer sees of the input", 10.5, theme.faint)
    nested = chosen(graph, found, options.layers)
    _paint_nested(picture, nested, shape, theme)
    _chart(
        picture,
        found,
        (nested, len(graph.nodes), shape[-1], "pixels" if len(shape) > 2 else "positions"),
        Box(SQUARE + 90, 0, SQUARE + 90 + CHART_WIDE, SQUARE),
        theme,
    )
    return picture


def growths(graph: Graph) -> list[Growth]:
    """The layers in order where the field grows beyond that of all before."""
    found: list[Growth] = []
    largest = 1
    for i, (node, field) in enumerate(_of_first(graph).items()):
        if field.covers_input:
            found.append(Growth(node, field, i))
            break
        if field.size[-1] > largest:
            largest = field.size[-1]
            found.append(Growth(node, field, i))
    return found


def _of_first(graph: Graph) -> dict[Node, Field]:
    """The fields on the first input, of the layers that it reaches."""
    name, known = next(iter(graph.inputs)), fields(graph)
    return {node: known[node.output][name] for node in graph.nodes if name in known.get(node.output, {})}


def chosen(graph: Graph, found: list[Growth], names: tuple[str, ...]) -> list[Growth]:
    """The layers whose fields are nested: those that are named, else some that tell well apart."""
    if names:
        known = _of_first(graph)
        return [_name_growth(graph, known, name) for name in names]
    extent = next(iter(graph.inputs.values())).shape[-1]
    sizes = [point for point in found if point.size is not None and point.size <= extent]
    picked: list[Growth] = []
    for size in sizes:
        apart = (size.size or 0) - ((picked[-1].size or 0) if picked else 0)
        if apart >= extent / (MOST_NESTED + 2) or not picked:
            picked.append(size)
    if sizes and picked[-1] is not sizes[-1] and (sizes[-1].size or 0) - (picked[-1].size or 0) >= extent / 16:
        picked.append(sizes[-1])
    return picked


def _name_growth(graph: Graph, known: dict[Node, Field], name: str) -> Growth:
    for i, node in enumerate(graph.nodes):
        if node.name == name:
            return Growth(node, known[node], i)
    names = [node.name for node in graph.nodes]
    hint = did_you_mean(name, names) or f"a layer is named as {names[len(names) // 2]}; `archc analyze` shows them all"
    raise ArgumentError(f"{graph.name} has no layer called {name}; {hint}")


def _paint_nested(picture: Scene, nested: list[Growth], shape: Shape, theme: Theme) -> None:
    """The input as a square, and on it each field where it is widest, near the middle, the largest first; names below."""
    height, width = (shape[-2] if len(shape) > 2 else max(shape[-1] // 8, 1)), shape[-1]
    scale = SQUARE / max(height, width)
    box = Box((SQUARE - width * scale) / 2, (SQUARE - height * scale) / 2, (SQUARE + width * scale) / 2, (SQUARE + height * scale) / 2)
    picture.rect(box, theme.family_fill("input"), theme.family_edge("input"), title=f"input {shape}")
    ordered = sorted(nested, key=lambda point: -(point.size or 10**9))
    for i, point in enumerate(ordered):
        (top, bottom), (left, right) = _extents(point, height, width, len(shape))
        field = Box(box.left + left * scale, box.top + top * scale, box.left + right * scale, box.top + bottom * scale)
        fill = mix(theme.family_fill("convolution"), theme.background, 0.85 - 0.7 * i / max(len(ordered) - 1, 1))
        picture.rect(field, fill, theme.family_edge("convolution"), 1, title=f"{point.node.name}: {point.field}")
    picture.text((SQUARE / 2, SQUARE + 16), f"input {'×'.join(map(str, shape[1:]))}", 10.5, theme.ink, "middle", True)
    for i, point in enumerate(reversed(ordered)):
        y = SQUARE + 36 + 16 * i
        part = len(ordered) - 1 - i
        fill = mix(theme.family_fill("convolution"), theme.background, 0.85 - 0.7 * part / max(len(ordered) - 1, 1))
        picture.rect(Box(0, y - 9, 11, y + 2), fill, theme.family_edge("convolution"))
        text = "the whole input" if point.field.covers_input else "×".join(map(str, point.field.size))
        more = ", wider than the input" if point.size is not None and point.size > width else ""
        name = shorten(point.node.name, 10, SQUARE - 30 - text_width(text + more, 10, True))
        drawn = picture.text((18, y), text, 10, theme.ink, bold=True)
        picture.text((drawn.right + 8, y), name + more, 10, theme.faint)


def _extents(point: Growth, height: int, width: int, rank: int) -> list[tuple[int, int]]:
    """From where to where the field of the widest position covers the input, nearest to the middle and within its borders."""
    pairs = zip(point.field.axes[-2:], (height, width)[-len(point.field.axes[-2:]) :], strict=True)
    spans = []
    for axis, size in pairs:
        first, last = axis.span(axis.widest())
        start = min(max(first, 0), size)
        spans.append((start, max(min(last + 1, size), start)))
    return spans if rank > 2 else [(0, height), *spans]


def _chart(picture: Scene, found: list[Growth], more: tuple[list[Growth], int, int, str], box: Box, theme: Theme) -> None:
    """The field's extent as a step line over the layers, the input's as a line across, the layers that widen it as points."""
    nested, layers, extent, unit = more
    sizes = [point.size for point in found if point.size is not None]
    top = max(*sizes, extent) * 1.06
    for tick in plain_ticks(top):
        y = box.bottom - tick / top * (box.bottom - box.top)
        picture.line([(box.left, y), (box.right, y)], theme.grid, 0.8)
        picture.text((box.left - 6, y + 3), f"{tick:,}", 9, theme.faint, "end")
    picture.text((box.left, box.top - 18), f"Extent of the field, in {unit}", 11, theme.ink, bold=True)
    y = box.bottom - extent / top * (box.bottom - box.top)
    picture.line([(box.left, y), (box.right, y)], theme.line, 1.1, "5 3")
    places = [(box.left + (point.at + 0.5) / layers * (box.right - box.left), point) for point in found]
    line: list[Point] = [(box.left, box.bottom - 1 / top * (box.bottom - box.top))]
    for x, point in places:
        high = box.bottom - (point.size or extent) / top * (box.bottom - box.top)
        line += [(x, line[-1][1]), (x, min(high, line[-1][1]))]
    line.append((box.right, line[-1][1]))
    picture.line(line, theme.family_edge("convolution"), 1.6)
    _points(picture, places, line, theme)
    picture.line([(box.left, box.bottom), (box.right, box.bottom)], theme.line, 0.9)
    _words(picture, found, layers, extent, (box, y), theme)
    _sizes(picture, [(x, high, point) for (x, point), (_, high) in zip(places, line[2::2], strict=False) if point in nested], box, theme)


def _sizes(picture: Scene, points: list[tuple[float, float, Growth]], box: Box, theme: Theme) -> None:
    """The extents of the fields that are nested on the input, beside their points, where there is room."""
    for x, high, point in points:
        text, at = f"{point.size:,}" if point.size is not None else "", (x - 6, high - 6)
        place = text_box(at, text, 9.5, "end", True)
        if text and place.left > box.left and not any(other.meets(place, 2) for _, other in picture.texts):
            picture.text(at, text, 9.5, theme.ink, "end", True)


def _points(picture: Scene, places: list[tuple[float, Growth]], line: list[Point], theme: Theme) -> None:
    heights = dict(line[2::2])
    for x, point in places[:MOST_POINTS]:
        title = f"{point.node.name}: {'the whole input' if point.field.covers_input else point.field}"
        radius = 3.2 if len(places) < 80 else 2.2
        picture.circle((x, heights[x]), radius, theme.fill(point.node.kind), theme.edge(point.node.kind), title)


def _words(picture: Scene, found: list[Growth], layers: int, extent: int, at: tuple[Box, float], theme: Theme) -> None:
    """What the lines are, and which layer sees all."""
    box, y = at
    last = found[-1]
    x = box.left + (last.at + 0.5) / layers * (box.right - box.left)
    beyond = next((point for point in found if point.size is None or point.size >= extent), None)
    picture.text((box.left + 6, y - 5), f"input {extent}", 10, theme.ink)
    early = last.field.covers_input and x < (box.left + box.right) / 2
    picture.text((box.right if early else box.left, box.bottom + 16), "layers in order", 10, theme.faint, "end" if early else "start")
    if last.field.covers_input:
        name = shorten(last.node.name, 10, 200)
        picture.text((x, box.bottom + 16), f"{name} sees all", 10, theme.ink, "start" if early else "end")
        picture.line([(x, box.bottom), (x, box.bottom + 5)], theme.ink, 0.8)
    if beyond is not None and not beyond.field.covers_input:
        text = f"from {shorten(beyond.node.name, 10, 220)} on wider than the input" if beyond.size != extent else ""
        picture.text((box.left, box.bottom + 36), text, 10, theme.ink) if text else None
    used = {family(point.node.kind) for point in found}
    x, y = box.left, box.bottom + 60
    for name in FAMILIES:
        if name in used:
            picture.circle((x + 4, y - 3.5), 4, theme.family_fill(name), theme.family_edge(name))
            x = picture.text((x + 13, y), name, 10, theme.ink).right + 16
