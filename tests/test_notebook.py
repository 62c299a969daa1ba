"""What a notebook shows of each result: one line as text, and a table or a picture in which nothing of a name is markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import archc
from archc.draw import picture
from archc.text.notebook import curve

HOSTILE = """
name: "<script>alert(1)</script>\\e[31m"
doc: "<img src=x onerror=alert(1)> & more"
input: {"a": [3, 16, 16]}
layers: [{conv: {channels: 8, kernel: 3}}, relu, global_avgpool, flatten, {linear: 10}]
"""


SVG = {"svg", "title", "path", "circle", "text"}


class Tags(HTMLParser):
    """The elements of a text, with the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))


def tags_of(text: str) -> list[tuple[str, list[str]]]:
    parser = Tags()
    parser.feed(text)
    return parser.found


SHOWN = (archc.Graph, archc.Report, archc.Timeline, archc.Planned, archc.CheckpointPlan, archc.Difference, archc.Roofline)


def results(net: archc.Graph) -> list[object]:
    planned = archc.checkpoint(net, memory="1MiB", batch=64)
    report = archc.analyze(net)
    bound = archc.roofline(net, device="a100-40gb")
    shown = [net, report, archc.memory(net), planned, planned.plan, archc.diff(net, "lenet5"), bound]
    return [*shown, report.layers[0], net.nodes[0], bound.layers[0], bound.device]


@pytest.mark.parametrize("load", [lambda: archc.loads(HOSTILE), lambda: archc.load("resnet18")], ids=["hostile", "resnet18"])
def test_one_line_as_text_and_a_table_without_foreign_markup(load: Callable[[], archc.Graph]) -> None:
    for one in results(load()):
        assert repr(one).isprintable() and len(repr(one)) < 300, type(one)
        if (shown := getattr(one, "_repr_html_", None)) is None:
            assert not isinstance(one, SHOWN)
            continue
        tags = tags_of(shown())
        assert {tag for tag, _ in tags} <= {"div", "b", "table", "thead", "tbody", "tr", "th", "td"} | SVG, type(one)
        assert {name for tag, names in tags for name in names if tag not in SVG} <= {"style"} and "\x1b" not in shown()
        assert not {name for _, names in tags for name in names if name.startswith("on") or "href" in name}


def test_the_table_has_the_figures() -> None:
    assert "<td" in (shown := archc.analyze("lenet5")._repr_html_()) and "44,426" in shown and "281,640" in shown
    assert "backward" in archc.memory("lenet5")._repr_html_()


def test_a_timeline_shows_its_curve() -> None:
    found = archc.memory("resnet18", batch=8)
    shown = ElementTree.fromstring(f"<p>{(html := found._repr_html_())[html.index('<svg') : html.index('</svg>')]}</svg></p>")[0]
    assert {"forward", "backward", f"peak {found.amount_text(found.peak_bytes)}"} <= {one.text for one in shown.iter("text")}
    heights = [float(at) for at in re.findall(r"V([\d.]+)H", shown[1].attrib["d"])]
    top, base = float(shown.findall("circle")[0].attrib["cy"]), float(re.findall(r"V([\d.]+)Z", shown[1].attrib["d"])[0])
    values = [one.total() for one in found.tape.moments()]
    assert len(heights) == len(values) == len(found.events)
    for height, value in zip(heights, values, strict=True):  # drawn to scale, from zero to the peak
        assert base - height == pytest.approx((base - top) * value / found.peak_bytes, abs=0.06)


def test_curves_of_any_length() -> None:
    assert curve([], [], "") == curve([0, 0], [("a", 2)], "0 B") == ""
    assert len(curve([7] * 100_000, [("a", 100_000)], "7 B")) < 20_000
    drawn = curve([*range(5_000), 9_999, 1], [("<b>", 5_002)], "9 & 9")
    assert f"V{22.0}H" in drawn and "&lt;b&gt;" in drawn and "9 &amp; 9" in drawn  # the peak is there, however narrow


@pytest.mark.parametrize(("name", "style"), [("lenet5", "volumes"), ("unet", "volumes"), ("resnet18", "volumes")])
def test_without_graphviz_there_is_a_picture(name: str, style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "program", lambda: None)
    drawn = archc.render(name)
    assert drawn.style == style and "Graphviz" in drawn.note and drawn._repr_svg_().startswith("<svg")
    assert (tmp_path / "a.svg") == drawn.save(tmp_path / "a.svg") and (tmp_path / "a.svg").read_text() == drawn.svg
    with pytest.raises(archc.ArgumentError, match="not gif"):
        drawn.save(tmp_path / "a.gif")


def test_what_no_row_of_boxes_can_show_is_drawn_by_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "program", lambda: None)
    two = archc.loads("input: [3, 8, 8]\nlayers:\n  a: {conv: 8}\n  b: {conv: 4, from: input}\noutputs: [a, b]\n")
    assert archc.render(two).style == "cost"


def test_without_graphviz_the_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from archc.cli.main import main

    monkeypatch.setattr(picture, "program", lambda: None)
    assert main(["render", "lenet5", "-o", str(tmp_path / "a.svg")]) == 0
    assert "drawn in the style volumes" in capsys.readouterr().err and (tmp_path / "a.svg").read_text().startswith("<svg")


def test_styles_and_themes_that_there_are_not() -> None:
    for options, told in (({"style": "graf"}, 'did you mean "graph"'), ({"theme": "blue"}, "one of light, dark")):
        with pytest.raises(archc.ArgumentError, match=told):
            archc.render("lenet5", **options)  # type: ignore[arg-type]
