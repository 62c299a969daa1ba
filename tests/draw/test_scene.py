"""The SVG scene and the themes."""

from __future__ import annotations

from colorsys import rgb_to_hls

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.draw.scene import Box, Scene, escape, mix, number, shorten, text_box, text_width
from archc.draw.theme import DARK, FAMILIES, LIGHT, THEMES, Theme, family
from archc.ops.registry import OPERATORS
from tests.draw.pictures import _font, painted, titles, tree, words

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


@given(TEXTS, TEXTS)
def test_any_text_comes_back_from_the_svg_and_is_text(content: str, tooltip: str) -> None:
    scene = Scene(LIGHT, content)
    scene.text((0, 0), content, title=tooltip)
    scene.rect(Box(0, 0, 1, 1), "#ffffff", title=tooltip)
    root = tree(scene.svg())
    shown = words(root)[0]
    assert shown.isprintable()
    assert content.isprintable() <= (shown == content)
    assert not tooltip or tooltip.isprintable() <= (tooltip in titles(root))


@given(TEXTS)
def test_escaped_text_closes_no_quote_and_opens_no_tag(text: str) -> None:
    assert not set(escape(text)) & set("<>\"'")


@given(st.floats(-1e6, 1e6))
def test_numbers_are_plain_and_within_a_hundredth(value: float) -> None:
    text = number(value)
    assert abs(float(text) - value) <= 0.00501
    assert "e" not in text and text != "-0" and not (text.endswith("0") and "." in text)


@given(st.text([*map(chr, range(32, 127)), "×", "·", "…", "–"], min_size=1, max_size=60), st.booleans())
def test_the_width_of_a_text_is_not_underestimated(text: str, bold: bool) -> None:
    font = _font("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    assert text_width(text, 100, bold) >= font.getlength(text)


@given(TEXTS, st.floats(5, 300))
def test_a_shortened_text_fits_and_keeps_its_ends(text: str, room: float) -> None:
    short = shorten(text, 10, room)
    assert text_width(short, 10) <= room
    assert short in (text, "") or text.startswith(short.partition("…")[0])


@given(st.floats(-100, 100), st.floats(-100, 100), st.sampled_from(("start", "middle", "end")), st.sampled_from((0, -90, 30)))
def test_the_picture_holds_all_that_is_in_it(x: float, y: float, anchor: str, turned: float) -> None:
    scene = Scene(LIGHT, "t")
    box = scene.text((x, y), "some words", 12, anchor=anchor, turned=turned)
    scene.line([(x, y), (x + 50, y - 70)], "#000000")
    left, top, width, height = map(float, tree(scene.svg()).attrib["viewBox"].split())
    for inner in (box, Box(x, y - 70, x + 50, y)):
        assert left <= inner.left and top <= inner.top
        assert inner.right <= left + width and inner.bottom <= top + height


def test_a_text_box_is_where_a_renderer_puts_it() -> None:
    for anchor in ("start", "middle", "end"):
        scene = Scene(LIGHT, "t")
        estimate = scene.text((40, 40), "Receptive 224", 20, anchor=anchor)
        assert estimate == text_box((40, 40), "Receptive 224", 20, anchor)
        ((_, real),) = painted(tree(scene.svg()))
        assert estimate.left <= real.left + 0.5 and real.right <= estimate.right + 0.5
        assert estimate.top <= real.top and real.bottom <= estimate.bottom


def test_mixing_goes_from_one_color_to_the_other() -> None:
    assert (mix("#102030", "#ffffff", 0), mix("#102030", "#ffffff", 1)) == ("#102030", "#ffffff")


def test_every_operator_has_a_family() -> None:
    unknown = {kind for kind in OPERATORS if family(kind) == "other"}
    assert {kind for kind in unknown if OPERATORS[kind].module.startswith("archc.ops")} <= {
        "computed",
        "layer_scale",
        "scale",
        "position_embedding",
        "opaque",
    }


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_text_is_legible_on_the_background_and_on_every_fill(theme: Theme) -> None:
    """WCAG 2: 4.5 to 1 for text, 3 to 1 for what else is to be seen."""
    assert contrast(theme.ink, theme.background) >= 7 and contrast(theme.faint, theme.background) >= 4.5
    for name in FAMILIES:
        assert contrast(theme.ink, theme.family_fill(name)) >= 4.5, name
        assert contrast(theme.family_edge(name), theme.background) >= 3, name


@pytest.mark.parametrize("theme", (LIGHT, DARK), ids=("light", "dark"))
@pytest.mark.parametrize("eye", ("none", "protan", "deutan", "tritan"))
def test_the_families_that_stand_side_by_side_differ_for_every_eye(theme: Theme, eye: str) -> None:
    """Machado, Oliveira & Fernandes (2009), full deficiency; distances in CIELAB, where about 2.3 is just noticeable."""
    main = ("convolution", "pooling", "linear", "normalization", "activation", "merge", "attention", "upsampling")
    seen = {name: lab(simulated(theme.family_fill(name), eye)) for name in main}
    for i, a in enumerate(main):
        for b in main[i + 1 :]:
            far = sum((p - q) ** 2 for p, q in zip(seen[a], seen[b], strict=True)) ** 0.5
            assert far >= 4.5, (a, b, far)


def test_colors_are_colors() -> None:
    for theme in THEMES.values():
        for color in [
            theme.background,
            theme.ink,
            theme.faint,
            theme.line,
            theme.grid,
            *dict(theme.fills).values(),
            *dict(theme.edges).values(),
        ]:
            assert len(color) == 7 and 0 <= rgb_to_hls(*(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)))[1] <= 1


def linear(color: str) -> list[float]:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]


def contrast(one: str, other: str) -> float:
    low, high = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other)))
    return (high + 0.05) / (low + 0.05)


EYES = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def simulated(color: str, eye: str) -> list[float]:
    return [max(0.0, sum(a * b for a, b in zip(row, linear(color), strict=True))) for row in EYES[eye]]


def lab(color: list[float]) -> tuple[float, float, float]:
    r, g, b = color
    x, y, z = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883,
    )
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
