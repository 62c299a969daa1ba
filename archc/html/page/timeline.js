// Memory over a step: what is there layer by layer, by kind, with the peak named; any moment can be looked at.

const kindClass = (kind) => `kind-${kind.replaceAll(" ", "-")}`;

class TimelineChart {
  constructor(view) {
    this.view = view;
    this.network = view.network;
    this.head = element("p", { class: "lead" });
    this.areas = drawn("g");
    this.line = drawn("line", { class: "limit", x1: 0, x2: WIDE });
    this.peak = drawn("line", { class: "peak", y1: 0, y2: 200 });
    this.cursor = drawn("line", { class: "cursor", y1: 0, y2: 200, visibility: "hidden" });
    this.plot = drawn(
      "svg",
      { class: "timeline", viewBox: `0 0 ${WIDE} 200`, preserveAspectRatio: "none" },
      this.areas,
      this.line,
      this.peak,
      this.cursor,
    );
    this.axis = element("p", { class: "axis" });
    this.moment = element("div", { class: "moment" });
    this.legend = element("p", { class: "legend" });
    this.more = element("p", { class: "quiet" });
    this.node = element(
      "section",
      { class: "card", "aria-label": "Memory" },
      element("div", { class: "bar" }, element("h3", {}, "Memory")),
      this.head,
      this.plot,
      this.axis,
      this.legend,
      this.moment,
      this.more,
    );
    if (this.network.record.memory) {
      this.scrub = scrubber(this.plot, {
        label: `Memory over a step of ${this.network.name}`,
        count: () => this.found.marks.length,
        text: (at) => `after ${this.#named(at)}: ${bytes(this.found.marks[at].live)}`,
        move: (at) => this.#look(at),
        press: () => this.view.explainMemory(),
        leave: () => this.#look(this.found.at),
      });
    }
    this.update();
  }

  #named(at) {
    const mark = this.found.marks[at];
    return mark.layer < 0 ? mark.phase : `${mark.phase} ${this.network.parts[mark.layer].name}`;
  }

  update() {
    const { figures, choice, device } = this.view;
    this.found = figures.memory;
    if (!this.found) {
      this.head.textContent = "The memory of this network is not known for any batch: `archc memory` simulates it for one.";
      return;
    }
    const { marks, peak } = this.found;
    const limit = device.memory;
    this.top = peak * 1.04;
    this.#draw(marks);
    const peakAt = this.#x(this.found.at + 0.5);
    this.peak.setAttribute("x1", peakAt);
    this.peak.setAttribute("x2", peakAt);
    const inside = limit && limit < this.top;
    this.line.setAttribute("visibility", inside ? "visible" : "hidden");
    if (inside) for (const y of ["y1", "y2"]) this.line.setAttribute(y, this.#y(limit));
    const { sign, why } = boundOf(this.network.record.memory, choice);
    const what = choice.training ? `a training step with ${choice.optimizer}` : "inference";
    this.head.replaceChildren(
      element("b", { class: "peak-bytes" }, `${sign}${bytes(peak)}`),
      ` at the peak of ${what}, ${exact(choice.batch)} image${choice.batch > 1 ? "s" : ""}, `,
      element("span", {}, `in ${this.#named(this.found.at)}`),
      ` (${sign}${exact(peak)} bytes${why ? `: ${why}` : ""})`,
    );
    this.axis.replaceChildren(
      ...marks.flatMap((mark, i) =>
        (i === 0 || mark.phase !== marks[i - 1].phase) && ["forward", "backward"].includes(mark.phase)
          ? [this.#word(mark.phase, i)]
          : [],
      ),
    );
    this.more.textContent = this.#room(limit);
    this.#look(this.found.at);
    this.scrub.refresh();
  }

  #word(text, mark) {
    const word = element("span", {}, text);
    word.style.setProperty("--at", `${(100 * this.#x(mark)) / WIDE}%`);
    return word;
  }

  #room(limit) {
    const { device } = this.view;
    const words = ["Bytes that tensors ask for on CUDA; the caching allocator reserves some more (archc memory)."];
    if (limit) {
      const { sign } = boundOf(this.network.record.memory, this.view.choice);
      const part = `${sign}${percent(this.found.peak / limit)} of the ${bytes(limit)}`;
      words.unshift(`The peak is ${part} that a program can allocate on ${device.name}${this.#largest(limit, sign)}.`);
    }
    return words.join(" ");
  }

  // What `archc fit` found for the choice that the page began with; for another, the tensors alone set a limit.
  #largest(limit, sign) {
    const { choice, device, page } = this.view;
    const { memory, largest } = this.network.record;
    const begun = page.record.choice;
    const same = ["dtype", "optimizer", "training"].every((key) => choice[key] === begun[key]) && device.key === begun.device;
    if (same && largest !== null) {
      return largest ? `; a batch of ${sign === "≥" ? "at most " : sign}${exact(largest)} is the largest that fits` : "; not one image fits";
    }
    if (this.found.tape.events.length >= 60_000) return "";
    const most = largestBatch(memory, choice, limit, page.record.most_batch);
    if (most === page.record.most_batch) return "";
    return most ? `; a batch of more than ${exact(most)} does not fit (archc fit says which does)` : "; not one image fits";
  }

  #x(mark) {
    return (WIDE * mark) / this.found.marks.length;
  }

  #y(size) {
    return round(200 - (200 * size) / this.top);
  }

  #draw(marks) {
    const kinds = this.network.record.memory.kinds;
    const floor = marks.map(() => 0);
    const paths = kinds.map((kind, k) => {
      if (!marks.some((mark) => mark.kinds[k])) return null;
      let up = "";
      let down = "";
      marks.forEach((mark, i) => {
        const [a, b] = [this.#x(i), this.#x(i + 1)].map(round);
        down = `L${b} ${this.#y(floor[i])}L${a} ${this.#y(floor[i])}${down}`;
        floor[i] += mark.kinds[k];
        up += `${i ? "L" : "M"}${a} ${this.#y(floor[i])}L${b} ${this.#y(floor[i])}`;
      });
      return drawn("path", { class: kindClass(kind), d: `${up}${down}z` });
    });
    this.areas.replaceChildren(...paths.filter(Boolean));
    this.legend.replaceChildren(
      ...kinds.flatMap((kind, k) => (paths[k] ? [element("span", {}, element("i", { class: `dot ${kindClass(kind)}` }), kind)] : [])),
    );
  }

  #look(at) {
    const mark = this.found.marks[at];
    const x = this.#x(at + 0.5);
    this.cursor.setAttribute("visibility", at === this.found.at ? "hidden" : "visible");
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    const layer = mark.layer < 0 ? null : this.network.parts[mark.layer];
    if (at !== this.found.at) this.view.page.hover(layer?.name ?? null);
    const largest = alive(this.found, at, 4).map(([of, size]) => `${this.network.parts[of].name} ${bytes(size)}`);
    this.moment.replaceChildren(
      element("b", {}, at === this.found.at ? "the peak: " : ""),
      `${this.#named(at)}: ${bytes(mark.high)} during, ${bytes(mark.live)} after`,
      element("br"),
      element("span", { class: "quiet" }, largest.length ? `largest after it: ${largest.join(", ")}` : ""),
    );
  }

  highlight() {}
}
