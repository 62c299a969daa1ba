// The network as boxes and lines: scopes open and close, the picture zooms, and boxes can wear a figure as a colour.

const MOST_BOXES = 60; // that are open at first
const MOST_DRAWN = 3000;
const HEATS = [
  ["kind", "kind of layer"],
  ["parameters", "parameters"],
  ["macs", "MACs"],
  ["activations", "activations"],
  ["kept", "kept for backward"],
  ["seconds", "least time"],
];

class Diagram {
  /** @type {CanvasRenderingContext2D | null} */
  static pen = null; // measures texts

  constructor(view) {
    this.view = view;
    this.network = view.network;
    this.scale = 1;
    this.heat = "kind";
    this.open = new Set();
    this.#openSome();
    this.canvas = drawn("svg", { class: "diagram", role: "group", "aria-label": `Diagram of ${this.network.name}` });
    this.box = element("div", { class: "canvas" }, this.canvas);
    const shade = element(
      "select",
      { "aria-label": "Colour of the boxes" },
      HEATS.map(([key, text]) => element("option", { value: key }, text)),
    );
    shade.addEventListener("change", () => this.#shade(shade.value));
    this.node = element(
      "section",
      { class: "card map", "aria-label": "Diagram" },
      element(
        "div",
        { class: "bar" },
        element("h3", {}, "Diagram"),
        element("label", { class: "quiet" }, "colour ", shade),
        element(
          "span",
          { class: "group" },
          button("−", { title: "Zoom out", "aria-label": "Zoom out" }, () => this.zoom(this.scale / 1.3)),
          button("fit", { title: "Fit the width" }, () => this.fit()),
          button("+", { title: "Zoom in", "aria-label": "Zoom in" }, () => this.zoom(this.scale * 1.3)),
        ),
        element(
          "span",
          { class: "group" },
          button("fold", { title: "Fold all" }, () => this.#openTo(0)),
          button("unfold", { title: "Unfold one level more" }, () => this.#openTo(this.#depth() + 1)),
        ),
      ),
      element("div", { class: "stage" }, this.box),
    );
    this.box.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#drag();
    this.canvas.addEventListener("keydown", (event) => this.#keys(event));
    this.draw();
  }

  // Opens level by level while the boxes stay few.
  #openSome() {
    let shown = this.network.root.children.length;
    let level = this.network.root.children.filter((part) => part.scope);
    while (level.length) {
      shown += level.reduce((sum, part) => sum + part.children.length, 0);
      if (shown > MOST_BOXES) break;
      for (const part of level) this.open.add(part);
      level = level.flatMap((part) => part.children.filter((child) => child.scope));
    }
  }

  #depth() {
    return Math.max(0, ...[...this.open].map((part) => part.depth));
  }

  #openTo(depth) {
    const some = [...this.network.byName.values()].filter((part) => part.scope && part.parent && part.depth <= depth);
    if (this.#tooMany(some)) return;
    this.open = new Set(some);
    this.draw();
    this.fit();
  }

  #tooMany(open) {
    const boxes = [...open].reduce((sum, part) => sum + part.children.length, this.network.root.children.length);
    if (boxes > MOST_DRAWN) this.view.tell?.(`${exact(boxes)} boxes are too many to draw at once; the table has all layers`);
    return boxes > MOST_DRAWN;
  }

  draw() {
    if (this.network.root.children.length > MOST_DRAWN) {
      [this.size, this.groups, this.order] = [[400, 60], new Map(), []];
      this.canvas.replaceChildren(
        drawn(
          "text",
          { class: "tick", x: 10, y: 30 },
          `${exact(this.network.root.children.length)} boxes are too many to draw; the table has all layers`,
        ),
      );
      return;
    }
    const context = (Diagram.pen ??= document.createElement("canvas").getContext("2d"));
    context.font = "600 12px system-ui, sans-serif";
    const measure = (part) =>
      Math.max(
        64,
        Math.ceil(
          Math.max(
            context.measureText(this.#title(part)).width + (part.scope ? 20 : 0),
            0.92 * context.measureText(this.#caption(part)).width,
          ),
        ) + 22,
      );
    const made = layout(this.network, this.network.root, this.open, measure);
    this.size = [made.width + 40, made.height + 40];
    this.canvas.setAttribute("viewBox", `-20 -20 ${this.size.map(Math.ceil).join(" ")}`);
    this.groups = new Map();
    const lines = made.edges.map((one) => drawn("path", { class: one.arrow ? "edge arrow" : "edge", d: pathOf(one.points) }));
    const arrow = drawn(
      "marker",
      { id: fresh("arrow"), class: "head", viewBox: "0 0 6 6", refX: 5.5, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto" },
      drawn("path", { d: "M0 0L6 3L0 6z" }),
    );
    for (const line of lines) if (line.classList.contains("arrow")) line.setAttribute("marker-end", `url(#${arrow.id})`);
    const boxes = made.boxes.map((box) => this.#group(box));
    const opened = boxes.filter((one) => one.classList.contains("open"));
    this.canvas.replaceChildren(
      drawn("defs", {}, arrow),
      ...opened,
      drawn("g", {}, lines),
      ...boxes.filter((one) => !opened.includes(one)),
    );
    this.order = boxes;
    if (boxes.length) boxes[0].setAttribute("tabindex", "0");
    this.update();
    this.zoom(this.scale);
  }

  #title(part) {
    return part.terminal ? part.label : part.label || part.name;
  }

  #caption(part) {
    if (part.terminal) return part.shape;
    if (part.scope) return `${part.kind ? `${part.kind} · ` : ""}${part.layers.length} layers`;
    return `${part.kind} · ${this.network.shape(part)}`;
  }

  #group(box) {
    const { part } = box;
    const closed = part.scope && !box.open;
    const differing = this.view.differing.get(part);
    const folding = part.scope && (box.open ? "open" : "folded");
    const name = part.terminal ? part.name : [part.name, this.#caption(part), folding, differing].filter(Boolean).join(", ");
    const states = [box.open && "open", part.train && "train", differing && "differs"].filter(Boolean);
    const classes = ["box", this.network.family(part), ...states].join(" ");
    const group = drawn(
      "g",
      { class: classes, role: "button", tabindex: -1, "aria-label": name, transform: `translate(${round(box.x)} ${round(box.y)})` },
      closed && drawn("rect", { class: "behind", x: 4, y: 4, width: box.width, height: box.height, rx: 6 }),
      drawn("rect", { class: "face", width: box.width, height: box.height, rx: box.open ? 10 : 6 }),
      drawn("text", { class: "title", x: 11, y: 15 }, this.#title(part)),
      box.open
        ? drawn("text", { class: "caption", x: box.width - 10, y: 15, "text-anchor": "end" }, "−")
        : drawn("text", { class: "caption", x: 11, y: 29 }, this.#caption(part)),
      closed && drawn("text", { class: "caption", x: box.width - 10, y: 16, "text-anchor": "end" }, "+"),
    );
    group.shows = part;
    if (part.terminal) return group;
    this.groups.set(part, group);
    group.addEventListener("mouseover", (event) => (event.stopPropagation(), this.view.page.hover(part.name)));
    group.addEventListener("mouseleave", () => this.view.page.hover(null));
    group.addEventListener("focus", () => this.view.page.hover(part.name));
    group.addEventListener("click", (event) => this.#press(event, part));
    return group;
  }

  #press(event, part) {
    event.stopPropagation();
    if (this.dragged) return;
    if (part.scope) this.toggle(part);
    else this.view.select(part);
  }

  toggle(part) {
    if (!this.open.delete(part)) {
      if (this.#tooMany([...this.open, part])) return;
      this.open.add(part);
    }
    this.draw();
    this.groups.get(part)?.focus();
  }

  // Makes a part's box be there, and brings it into sight.
  reveal(part) {
    const closed = [];
    for (let one = part.parent; one?.parent; one = one.parent) if (!this.open.has(one)) closed.push(one);
    if (closed.length && !this.#tooMany([...this.open, ...closed])) {
      this.open = new Set([...this.open, ...closed]);
      this.draw();
    }
    const group = this.groups.get(part);
    if (group) inSight(this.box, group);
  }

  highlight(part) {
    for (const group of this.marked ?? []) group.classList.remove("hot");
    let shown = part;
    while (shown && !this.groups.has(shown)) shown = shown.parent;
    this.marked = shown && shown.parent ? [this.groups.get(shown)] : [];
    for (const group of this.marked) {
      group.classList.add("hot");
      if (!this.box.matches(":hover, :focus-within")) inSight(this.box, group);
    }
  }

  #shade(key) {
    this.heat = key;
    this.update();
  }

  // Colours at the figures of now.
  update() {
    const { figures } = this.view;
    this.canvas.classList.toggle("heat", this.heat !== "kind");
    const shown = [...this.groups].filter(([, group]) => !group.classList.contains("open"));
    const most = Math.max(...shown.map(([part]) => figures.value(part, this.heat) || 0), 0);
    for (const [part, group] of this.groups) {
      const share = this.heat !== "kind" && most ? (figures.value(part, this.heat) || 0) / most : 0;
      group.querySelector(".face").style.setProperty("--heat", `${Math.round(100 * Math.sqrt(share))}%`);
    }
  }

  zoom(scale, at) {
    const old = this.scale;
    this.scale = Math.min(4, Math.max(0.02, scale));
    const [x, y] = at ?? [this.box.clientWidth / 2, this.box.clientHeight / 2];
    const [left, top] = [this.box.scrollLeft + x, this.box.scrollTop + y];
    this.canvas.setAttribute("width", Math.round(this.size[0] * this.scale));
    this.canvas.setAttribute("height", Math.round(this.size[1] * this.scale));
    this.box.scrollLeft = (left * this.scale) / old - x;
    this.box.scrollTop = (top * this.scale) / old - y;
  }

  fit() {
    this.zoom(Math.min(1, Math.max(0.25, (this.box.clientWidth - 4) / this.size[0])));
    this.box.scrollTop = 0;
    this.box.scrollLeft = Math.max(0, (this.size[0] * this.scale - this.box.clientWidth) / 2);
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const area = this.box.getBoundingClientRect();
    this.zoom(this.scale * Math.exp(-event.deltaY / 300), [event.clientX - area.left, event.clientY - area.top]);
  }

  #drag() {
    let start = null;
    this.box.addEventListener("pointerdown", (event) => {
      this.dragged = false;
      if (!event.button && event.pointerType !== "touch")
        start = [event.clientX, event.clientY, this.box.scrollLeft, this.box.scrollTop];
    });
    window.addEventListener("pointermove", (event) => {
      if (!start) return;
      const [dx, dy] = [event.clientX - start[0], event.clientY - start[1]];
      if (Math.abs(dx) + Math.abs(dy) > 4) this.dragged = true;
      if (this.dragged) [this.box.scrollLeft, this.box.scrollTop] = [start[2] - dx, start[3] - dy];
    });
    window.addEventListener("pointerup", () => (start = null));
  }

  #keys(event) {
    const group = event.target.closest(".box");
    if (event.key === "+" || event.key === "=") this.zoom(this.scale * 1.3);
    else if (event.key === "-") this.zoom(this.scale / 1.3);
    else if (event.key === "0") this.fit();
    else if (group && (event.key === "Enter" || event.key === " ")) {
      this.dragged = false;
      if (group.shows.terminal) return;
      this.#press(event, group.shows);
    } else if (group && ["ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft"].includes(event.key)) {
      const step = event.key === "ArrowDown" || event.key === "ArrowRight" ? 1 : -1;
      const next = this.order[this.order.indexOf(group) + step];
      if (next) {
        for (const one of this.order) one.setAttribute("tabindex", "-1");
        next.setAttribute("tabindex", "0");
        next.focus();
      }
    } else return;
    event.preventDefault();
  }
}
