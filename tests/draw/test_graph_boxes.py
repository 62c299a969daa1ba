"""The style `graph`: what stands in boxes and on edges, and how large pictures are laid out."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

import archc
from archc.draw.graph.block import block_dot, block_svg, views
from archc.draw.graph.columns import parts
from archc.draw.graph.fold import Folding, View, view
from archc.draw.graph.fold_marks import PORT, Edge
from archc.draw.graph.labels import lines, shape_text, size, telling
from archc.draw.graph.look import GraphOptions
from archc.draw.graph.picture import graph_dot, graph_svg
from archc.draw.graphviz import DrawError
from archc.draw.page import _SCRIPT, page
from archc.draw.scene import Box as Place
from archc.draw.theme import DARK, LIGHT
from archc.graph import Graph
from archc.ops.shape import Shape
from archc.text.diagnostics import printable
from tests.helpers.pictures import FULL, SVG, groups, laid_out, network, parsed
from tests.helpers.zoo import some_of


def test_what_stands_in_boxes() -> None:
    said = texts(view(network("vgg16"), Folding(None)))
    assert said[1:4] == ["conv 3×3, 64|ReLU", "conv 3×3, 64|ReLU", "max pool 2×2 /2"]
    assert said[-4:] == ["linear 4096|ReLU · dropout", "linear 4096|ReLU · dropout", "linear 1000", "output|1000"]
    assert "depthwise 3×3, 96 /2|BN · ReLU6" in texts(view(network("mobilenet_v2"), Folding(None)))
    assert "conv 3×3, 128, 32 groups|BN · ReLU" in texts(view(network("resnext50_32x4d"), Folding(None)))
    assert "LN|attention, 12 heads" in texts(view(network("vit_b16"), Folding(None)))
    assert "nas_cell ×5|channels 168, stride 1, fit|cell_1–5" in texts(view(network("nasnet_a_large"), Folding(None)))


def texts(found: View) -> list[str]:
    boxes = list(found.boxes())
    return ["|".join(line.text for line in lines(box, telling(boxes))) for box in boxes]


def test_shapes_of_copies_that_differ_are_a_range() -> None:
    assert shape_text([Shape((64, 7, 7))]) == "64×7×7"
    assert shape_text([Shape((64, 7, 7)), Shape((256, 7, 7)), Shape((96, 7, 7))]) == "64–256×7×7"


HOSTILE = 'x"];</title></svg><script>alert(1)</script>&\\"\u202e\u0007\u00e9\n->{}<b onload=alert(2)>'


def hostile() -> Graph:
    """A network in which all that a spec may call something, and what it may not, is markup."""
    quoted = HOSTILE.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\u202e", "\\u202E").replace("\u0007", "\\a")
    graph = archc.loads(
        f'archc: 1\nname: "{quoted}"\ninput: [3, 8, 8]\nblocks:\n  b: {{params: {{w: str}}, layers: [{{conv: 3}}, relu, {{conv: 3}}]}}\n'
        'layers:\n  - b: {w: "<i>"}\n  - b: {w: "&amp;\\"\'"}\n  - flatten\n  - {linear: 2}\n'
    )
    for scope in graph.root.children:
        scope.label = scope.name = HOSTILE + scope.label
    for node in graph.nodes:
        node.name = node.label = HOSTILE + node.name
    graph.outputs = dict.fromkeys([HOSTILE], graph.nodes[-1].output)
    return graph


@pytest.mark.parametrize("depth", [0, 3])
def test_names_are_text_in_dot(depth: int) -> None:
    graph = hostile()
    for options in (GraphOptions(depth), FULL):
        text = graph_dot(graph, options)
        parsed(text)
        for label in re.findall(r"label=<(.*)>[\];]", text):
            assert {one.tag for one in ElementTree.fromstring(f"<a>{label}</a>").iter()} <= {"a", "B", "BR", "FONT"}


@laid_out
@pytest.mark.parametrize("depth", [0, 3])
def test_names_are_text_in_svg_and_page(depth: int) -> None:
    graph = hostile()
    for drawing in (graph_svg(graph, GraphOptions(depth)), block_svg([graph], ["b"]), graph_svg(graph, FULL)):
        harmless(ElementTree.fromstring(drawing.svg))
    whole = page(graph.name, drawing.svg, LIGHT)
    read = Read()
    read.feed(whole)
    assert read.scripts == [_SCRIPT] and read.title == [printable(HOSTILE)] * 2
    assert not read.acting and "://" not in without_namespaces(whole)
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    assert read.rules.startswith("default-src 'none';") and f"script-src 'sha256-{digest}';" in read.rules


class Read(HTMLParser):
    """A page as a browser sees it: its scripts, its title and heading, attributes that could act, its rules."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.title: list[str] = []
        self.acting: list[str] = []
        self.rules = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        found = dict(attrs)
        self.rules = self.rules or (found.get("content") or "" if found.get("http-equiv") else "")
        self.acting += [key for key in found if key.startswith("on") or key in ("src", "href", "xlink:href", "action")]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self._open[-1:] == ["h1"] or self._open[-2:] == ["head", "title"]:
            self.title.append(data)


def without_namespaces(text: str) -> str:
    return text.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")


def harmless(root: ElementTree.Element) -> None:
    """No element or attribute that could act, and the name is there as a text."""
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        "svg",
        "g",
        "title",
        "text",
        "path",
        "polygon",
        "ellipse",
        "rect",
        "polyline",
        "circle",
    }
    for one in root.iter():
        assert not [key for key in one.attrib if key.startswith("on") or "href" in key], one.attrib
    assert any("<script>" in (one.text or "") for one in root.iter() if one.tag == f"{SVG}title")


@laid_out
@some_of("lenet5 resnet50 unet", "inception_v4 densenet121 vit_b16 nasnet_a_large")
def test_the_picture(name: str) -> None:
    graph = network(name)
    drawing = graph_svg(graph)
    assert drawing == graph_svg(graph)
    root = ElementTree.fromstring(drawing.svg)
    elements = {one.get("id"): one for one in root.iter() if one.get("id")}
    assert all(drawing.ids[node.name] in elements for node in graph.nodes)
    edges = len([one for one in root.iter() if one.get("class") == "edge"])
    ways = [way for one in root.iter() if one.get("class") == "way" for way in one]
    assert edges == len(view(graph, Folding(None)).edges) + len(ways)  # one more leads to each way from column to column
    for element in elements.values():
        fits(element)
    assert "://" not in without_namespaces(drawing.svg)


def fits(element: ElementTree.Element) -> None:
    """The texts of a box lie in it, by the widest of the common fonts."""
    from archc.draw.scene import text_width

    if not (element.get("class") or "").startswith("node"):
        return
    box, texts = box_of(element), list(element.iter(f"{SVG}text"))
    assert texts
    for text in texts:
        half = text_width(text.text or "", float(text.get("font-size", "0")), text.get("font-weight") == "bold") / 2
        assert box.left <= float(text.get("x", "0")) - half and float(text.get("x", "0")) + half <= box.right
        assert box.top < float(text.get("y", "0")) < box.bottom


def box_of(element: ElementTree.Element) -> Place:
    """What the outline of a node covers."""
    for shape in element:
        if shape.tag == f"{SVG}circle":
            x, y, r = (float(shape.get(key, "0")) for key in ("cx", "cy", "r"))
            return Place(x - r, y - r, x + r, y + r)
        if shape.tag == f"{SVG}rect":
            x, y, width, height = (float(shape.get(key, "0")) for key in ("x", "y", "width", "height"))
            return Place(x, y, x + width, y + height)
    raise AssertionError(ElementTree.tostring(element))


@laid_out
@some_of("vgg16 vit_b16", "resnet50 inception_v4 nasnet_a_large unet")
def test_columns_are_for_a_page(name: str) -> None:
    """A long picture is larger on a page in columns, in which no two boxes lie over each other and no block is cut."""
    graph = network(name)
    pages = [measured(ElementTree.fromstring(graph_svg(graph, GraphOptions(columns=columns)).svg)) for columns in (1, None)]
    whole, cut = (min(504 / width, 648 / height) for width, height in pages)
    assert cut > 1.4 * whole if name not in ("vit_b16", "unet") else cut == whole
    nodes = [box_of(one) for one in ElementTree.fromstring(graph_svg(graph).svg).iter() if one.get("class", "").startswith("node")]
    assert len(nodes) == len(list(view(graph, Folding(None)).boxes()))
    assert not [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :] if a.meets(b)]


@laid_out
@pytest.mark.parametrize(("name", "columns"), [("resnet50", 4), ("unet", 3), ("nasnet_a_large", 5), ("efficientnet_b7", 6), ("lenet5", 2)])
def test_a_column_ends_where_one_value_goes_on(name: str, columns: int) -> None:
    found = view(network(name), Folding(None))
    boxes = list(found.boxes())
    column: dict[int, int] = {}
    tall = [Place(0, 40.0 * i, 80, 40.0 * i + 20) for i in range(len(boxes))]
    made = parts(found, tall, columns)
    assert 1 < len(made) <= columns
    for i, one in enumerate(made):
        column |= {id(box): i for box in one.boxes() if box.end != PORT}
    assert list(column) == [id(box) for box in boxes] and list(column.values()) == sorted(column.values())
    for i in range(len(made) - 1):
        passing = {id(edge.tail) for edge in found.edges if column[id(edge.tail)] <= i < column[id(edge.head)]}
        assert len(passing) == 1
    whole = [group for group in groups(found.items) if group.scope.block or group.times > 1]
    assert all(len({column[id(box)] for box in View([group]).boxes()}) == 1 for group in whole)


@laid_out
def test_options_reach_the_picture() -> None:
    graph = network("lenet5")
    wide, high = (ElementTree.fromstring(graph_svg(graph, GraphOptions(rankdir=way)).svg) for way in ("LR", "TB"))
    assert measured(wide)[0] > measured(wide)[1] and measured(high)[0] < measured(high)[1]
    dark = graph_svg(graph, GraphOptions(theme=DARK, prefix="net-"))
    assert DARK.background in dark.svg and 'id="net-n-1"' in dark.svg and set(dark.ids.values()) >= {"net-n-1"}
    few, all_of_them = (graph_dot(graph, GraphOptions(shapes=shapes)).count('label="') for shapes in (False, True))
    assert few < all_of_them == len(view(graph, Folding(None)).edges)


def measured(root: ElementTree.Element) -> tuple[float, float]:
    return float(root.get("width", "").removesuffix("pt")), float(root.get("height", "").removesuffix("pt"))


@laid_out
def test_too_many_edges_are_refused_with_a_reason() -> None:
    graph = network("preact_resnet1001")
    wires = sum(len(node.inputs) for node in graph.nodes) + len(graph.outputs)
    with pytest.raises(DrawError, match=rf"{wires:,} edges are more than a picture can show .* smaller depth"):
        graph_svg(graph, FULL)


def test_training_heads_are_drawn_where_they_are_asked_for() -> None:
    graph = archc.load("googlenet")
    assert [box.name for box in view(graph, Folding(None)).boxes() if box.end == "output"] == ["output", "aux1", "aux2"]
    assert [box.name for box in view(graph.deployed(), Folding(None)).boxes() if box.end == "output"] == ["output"]


def one_block(spec: str, name: str) -> View:
    return views([network(spec)], [name], GraphOptions())[0]


def test_blocks_as_in_their_papers() -> None:
    module = one_block("googlenet", "inception")
    assert Counter(box.layers[0].kind for box in module.boxes() if box.layers) == {"conv": 6, "maxpool": 1, "concat": 1}
    assert leads_to(module, "concat") == 4
    unit = one_block("resnet50", "bottleneck")
    assert [text.partition("|")[0] for text in texts(unit)] == [
        "input",
        "conv 1×1, 64",
        "conv 3×3, 64",
        "conv 1×1, 256",
        "+",
        "ReLU",
        "output",
    ]
    cell = one_block("nasnet_a_large", "nas_cell")
    assert [box.name for box in cell.boxes() if box.end] == ["newer", "older", "output"]
    assert leads_to(cell, "concat") == 6
    assert leads_to(one_block("mobilenet_v2", "inverted_residual"), "add") == 2
    assert "conv 1×1, 256" in {text.partition("|")[0] for text in texts(one_block("resnet50", "layer1.0"))}


def leads_to(found: View, kind: str) -> int:
    """How many edges the one layer of a kind has."""
    return sum(1 for edge in found.edges if edge.head.layers and edge.head.layers[0].kind == kind)


def test_blocks_side_by_side() -> None:
    text = block_dot([network("mobilenet_v2"), network("resnet50")], ["inverted_residual", "bottleneck"])
    nodes, _ = parsed(text)
    assert len(nodes) == len(set(nodes)) == 13 and "mobilenet_v2 features.3" in text and "resnet50 layer1.1" in text


def test_a_block_that_is_not_there() -> None:
    with pytest.raises(DrawError, match='no block or part is called incepton; did you mean "inception"'):
        block_dot([network("googlenet")], ["incepton"])


def test_sizes_have_room_for_their_lines() -> None:
    graph = network("efficientnet_b7")
    boxes = list(view(graph, Folding(None)).boxes())
    for box in boxes:
        width, height = size(box, telling(boxes))
        assert width >= 5 * max(len(line.text) for line in lines(box, telling(boxes))) and height >= 11 * len(lines(box, telling(boxes)))


def test_an_edge_tells_its_shape_once() -> None:
    text = graph_dot(network("inception_v4"))
    said = Counter(re.findall(r'(n\d+) -> n\d+ \[(?:tail)?label=" ?([^" ]+)', text))
    assert said and max(said.values()) == 1


def test_edges_know_their_shapes() -> None:
    found: list[Edge] = view(network("densenet121"), Folding(9)).edges
    grown = [edge for edge in found if len(edge.shapes) > 1]
    assert all(edge.shapes[0].space == edge.shapes[-1].space for edge in grown)
