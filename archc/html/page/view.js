// One network: its figures, diagram, charts, memory, roofline and table, which follow the same choice and the same pointer.

class View {
  constructor(page, network, differing) {
    this.page = page;
    this.network = network;
    this.differing = differing;
    this.#compute();
    this.said = element("p", { class: "hidden", role: "status", "aria-live": "polite" });
    this.cards = element("div", { class: "figures" });
    this.diagram = new Diagram(this);
    this.charts = new Charts(this);
    this.timeline = new TimelineChart(this);
    this.roofline = new RooflineChart(this);
    this.table = new LayerTable(this);
    this.views = [this.diagram, this.charts, this.timeline, this.roofline, this.table];
    this.node = element(
      "article",
      { class: "network", "aria-label": network.name },
      this.#head(),
      this.cards,
      this.said,
      element(
        "div",
        { class: "panes" },
        this.diagram.node,
        element("div", { class: "pane" }, this.charts.node, this.table.node, this.timeline.node, this.roofline.node),
      ),
    );
    this.#figures();
  }

  #compute() {
    this.choice = this.page.choice;
    this.device = this.page.device;
    this.figures = new Figures(this.network, this.choice, this.device);
  }

  #head() {
    const { doc, paper, params, inputs } = this.network.record;
    const words = [paper.title && `“${paper.title}”`, paper.authors, paper.venue || paper.year].filter(Boolean).join(", ");
    const safe = /^https?:\/\//i.test(paper.url ?? "");
    const set = Object.entries(params)
      .map(([name, value]) => `${name} ${value.length > 40 ? "[…]" : value}`)
      .join(", ");
    this.setting = element("p", { class: "setting" });
    return element(
      "div",
      { class: "about" },
      element("h2", {}, this.network.name),
      doc && element("p", {}, doc),
      this.setting,
      element(
        "p",
        { class: "quiet" },
        `input ${inputs.map((input) => (inputs.length > 1 ? `${input.name} ` : "") + input.shape).join(", ")}`,
        set && ` · ${set}`,
        words && " · ",
        words && (safe ? element("a", { href: paper.url, rel: "noreferrer noopener" }, words) : words),
      ),
    );
  }

  #figures() {
    const { totals, memory } = this.figures;
    const { batch, dtype, training, optimizer } = this.choice;
    const what = training ? `training with ${optimizer}` : "inference";
    this.setting.textContent = `For ${what}, a batch of ${exact(batch)}, ${dtype}, on ${this.device.name}.`;
    const open = this.figures.open.get(this.network.root) ?? new Set();
    const column = (key) => COLUMNS.find((one) => one.key === key);
    const sum = (key) => () => this.explain(this.network.root, column(key));
    const cards = [
      ...["parameters", "macs", "flops"].map((key) => [
        column(key).title,
        `${open.has(key) ? "≥" : ""}${short(totals[key])}`,
        exact(totals[key]),
        sum(key),
      ]),
      [
        "activations",
        bytes(totals.activations),
        `of ${exact(batch)} image${batch > 1 ? "s" : ""} in ${dtype === "autocast" ? "float32" : dtype}`,
        sum("activations"),
      ],
      memory && ["peak memory", bytes(memory.peak), `${exact(memory.peak)} bytes`, () => this.explainMemory()],
      [
        "least time",
        Number.isNaN(totals.seconds) ? "?" : seconds(totals.seconds),
        Number.isNaN(totals.seconds) ? "no peak is stated" : `on ${this.device.key}`,
        sum("seconds"),
      ],
    ].filter(Boolean);
    this.cards.replaceChildren(
      ...cards.map(([title, text, detail, press]) => {
        const node = button("", { class: "figure", title: "How it comes about", "data-figure": title }, press);
        node.append(
          element("span", { class: "quiet" }, title),
          element("b", {}, text),
          element("span", { class: "quiet small" }, detail),
        );
        return node;
      }),
    );
  }

  update() {
    this.#compute();
    this.#figures();
    for (const one of this.views) one.update();
    this.highlight(this.hovered);
    if (this.explained) this.explained();
  }

  highlight(name) {
    this.hovered = name;
    const part = name ? (this.network.byName.get(name) ?? null) : null;
    for (const one of this.views) one.highlight(part);
  }

  // Opens how a part's numbers come about, and shows where it is.
  select(part, column, from) {
    this.diagram.reveal(part);
    this.page.hover(part.name);
    this.explain(part, column);
    if (from) this.page.panel.from = from;
  }

  explain(part, column) {
    const fill = () =>
      this.page.panel.show(
        part.parent ? `${part.name}${part.scope ? "" : `: ${part.kind}`}` : `${this.network.name}: ${column?.title ?? "all"}`,
        ...(part.scope ? scopeContent(this, part, column) : layerContent(this, part, column)),
      );
    this.#keep(fill);
    this.page.panel.node.querySelector(".wanted")?.scrollIntoView({ block: "nearest" });
  }

  explainMemory() {
    this.#keep(() => this.page.panel.show(`${this.network.name}: peak memory`, ...memoryContent(this)));
  }

  // Fills the panel, and again whenever the choice changes.
  #keep(fill) {
    for (const view of this.page.views) view.explained = null;
    fill();
    this.explained = () => {
      if (this.page.panel.node.hidden) return;
      const focused = /** @type {HTMLElement | SVGElement | null} */ (document.activeElement);
      fill();
      focused?.focus?.({ preventScroll: true });
    };
  }

  tell(text) {
    this.said.textContent = text;
    this.said.classList.add("told");
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.said.classList.remove("told"), 4000);
  }
}
