// The roofline: FLOPs a byte against FLOPs a second, both in powers of ten, under the roof of a device.

const PLOT = { left: 58, right: 26, top: 14, bottom: 34, width: 720, height: 300 };

class RooflineChart {
  constructor(view) {
    this.view = view;
    this.network = view.network;
    this.head = element("p", { class: "lead" });
    this.plot = drawn("svg", { class: "roofline", viewBox: `0 0 ${PLOT.width} ${PLOT.height}` });
    this.note = element("p", { class: "quiet" });
    this.node = element(
      "section",
      { class: "card", "aria-label": "Roofline" },
      element("div", { class: "bar" }, element("h3", {}, "Roofline")),
      this.head,
      this.plot,
      this.note,
    );
    this.scrub = scrubber(this.plot, {
      label: `Layers of ${this.network.name} by FLOPs a byte`,
      count: () => this.points.length,
      text: (at) => this.#text(this.points[at]),
      move: (at) => this.view.page.hover(this.points[at].part.name),
      press: (at) =>
        this.view.select(
          this.points[at].part,
          COLUMNS.find((column) => column.key === "seconds"),
          this.plot,
        ),
      keys: true,
    });
    this.update();
  }

  #text({ part, time }) {
    return `${part.name}: ${ratio(time.flops / time.bytes)} FLOPs a byte, ${seconds(time.seconds)}, bound by ${time.by}`;
  }

  update() {
    const { figures, device, choice } = this.view;
    const peak = device.flops[peakName(choice)];
    this.dots = new Map();
    this.points = [];
    if (!peak) {
      this.head.textContent = `${device.name} states no peak for ${peakName(choice)}; it states ${Object.keys(device.flops).join(", ")}.`;
      this.plot.replaceChildren();
      return;
    }
    const totals = figures.totals;
    const computed = figures.times.reduce((sum, time) => sum + (time.by === "compute" ? time.seconds : 0), 0) / (totals.seconds || 1);
    const share = percent(computed);
    const speed = choice.batch / totals.seconds;
    this.head.replaceChildren(
      element("b", {}, seconds(totals.seconds)),
      ` at least for a ${choice.training ? "step, forward and backward," : "forward pass"} on ${device.name}: `,
      `at most ${speed < 1000 ? digits(speed) : short(Math.round(speed))} images/s. `,
      computed
        ? `${share[0].toUpperCase()}${share.slice(1)} of it is bound by arithmetic, the rest by bandwidth.`
        : "None of it is bound by arithmetic, all by bandwidth.",
    );
    this.note.textContent =
      `${rate(peak, "FLOP/s")} in ${peakName(choice)}, ${rate(device.bandwidth, "B/s")} (${device.source}). ` +
      "A bound, layer by layer at full peak and bandwidth: no forecast." +
      (choice.dtype === "autocast" ? " Under autocast the bound is that of bfloat16 throughout, which no layer beats." : "");
    this.points = this.network.parts.flatMap((part) => {
      const time = figures.times[part.layer];
      return time.flops && time.bytes ? [{ part, time }] : [];
    });
    this.scrub.refresh();
    this.#draw(peak, device.bandwidth, totals.seconds);
  }

  #draw(peak, bandwidth, whole) {
    const ridge = peak / bandwidth;
    const rates = this.points.map(({ time }) => time.flops / time.bytes);
    const low = Math.floor(Math.log10(Math.min(ridge / 10, ...rates.slice(0, 100_000), 1)));
    const high = Math.ceil(Math.log10(Math.max(ridge * 10, ...rates.slice(0, 100_000))));
    const top = Math.ceil(Math.log10(peak) + 0.15);
    const bottom = Math.floor(Math.log10(bandwidth * 10 ** low));
    const x = (rate) => PLOT.left + ((PLOT.width - PLOT.left - PLOT.right) * (Math.log10(rate) - low)) / (high - low);
    const y = (speed) => PLOT.top + ((PLOT.height - PLOT.top - PLOT.bottom) * (top - Math.log10(speed))) / (top - bottom);
    const grid = [];
    for (let n = low; n <= high; n++) {
      grid.push(
        drawn("line", { class: "grid", x1: x(10 ** n), x2: x(10 ** n), y1: PLOT.top, y2: PLOT.height - PLOT.bottom }),
        drawn("text", { class: "tick", x: x(10 ** n), y: PLOT.height - 18, "text-anchor": "middle" }, power(n)),
      );
    }
    for (let n = bottom; n <= top; n++) {
      grid.push(
        drawn("line", { class: "grid", x1: PLOT.left, x2: PLOT.width - PLOT.right, y1: y(10 ** n), y2: y(10 ** n) }),
        drawn("text", { class: "tick", x: PLOT.left - 6, y: y(10 ** n) + 4, "text-anchor": "end" }, power(n)),
      );
    }
    const roof = `M${x(10 ** low)} ${y(bandwidth * 10 ** low)}L${x(ridge)} ${y(peak)}L${x(10 ** high)} ${y(peak)}`;
    const dots = [...this.points]
      .sort((a, b) => b.time.seconds - a.time.seconds)
      .map(({ part, time }) => {
        const dot = drawn(
          "circle",
          {
            class: this.network.family(part),
            cx: round(x(time.flops / time.bytes)),
            cy: round(y(time.flops / time.seconds)),
            r: round(3 + 22 * Math.sqrt(time.seconds / whole)),
          },
          drawn("title", {}, this.#text({ part, time })),
        );
        dot.addEventListener("mouseenter", () => this.view.page.hover(part.name));
        dot.addEventListener("mouseleave", () => this.view.page.hover(null));
        dot.addEventListener("click", () =>
          this.view.select(
            part,
            COLUMNS.find((column) => column.key === "seconds"),
            this.plot,
          ),
        );
        this.dots.set(part, dot);
        return dot;
      });
    this.plot.replaceChildren(
      ...grid,
      drawn("path", { class: "roof", d: roof }),
      ...dots,
      drawn("text", { class: "tick", x: x(ridge), y: y(peak) - 18, "text-anchor": "middle" }, rate(peak, "FLOP/s")),
      drawn(
        "text",
        { class: "tick", x: PLOT.width / 2, y: PLOT.height - 3, "text-anchor": "middle" },
        "FLOPs a byte (area of a dot: its part of the time)",
      ),
    );
  }

  highlight(part) {
    for (const dot of this.marked ?? []) dot.classList.remove("hot");
    this.marked = part ? part.layers.map((i) => this.dots.get(this.network.parts[i])).filter(Boolean) : [];
    for (const dot of this.marked) dot.classList.add("hot");
  }
}
