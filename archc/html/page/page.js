// The page: what is chosen, one view a network, what changed between two, and light or dark.

class Page {
  constructor(record) {
    this.record = record;
    this.choice = { ...record.choice };
    this.panel = new Panel(document.getElementById("panel"));
    this.views = [];
    this.#choose({});
    this.networks = record.networks.map((one) => new Network(one, record.families));
    this.#header();
    this.views = this.networks.map((network, i) => new View(this, network, this.#differing(i)));
    const main = document.getElementById("networks");
    main.classList.toggle("two", this.views.length > 1);
    if (this.views.length > 1) {
      this.compared = element("section", { class: "card compare", "aria-label": "The two networks compared" });
      main.before(this.compared);
      this.#compare();
    }
    main.append(...this.views.map((view) => view.node));
    for (const view of this.views) view.diagram.fit();
  }

  // The parts of a network that the other lacks or has otherwise, with what befell them.
  #differing(which) {
    const found = new Map();
    for (const change of this.record.difference?.changes ?? []) {
      if (change.what === "renamed") continue;
      for (const name of which ? change.parts_new : change.parts_old) found.set(this.networks[which].byName.get(name), change.what);
    }
    return found;
  }

  #choose(change) {
    Object.assign(this.choice, change);
    this.choice.item = this.record.dtypes.find((one) => one.name === this.choice.dtype).bytes;
    this.device = this.record.devices.find((one) => one.key === this.choice.device);
  }

  set(change) {
    this.#choose(change);
    for (const view of this.views) view.update();
    if (this.compared) this.#compare();
  }

  hover(name) {
    if (name === this.hovered) return;
    this.hovered = name;
    for (const view of this.views) view.highlight(name);
  }

  #header() {
    const { record, choice } = this;
    const select = (label, name, options, chosen) => {
      const node = element(
        "select",
        { id: `choose-${name}` },
        options.map(([value, text]) => element("option", { value, selected: value === String(chosen) }, text)),
      );
      node.addEventListener("change", () => this.set({ [name]: name === "training" ? node.value === "true" : node.value }));
      return element("label", {}, element("span", {}, label), node);
    };
    const optimizers = record.networks.map((one) => one.memory?.optimizers).find(Boolean) ?? [{ name: choice.optimizer }];
    document.getElementById("top").append(
      element("h1", {}, this.networks.map((network) => network.name).join(" and ")),
      element(
        "form",
        { class: "choices", "aria-label": "What the figures are for" },
        this.#batch(),
        select(
          "dtype",
          "dtype",
          record.dtypes.map((one) => [one.name, one.name === "autocast" ? "autocast to bfloat16" : one.name]),
          choice.dtype,
        ),
        select(
          "for",
          "training",
          [
            ["true", "training"],
            ["false", "inference"],
          ],
          choice.training,
        ),
        select(
          "optimizer",
          "optimizer",
          optimizers.map((one) => [one.name, one.name]),
          choice.optimizer,
        ),
        select(
          "device",
          "device",
          record.devices.map((one) => [one.key, one.name]),
          choice.device,
        ),
      ),
      this.#themes(),
    );
    document.querySelector(".choices").addEventListener("submit", (event) => event.preventDefault());
  }

  #batch() {
    const node = element("input", {
      id: "choose-batch",
      type: "number",
      min: 1,
      max: this.record.most_batch,
      step: 1,
      value: this.choice.batch,
      inputmode: "numeric",
    });
    node.addEventListener("input", () => {
      const batch = Number(node.value);
      const good = Number.isInteger(batch) && batch >= 1 && batch <= this.record.most_batch;
      node.setAttribute("aria-invalid", String(!good));
      if (good) this.set({ batch });
    });
    const double = (times) => () => {
      node.value = String(Math.min(this.record.most_batch, Math.max(1, Math.floor(this.choice.batch * times))));
      this.set({ batch: Number(node.value) });
    };
    return element(
      "span",
      { class: "pair" },
      element("label", {}, element("span", {}, "batch"), node),
      button("½", { "aria-label": "Half the batch" }, double(0.5)),
      button("×2", { "aria-label": "Twice the batch" }, double(2)),
    );
  }

  #themes() {
    const root = document.documentElement;
    const words = ["auto", "light", "dark"];
    const buttons = words.map((word) =>
      button(word, { "aria-pressed": String(word === "auto") }, () => {
        root.dataset.theme = word;
        buttons.forEach((one, i) => one.setAttribute("aria-pressed", String(words[i] === word)));
      }),
    );
    return element("span", { class: "group", role: "group", "aria-label": "Light or dark" }, buttons);
  }

  #compare() {
    const [old, now] = this.views;
    const figure = (view, key) => (key === "peak" ? view.figures.memory?.peak : view.figures.totals[key]);
    /** @type {[string, string, (value: number) => string][]} */
    const kinds = [
      ["parameters", "parameters", exact],
      ["MACs", "macs", exact],
      ["FLOPs", "flops", exact],
      ["activations", "activations", bytes],
      ["peak memory", "peak", bytes],
      ["least time", "seconds", seconds],
    ];
    const rows = kinds.map(([title, key, text]) => {
      const [a, b] = [figure(old, key), figure(now, key)];
      const there = a !== undefined && b !== undefined && !Number.isNaN(a + b);
      return [
        title,
        there ? text(a) : "?",
        there ? text(b) : "?",
        there && a ? `×${ratio(b / a)}` : "",
        there ? (b === a ? "same" : `${b > a ? "+" : "−"}${text(Math.abs(b - a))}`) : "",
      ];
    });
    const { same, reshaped, changes } = this.record.difference;
    const told = `${exact(same)} layers are as they were${reshaped ? `, ${exact(reshaped)} of them with other shapes` : ""}`;
    this.compared.replaceChildren(
      element("h2", {}, "Side by side"),
      element("div", { class: "scroll" }, plainTable(["", old.network.name, now.network.name, "ratio", "change"], rows)),
      changes.length
        ? element(
            "details",
            { open: changes.length <= 12 },
            element("summary", {}, `What changed (${exact(changes.length)}); ${told}`),
            this.#changes(changes),
          )
        : element("p", {}, told),
    );
  }

  #changes(changes) {
    const signs = { added: "+", removed: "−", changed: "~", renamed: "=", moved: ">" };
    const signed = (value) => (value ? `${value > 0 ? "+" : "−"}${exact(Math.abs(value))}` : "");
    return element(
      "div",
      { class: "scroll changes" },
      plainTable(
        ["change", "parameters", "MACs"],
        changes.slice(0, 500).map((one) => {
          const names = one.new.length ? one.new : one.old;
          const was = one.what === "renamed" || one.what === "moved" ? `, was ${few(one.old)}` : "";
          const times = one.times > 1 ? ` ${one.times} times` : "";
          const details = one.details.length ? `: ${one.details.join(", ")}` : "";
          const what = `${signs[one.what]} ${one.what}${times}: ${few(names)}${was} (${one.kind})${details}`;
          const first = one.parts_new[0] ?? one.parts_old[0];
          return [
            button(what, { class: "link", on: { mouseover: () => this.hover(first), focus: () => this.hover(first) } }, () =>
              this.#goTo(one),
            ),
            signed(one.costs.parameters),
            signed(one.costs.macs),
          ];
        }),
      ),
    );
  }

  #goTo(change) {
    [change.parts_old[0], change.parts_new[0]].forEach((name, i) => {
      const part = name === undefined ? null : this.networks[i].byName.get(name);
      if (part) this.views[i].diagram.reveal(part);
      if (part) this.hover(name);
    });
  }
}

const few = (names) => names.slice(0, 4).join(", ") + (names.length > 4 ? `, and ${names.length - 4} more` : "");

new Page(JSON.parse(document.getElementById("data").textContent));
