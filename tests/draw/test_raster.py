"""PNG and PDF of an SVG, read back by other programs."""

from __future__ import annotations

import builtins
import io
import re
import zlib

import pytest
from PIL import Image

from archc import memory
from archc.draw.cost import picture as cost
from archc.draw.raster import RasterError, to_pdf, to_png
from archc.draw.scene import Box, Scene
from archc.draw.theme import DARK, LIGHT
from archc.draw.volumes import picture as volumes
from tests.draw.pictures import net, tree, words

pytest.importorskip("resvg_py")
pytest.importorskip("svglib")

GRAPHVIZ = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"
 "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg width="72pt" height="36pt" viewBox="0.00 0.00 72.00 36.00" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<g id="graph0" class="graph" transform="scale(1 1) rotate(0) translate(4 32)">
<polygon fill="#ff0000" stroke="none" points="-4,4 -4,-32 68,-32 68,4 -4,4"/>
<text text-anchor="middle" x="32" y="-10" font-family="Helvetica,sans-Serif" font-size="12.00">conv</text>
</g></svg>
"""


def two_squares() -> str:
    scene = Scene(LIGHT, "squares", margin=0)
    scene.rect(Box(0, 0, 10, 10), "#ff0000")
    scene.rect(Box(10, 0, 30, 10), "#0000ff")
    return scene.svg()


def image(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def pdf_text(pdf: bytes) -> str:
    """The strings that a PDF of ReportLab's shows."""
    import base64

    streams = re.findall(rb"stream\s(.*?)endstream", pdf, re.DOTALL)
    plain = b"".join(zlib.decompress(base64.a85decode(stream.strip(), adobe=False) if b"~>" not in stream else
                     base64.a85decode(b"<~" + stream.strip(), adobe=True)) for stream in streams)  # fmt: skip
    return b" ".join(re.findall(rb"\((.*?)\) Tj", plain)).decode("cp1252")


def test_pixels_are_where_shapes_are() -> None:
    found = image(to_png(two_squares(), 2))
    assert found.size == (60, 20)
    assert found.getpixel((4, 4)) == (255, 0, 0) and found.getpixel((40, 10)) == (0, 0, 255)


def test_text_is_drawn_even_in_a_font_that_is_not_there() -> None:
    """Graphviz names Helvetica; a machine without it must not drop the text."""
    found = image(to_png(GRAPHVIZ, 3))
    assert found.size == (288, 144)
    dark = [color for _, color in found.getcolors(100_000) or [] if color == (0, 0, 0)]
    assert dark and found.getpixel((2, 2)) == (255, 0, 0)


def test_text_of_a_pdf_is_text() -> None:
    assert "conv" in pdf_text(to_pdf(GRAPHVIZ))
    text = pdf_text(to_pdf(volumes.draw(net("vgg16"), volumes.VolumesOptions(), DARK)))
    assert "vgg16" in text and "conv 3" in text


def test_what_shows_under_the_pointer_is_not_printed() -> None:
    svg = cost.draw(net("lenet5"), cost.CostOptions(), LIGHT)
    found = memory(net("lenet5")).peak_bytes
    assert f"{found:,} bytes" in svg and f"{found:,} bytes" not in pdf_text(to_pdf(svg))
    printed = set(pdf_text(to_pdf(svg)).replace(r"\267", "·").split())
    wanted = {word for text in words(tree(svg)) for word in text.split()}
    assert printed == wanted


def test_a_pdf_is_as_large_as_its_picture() -> None:
    box = re.search(rb"/MediaBox \[ ([\d. ]+) \]", to_pdf(GRAPHVIZ))
    assert box is not None and [float(value) for value in box[1].split()] == [0, 0, 72, 36]


@pytest.mark.parametrize("name", ("lenet5", "unet"))
def test_the_same_picture_is_the_same_bytes(name: str) -> None:
    svg = volumes.draw(net(name), volumes.VolumesOptions(), LIGHT)
    assert to_png(svg, 1) == to_png(svg, 1) and to_pdf(svg) == to_pdf(svg)


def test_names_beyond_western_letters_are_drawn() -> None:
    scene = Scene(LIGHT, "names")
    scene.text((0, 0), "слой é 層")
    assert to_pdf(scene.svg()).startswith(b"%PDF") and to_png(scene.svg()).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("svg", "said"),
    [
        ("<svg", "not an SVG"),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", "needs a width"),
        ('<svg width="1" height="1"><image href="/etc/passwd"/></svg>', "files or addresses"),
        ('<svg width="1" height="1"><use xlink:href="http://example.org/x.svg#a"/></svg>', "files or addresses"),
        ('<svg width="1" height="1"><rect fill="url(http://example.org/x)"/></svg>', "files or addresses"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]><svg width="1" height="1"/>', "entities"),
        ('<svg xmlns="http://www.w3.org/2000/svg" width="90000" height="90000"/>', "too large"),
    ],
)
def test_what_is_not_drawn_is_said(svg: str, said: str) -> None:
    with pytest.raises(RasterError, match=said):
        to_png(svg)


@pytest.mark.parametrize(("draw", "library"), [(to_png, "resvg_py"), (to_pdf, "svglib")])
def test_without_the_library_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, draw: object, library: str) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name.split(".")[0] == library:
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RasterError, match=rf"pip install {library.replace('_', '-')} \(extra archc-nn\[render\]\)"):
        draw(two_squares())  # type: ignore[operator]
