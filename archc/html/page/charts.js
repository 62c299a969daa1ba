// Figures layer by layer as bars, over one axis: the order in which layers run.

const WIDE = 1000;
const STRIPS = ["parameters", "macs", "activations", "seconds"];

/**
 * Lets the reader step through places, of which one is current, with pointer and keyboard.
 * @param {SVGElement} node
 * @param {{
 *   label: string,
 *   count: () => number,
 *   text: (at: number) => string,
 *   move: (at: number) => void,
 *   press: (at: number) => void,
 *   leave?: () => void,
 *   keys?: boolean,
 * }} does `keys`: with the keyboard alone
 */
function scrubber(node, { label, count, text, move, press, leave, keys }) {
  let at = 0;
  const go = (place) => {
    if (!count()) return;
    at = Math.min(count() - 1, Math.max(0, place));
    node.setAttribute("aria-valuenow", String(at));
    node.setAttribute("aria-valuetext", text(at));
    move(at);
  };
  const place = (event) => {
    const area = node.getBoundingClientRect();
    return Math.floor(((event.clientX - area.left) / area.width) * count());
  };
  filled(node, { role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 0, "aria-valuenow": 0 }, []);
  if (!keys) {
    node.addEventListener("pointermove", (event) => go(place(event)));
    node.addEventListener("pointerleave", () => leave?.());
    node.addEventListener("click", () => press?.(at));
  }
  node.addEventListener("focus", () => node.matches(":focus-visible") && go(at));
  node.addEventListener("keydown", (event) => {
    const page = Math.max(2, Math.round(count() / 20));
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: page, PageDown: -page }[event.key];
    if (step) go(at + step);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(count() - 1);
    else if (event.key === "Enter" || event.key === " ") press?.(at);
    else return;
    event.preventDefault();
  });
  const refresh = () => {
    at = Math.min(at, Math.max(0, count() - 1));
    filled(
      node,
      { "aria-valuemax": Math.max(0, count() - 1), "aria-valuenow": at, "aria-valuetext": count() ? text(at) : "nothing" },
      [],
    );
  };
  return { set: (place) => (at = place), refresh };
}

class Charts {
  constructor(view) {
    this.view = view;
    this.network = view.network;
    this.strips = STRIPS.map((key) => this.#strip(COLUMNS.find((column) => column.key === key)));
    this.read = element("p", { class: "quiet readout" });
    this.node = element(
      "section",
      { class: "card", "aria-label": "Charts" },
      element("div", { class: "bar" }, element("h3", {}, "Layer by layer"), this.read),
      this.strips.map((strip) => strip.node),
      this.#legend(),
    );
    this.update();
  }

  #legend() {
    const there = [...new Set(this.network.parts.map((part) => this.network.family(part)))];
    return element(
      "p",
      { class: "legend" },
      there.map((family) => element("span", {}, element("i", { class: `dot ${family}` }), family)),
    );
  }

  #strip(column) {
    const bars = drawn("g", { class: "bars" });
    const mark = drawn("rect", { class: "mark", y: 0, height: 60, width: 0 });
    const plot = drawn("svg", { class: "strip", viewBox: `0 0 ${WIDE} 60`, preserveAspectRatio: "none" }, mark, bars);
    const title = element("span", {}, column.title);
    const total = element("span", { class: "quiet" });
    const strip = { column, bars, mark, plot, total };
    strip.scrub = scrubber(plot, {
      label: `${column.title} of each layer of ${this.network.name}`,
      count: () => this.network.count,
      text: (at) => this.#text(at, column),
      move: (at) => this.view.page.hover(this.network.parts[at].name),
      press: (at) => this.view.select(this.network.parts[at], column, plot),
      leave: () => this.view.page.hover(null),
    });
    strip.node = element("div", { class: "stripe" }, element("div", { class: "caption" }, title, total), plot);
    return strip;
  }

  #text(at, column) {
    const part = this.network.parts[at];
    return `${part.name}, ${part.kind}: ${this.view.figures.text(part, column)}`;
  }

  update() {
    const { figures } = this.view;
    for (const { column, bars, total, scrub } of this.strips) {
      scrub.refresh();
      const values = this.network.parts.map((part) => figures.value(part, column.key) || 0);
      const most = Math.max(...values.slice(0, 100_000), 0);
      const paths = {};
      const width = WIDE / this.network.count;
      values.forEach((value, i) => {
        if (!value) return;
        const height = Math.max(0.8, (56 * value) / most);
        const family = this.network.family(this.network.parts[i]);
        paths[family] =
          `${paths[family] ?? ""}M${round(i * width * 10) / 10} 60v${-round(height)}h${Math.max(1.1, Math.round(width * 90) / 100)}V60z`;
      });
      bars.replaceChildren(...Object.entries(paths).map(([family, d]) => drawn("path", { class: family, d })));
      const whole = figures.totals[column.key];
      total.textContent = Number.isNaN(whole)
        ? "no peak is stated for this dtype"
        : `${column.text(whole)} in all, at most ${column.text(most)}`;
    }
  }

  highlight(part) {
    const width = WIDE / this.network.count;
    const first = part ? part.layers[0] : 0;
    const count = part ? part.layers[part.layers.length - 1] - first + 1 : 0;
    for (const { mark, scrub } of this.strips) {
      mark.setAttribute("x", String(Math.max(0, first * width - (count * width < 3 ? 1 : 0))));
      mark.setAttribute("width", String(count && Math.max(3, count * width)));
      if (part && !part.scope) scrub.set(part.layer);
    }
    const { figures } = this.view;
    const shown = STRIPS.map((key) => COLUMNS.find((column) => column.key === key));
    this.read.textContent = part?.parent
      ? `${part.name} · ${shown.map((column) => `${figures.text(part, column) || "0"} ${column.title}`).join(" · ")}`
      : "";
  }
}
