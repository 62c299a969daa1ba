"""The page in a real browser: light and dark, contrast, print, narrow windows, labels."""

from __future__ import annotations

import pytest

from tests.html.conftest import Open
from tests.html.seen import row, rows

GROUND = "getComputedStyle(document.body).backgroundColor"


def test_dark_follows_the_reader_and_the_switch(opened: Open) -> None:
    light, dark = opened("one"), opened("one", color_scheme="dark")
    white, black = light.evaluate(GROUND), dark.evaluate(GROUND)
    assert white != black
    light.get_by_role("button", name="dark").click()
    assert light.evaluate(GROUND) == black
    dark.get_by_role("button", name="light").click()
    assert dark.evaluate(GROUND) == white


CONTRAST = """() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (color, under) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = `rgb(${under})`; context.fillRect(0, 0, 1, 1);
    context.fillStyle = color; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    const face = node.namespaceURI.includes("svg") && node.parentNode.querySelector(":scope > .face");
    const chain = [];
    if (face) chain.push(getComputedStyle(face).fill);
    for (let one = node; one; one = one.parentElement) chain.push(getComputedStyle(one).backgroundColor);
    return chain.reverse().reduce((under, color) => paint(color, under), [255, 255, 255]);
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) || !node.getClientRects().length) continue;
    if (["SCRIPT", "STYLE", "OPTION", "title"].includes(node.tagName)) continue;
    const svg = node.namespaceURI.includes("svg");
    const ground = behind(node);
    const ink = paint(svg ? getComputedStyle(node).fill : getComputedStyle(node).color, ground);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${node.tagName}.${node.getAttribute("class")} ${node.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(opened: Open, scheme: str) -> None:
    page = opened("one", color_scheme=scheme)
    page.locator(".map").get_by_role("button", name="unfold").click()
    page.get_by_role("button", name="list").click()
    row(page, rows(page)[3]).locator("td").nth(3).click()
    assert page.evaluate(CONTRAST) == []
    page.locator(".map select").select_option("macs")
    assert page.evaluate(CONTRAST) == []


def test_it_prints(opened: Open) -> None:
    page = opened("one")
    page.emulate_media(media="print")
    assert page.locator("#top").is_hidden() and page.locator(".layers table").is_visible()
    assert len(page.pdf()) > 20_000


def test_it_has_landmarks_and_labels(opened: Open) -> None:
    page = opened("one")
    for landmark in ("main", "banner"):
        assert page.get_by_role(landmark).count() == 1
    unnamed = page.evaluate("""() => [...document.querySelectorAll("button, input, select, [role=slider], section")].filter((node) =>
      !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length)).map((node) => node.outerHTML.slice(0, 80))""")
    assert unnamed == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_a_narrow_window_scrolls_no_page_sideways(opened: Open) -> None:
    page = opened("two")
    for width in (400, 800, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
