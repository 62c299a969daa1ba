"""A picture as a page of its own: the SVG inlined, to be moved and magnified by mouse, touch and keyboard. It fetches nothing."""

from __future__ import annotations

import base64
import hashlib

from archc.draw.scene import escape
from archc.draw.theme import Theme

_STYLE = """
html, body { margin: 0; height: 100%; background: BACKGROUND; color: INK; font: 14px Helvetica, Arial, sans-serif; }
body { display: flex; flex-direction: column; }
header { display: flex; gap: 1em; align-items: baseline; padding: 8px 14px; border-bottom: 1px solid GRID; }
h1 { font-size: 15px; margin: 0; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
header span { color: FAINT; font-size: 12px; margin-left: auto; }
button { font: inherit; color: inherit; background: none; border: 1px solid GRID; border-radius: 4px; min-width: 2em; cursor: pointer; }
main { flex: 1; min-height: 0; overflow: hidden; touch-action: none; cursor: grab; }
main:active { cursor: grabbing; }
main > svg { width: 100%; height: 100%; display: block; }
@media print { header { display: none; } main { overflow: visible; } }
"""

_SCRIPT = """
(() => {
  const svg = document.querySelector("main > svg"), area = svg.parentElement;
  const whole = svg.getAttribute("viewBox").split(/[ ,]+/).map(Number);
  let view = whole.slice();
  svg.removeAttribute("width"); svg.removeAttribute("height");
  const show = () => svg.setAttribute("viewBox", view.join(" "));
  const scale = () => Math.max(view[2] / area.clientWidth, view[3] / area.clientHeight) || 1;
  const at = (x, y) => {
    const box = area.getBoundingClientRect(), s = scale();
    return [view[0] + view[2] / 2 + (x - box.left - box.width / 2) * s, view[1] + view[3] / 2 + (y - box.top - box.height / 2) * s];
  };
  const zoom = (factor, x, y) => {
    const size = Math.min(Math.max(view[2] * factor, whole[2] / 200), whole[2] * 5) / view[2];
    view = [x - (x - view[0]) * size, y - (y - view[1]) * size, view[2] * size, view[3] * size];
    show();
  };
  const middle = () => [view[0] + view[2] / 2, view[1] + view[3] / 2];
  const move = (dx, dy) => { view[0] -= dx * scale(); view[1] -= dy * scale(); show(); };
  const fit = () => { view = whole.slice(); show(); };
  const width = () => {
    const high = whole[2] * area.clientHeight / area.clientWidth;
    view = high < whole[3] ? [whole[0], whole[1], whole[2], high] : whole.slice();
    show();
  };
  area.addEventListener("wheel", event => {
    event.preventDefault();
    const amount = event.deltaMode === 1 ? event.deltaY * 20 : event.deltaY;
    zoom(Math.exp(Math.max(-200, Math.min(200, amount)) * 0.002), ...at(event.clientX, event.clientY));
  }, {passive: false});
  const down = new Map();
  area.addEventListener("pointerdown", event => { down.set(event.pointerId, event); area.setPointerCapture(event.pointerId); });
  area.addEventListener("pointermove", event => {
    const before = down.get(event.pointerId);
    if (!before) return;
    if (down.size === 2) {
      const other = [...down.entries()].find(entry => entry[0] !== event.pointerId)[1];
      const far = point => Math.hypot(point.clientX - other.clientX, point.clientY - other.clientY) || 1;
      zoom(far(before) / far(event), ...at((event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2));
    }
    move((event.clientX - before.clientX) / down.size, (event.clientY - before.clientY) / down.size);
    down.set(event.pointerId, event);
  });
  for (const kind of ["pointerup", "pointercancel"]) area.addEventListener(kind, event => down.delete(event.pointerId));
  const keys = {
    "+": () => zoom(0.8, ...middle()), "=": () => zoom(0.8, ...middle()), "-": () => zoom(1.25, ...middle()), "0": fit, "w": width,
    ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0), ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
    PageUp: () => move(0, area.clientHeight * 0.9), PageDown: () => move(0, -area.clientHeight * 0.9),
  };
  document.addEventListener("keydown", event => {
    const does = keys[event.key];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    does();
  });
  for (const button of document.querySelectorAll("button")) button.addEventListener("click", keys[button.value]);
  if (whole[3] * area.clientWidth > 2.2 * whole[2] * area.clientHeight) width();
})();
"""


def page(title: str, svg: str, theme: Theme) -> str:
    """The HTML page. The SVG is one that archc drew, whose texts are escaped; no other script than its own can run."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    colors = {"BACKGROUND": theme.background, "INK": theme.ink, "FAINT": theme.faint, "GRID": theme.grid}
    style = _STYLE
    for name, color in colors.items():
        style = style.replace(name, color)
    rules = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{rules}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>
<span>wheel or + − to magnify, drag or arrows to move, 0 for all of it, w for its width</span>
<button value="+" aria-label="magnify">+</button><button value="-" aria-label="make smaller">−</button>
<button value="0">all</button></header>
<main>{svg.strip()}</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""
