"""SVG to PNG and to PDF, through resvg and through svglib with ReportLab: wheels alone, no library of the system.

resvg draws what a browser draws; svglib keeps text as text. Nothing is fetched: a picture names no file and no address.
"""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from archc.errors import ArchcError
from archc.text.extras import how_to_install

MOST_PIXELS = 100_000_000
_WIDE = "DejaVu Sans"
_LAST = "Bitstream Vera Sans"  # comes with ReportLab: for names of fonts that this machine does not have
_ADDRESS = re.compile(r"<image\b|\bhref\s*=\s*[\"'](?!#)|url\(\s*[\"']?(?!#)|@import", re.IGNORECASE)
_TOOLTIP = re.compile(r"<title>[^<]*</title>")  # which svglib would print where it is within a text
_LOCK = threading.Lock()  # ReportLab's fonts are global


class RasterError(ArchcError):
    """Why there is no PNG or PDF, for the user."""


def to_png(svg: str, scale: float = 2) -> bytes:
    """The picture with `scale` pixels for each of its own. Raises RasterError."""
    width, height = _size(_check_root(svg))
    if not 0 < width * scale * height * scale <= MOST_PIXELS:
        raise RasterError(f"a PNG of {width * scale:,.0f} by {height * scale:,.0f} pixels is too large; write SVG or PDF")
    try:
        import resvg_py
    except ImportError:
        raise RasterError(f"PNG needs resvg-py: {how_to_install('render', 'resvg-py')}") from None
    families: dict[str, Any] = dict.fromkeys(("font_family", "sans_serif_family", "serif_family", "monospace_family"), _LAST)
    try:
        found = resvg_py.svg_to_bytes(svg_string=svg, zoom=scale, dpi=96, **families, font_files=_bundled_fonts())
    except ValueError as error:
        raise RasterError(f"this SVG cannot be drawn: {error}") from None
    return bytes(found)


def to_pdf(svg: str) -> bytes:
    """The picture as a page of its size, text as text. Raises RasterError."""
    _check_root(svg)
    try:
        from reportlab.graphics import renderPDF
        from reportlab.pdfgen.canvas import Canvas
        from svglib.svglib import svg2rlg
    except ImportError:
        raise RasterError(f"PDF needs svglib: {how_to_install('render', 'svglib')}") from None
    with _LOCK:
        drawing = svg2rlg(io.BytesIO(_with_fonts(_TOOLTIP.sub("", svg)).encode()))
        if drawing is None:
            raise RasterError("this SVG cannot be drawn")
        out = io.BytesIO()
        page = Canvas(out, pagesize=(drawing.width, drawing.height), invariant=1)  # no date: the same picture, the same bytes
        page.setTitle(_title(svg))
        renderPDF.draw(drawing, page, 0, 0)
        page.save()
    return out.getvalue()


def _check_root(svg: str) -> ElementTree.Element:
    """The root of the SVG, which may name nothing outside itself. Raises RasterError."""
    if "<!ENTITY" in svg:
        raise RasterError("an SVG with entities is not drawn")
    bare = re.sub(r">[^<]*<", "><", svg)  # names of layers are text, not references
    if _ADDRESS.search(bare):
        raise RasterError("an SVG that names files or addresses is not drawn")
    try:
        return ElementTree.fromstring(svg.encode())
    except ElementTree.ParseError as error:
        raise RasterError(f"this is not an SVG: {error}") from None


_UNITS = {"": 1.0, "px": 1.0, "pt": 96 / 72, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4}


def _size(root: ElementTree.Element) -> tuple[float, float]:
    """Width and height in pixels. Raises RasterError."""
    found: list[float] = []
    for key in ("width", "height"):
        match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?\d+)?)\s*([a-z]*)\s*", root.get(key, ""))
        if match is None or match[2] not in _UNITS:
            raise RasterError(f"an SVG needs a {key}")
        found.append(float(match[1]) * _UNITS[match[2]])
    return found[0], found[1]


def _title(svg: str) -> str:
    for element in ElementTree.fromstring(svg.encode()):
        if element.tag.endswith("}title"):
            return element.text or ""
    return ""


def _bundled_fonts() -> list[str]:
    """A font for machines that have none: ReportLab's."""
    try:
        import reportlab
    except ImportError:
        return []
    return [str(path) for path in sorted((Path(reportlab.__file__).parent / "fonts").glob("Vera*.ttf"))]


def _with_fonts(svg: str) -> str:
    """PDF's own Helvetica has the letters of Western Europe; a picture with others names a font that has more, where there is one."""
    try:
        svg.encode("cp1252")
        return svg
    except UnicodeEncodeError:
        pass
    found = _wide_font()
    if found is None:
        return svg
    from svglib.fonts import register_font

    for weight in ("normal", "bold"):
        register_font(_WIDE, str(found), weight=weight, rlgFontName="ArchcSans")
    return re.sub(r'font-family="[^"]*"', f'font-family="{_WIDE}"', svg)


def _wide_font() -> Path | None:
    """DejaVu Sans, where systems keep fonts."""
    from reportlab import rl_config

    for folder in [Path(place).expanduser() for place in rl_config.TTFSearchPath]:
        for path in (folder / "DejaVuSans.ttf", folder / "dejavu" / "DejaVuSans.ttf"):
            if path.is_file():
                return path
    return None
