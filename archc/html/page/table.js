// The layers as a table: a tree of scopes or a flat list, sorted by any column, filtered, with the sums of what is shown.

const MOST_ROWS = 300; // drawn at once; more on demand

/** @typedef {HTMLTableRowElement & {shows?: Part}} Row */

class LayerTable {
  constructor(view) {
    this.view = view;
    this.network = view.network;
    this.flat = false;
    this.sort = { key: "", down: true };
    this.filter = "";
    this.most = MOST_ROWS;
    this.open = new Set([this.network.root]);
    this.holding = new Set();
    this.#openSome();
    this.node = this.#frame();
    this.draw();
  }

  #openSome() {
    const scopes = [...this.network.byName.values()].filter((part) => part.scope);
    if (this.network.count <= 60) for (const part of scopes) this.open.add(part);
  }

  #frame() {
    this.field = element("input", {
      type: "search",
      placeholder: "filter by name or kind",
      "aria-label": "Filter layers by name or kind",
    });
    this.field.addEventListener("input", () => this.set({ filter: this.field.value.trim().toLowerCase(), most: MOST_ROWS }));
    this.said = element("span", { class: "quiet", role: "status", "aria-live": "polite" });
    this.views = ["tree", "list"].map((word) =>
      button(
        word,
        { "aria-pressed": String(word === "tree"), title: word === "tree" ? "Layers within their scopes" : "Layers alone" },
        () => this.set({ flat: word === "list" }),
      ),
    );
    this.body = element("tbody");
    this.foot = element("tfoot");
    this.head = element(
      "tr",
      { role: "row" },
      COLUMNS.map((column) => this.#heading(column)),
    );
    this.grid = element(
      "table",
      { role: "treegrid", "aria-label": `Layers of ${this.network.name}` },
      element("thead", { role: "rowgroup" }, this.head),
      this.body,
      this.foot,
    );
    this.grid.addEventListener("keydown", (event) => this.#keys(event));
    this.grid.addEventListener("mouseover", (event) => this.view.page.hover(event.target.closest("tr")?.shows?.name ?? null));
    this.grid.addEventListener("mouseleave", () => this.view.page.hover(null));
    this.grid.addEventListener("focusin", (event) => this.view.page.hover(event.target.closest("tr")?.shows?.name ?? null));
    this.grid.addEventListener("click", (event) => this.#click(event));
    return element(
      "section",
      { class: "card layers", "aria-label": "Table of layers" },
      element(
        "div",
        { class: "bar" },
        element("h3", {}, "Layers"),
        this.field,
        this.said,
        element("span", { class: "group", role: "group", "aria-label": "Shape of the table" }, this.views),
        element(
          "span",
          { class: "group" },
          button("fold", { title: "Fold all scopes" }, () => this.#openAll(false)),
          button("unfold", { title: "Unfold all scopes" }, () => this.#openAll(true)),
        ),
        button("copy CSV", { title: "Copy the rows that are shown, as exact numbers" }, () => this.#copy()),
      ),
      element("div", { class: "scroll" }, this.grid),
    );
  }

  #heading(column) {
    const press = () =>
      this.set({ sort: { key: column.key, down: this.sort.key === column.key ? !this.sort.down : Boolean(column.text) } });
    return element(
      "th",
      { scope: "col", role: "columnheader", "aria-sort": "none", class: column.text ? "number" : "" },
      button(column.title, { title: `Sort by ${column.hint ?? column.title}` }, press),
    );
  }

  set(change) {
    Object.assign(this, change);
    this.draw();
  }

  #openAll(open) {
    for (const part of this.network.byName.values()) if (part.scope && part.parent) this.open[open ? "add" : "delete"](part);
    this.draw();
  }

  rows() {
    return this.flat ? listed(this.network, this, this.view.figures) : outlined(this.network, this, this.view.figures);
  }

  update() {
    this.draw();
  }

  draw() {
    const rows = this.rows();
    const layers = rows.filter((part) => !part.scope);
    this.shown = rows;
    const focused = /** @type {Row | null} */ (document.activeElement?.closest("tr"))?.shows;
    const held = this.grid.contains(document.activeElement);
    this.body.replaceChildren(...rows.slice(0, this.most).map((part) => this.#row(part)));
    if (rows.length > this.most) this.body.append(this.#more(rows.length));
    this.#sums();
    this.said.textContent = this.filter
      ? `${exact(layers.length)} of ${exact(this.network.count)} layers`
      : `${exact(this.network.count)} layers`;
    this.views.forEach((one, i) => one.setAttribute("aria-pressed", String(this.flat === (i === 1))));
    COLUMNS.forEach((column, i) => {
      const state = this.sort.key === column.key ? (this.sort.down ? "descending" : "ascending") : "none";
      this.head.children[i].setAttribute("aria-sort", state);
    });
    this.grid.setAttribute("aria-rowcount", String(rows.length + 2));
    const again = [...this.body.children].find((row) => row.shows === focused && focused) ?? this.body.firstElementChild;
    again?.setAttribute("tabindex", "0");
    if (held && focused) again?.focus();
    this.highlight(this.marked);
  }

  #row(part) {
    const { figures } = this.view;
    const depth = this.flat ? 1 : part.depth;
    const row = element("tr", {
      role: "row",
      tabindex: -1,
      "aria-level": depth,
      class: `${part.scope ? "scope" : "leaf"}${part.train ? " train" : ""}`,
      "aria-expanded": part.scope && !this.flat ? String(isOpen(this, part)) : null,
    });
    row.shows = part;
    for (const column of COLUMNS) {
      const text = column.key === "name" && this.flat ? part.name : figures.text(part, column);
      if (column.key !== "name") {
        const kind = column.key === "kind";
        row.append(element("td", { role: "gridcell", class: column.text ? "number" : kind ? "kind" : "", title: kind ? text : null }, text));
        continue;
      }
      const mark = part.scope
        ? element("span", { class: "twist", "aria-hidden": "true" }, isOpen(this, part) ? "▾" : "▸")
        : element("span", { class: `dot ${this.network.family(part)}`, "aria-hidden": "true" });
      const cell = element(
        "th",
        { scope: "row", role: "rowheader" },
        mark,
        element("span", {}, text),
        part.train && element("span", { class: "tag", title: "Exists only in training: not in the totals" }, "training only"),
        this.view.differing.has(part) && element("span", { class: "tag differs" }, this.view.differing.get(part)),
      );
      cell.style.setProperty("--depth", String(depth - 1));
      row.append(cell);
    }
    return row;
  }

  #more(count) {
    const show = button(`show ${exact(Math.min(1000, count - this.most))} of the ${exact(count - this.most)} other rows`, {}, () =>
      this.set({ most: this.most + 1000 }),
    );
    return element("tr", { class: "more" }, element("td", { colspan: COLUMNS.length }, show));
  }

  // The sums of the layers that are shown, folded ones too.
  #sums() {
    const { figures } = this.view;
    const whole = !this.filter;
    const parts = whole ? [this.network.root] : this.network.parts.filter((part) => matches(this.filter, part) && !part.train);
    const cells = COLUMNS.map((column) => {
      if (column.key === "name") return whole ? "total" : "total of what is shown";
      if (!column.text) return "";
      const sum = parts.reduce((all, part) => all + (figures.value(part, column.key) || 0), 0);
      return column.text(sum);
    });
    this.foot.replaceChildren(
      element(
        "tr",
        { role: "row" },
        cells.map((text, i) =>
          element(i ? "td" : "th", { role: i ? "gridcell" : "rowheader", class: COLUMNS[i].text ? "number" : "" }, text),
        ),
      ),
    );
  }

  highlight(part) {
    this.marked = part;
    for (const row of this.body.querySelectorAll("tr.hot")) row.classList.remove("hot");
    if (!part) return;
    const rows = [...this.body.children];
    for (let one = part; one?.parent; one = one.parent) {
      const row = rows.find((each) => each.shows === one);
      if (!row) continue;
      row.classList.add("hot");
      if (!this.node.matches(":hover, :focus-within")) inSight(this.grid.parentNode, row, 44);
      return;
    }
  }

  reveal(part) {
    for (let one = part.parent; one?.parent; one = one.parent) this.open.add(one);
    this.draw();
    [...this.body.children].find((row) => row.shows === part)?.scrollIntoView({ block: "nearest" });
  }

  #toggle(part) {
    if (!this.open.delete(part)) this.open.add(part);
    this.draw();
  }

  #click(event) {
    const row = event.target.closest("tr");
    const part = row?.shows;
    if (!part) return;
    this.#rove(row);
    const cell = event.target.closest("td, th");
    const column = COLUMNS[[...row.children].indexOf(cell)];
    if (part.scope && column.key === "name") this.#toggle(part);
    else this.view.select(part, column, row);
  }

  #rove(row) {
    for (const one of this.body.querySelectorAll("tr[tabindex='0']")) one.setAttribute("tabindex", "-1");
    row.setAttribute("tabindex", "0");
    row.focus({ preventScroll: true });
  }

  #keys(event) {
    const row = event.target.closest("tbody tr");
    if (!row?.shows || event.target.closest("button")) return;
    const rows = [...this.body.children];
    const at = rows.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 15, PageUp: at - 15 }[event.key];
    if (to !== undefined) {
      const next = rows[Math.min(rows.length - 1, Math.max(0, to))];
      if (next.shows) {
        this.#rove(next);
        next.scrollIntoView({ block: "nearest" });
      } else next.querySelector("button")?.focus();
    } else if (event.key === "Enter" || event.key === " ") this.view.select(row.shows, null, row);
    else if (
      row.shows.scope &&
      ((event.key === "ArrowRight" && !isOpen(this, row.shows)) || (event.key === "ArrowLeft" && isOpen(this, row.shows)))
    ) {
      this.#toggle(row.shows);
    } else if (event.key === "ArrowLeft") {
      const above = rows.find((one) => one.shows === row.shows.parent);
      if (above) this.#rove(above);
    } else return;
    event.preventDefault();
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(csv(this.shown, this.view.figures));
      this.view.tell(`${exact(this.shown.length)} rows copied`);
    } catch {
      const area = element("textarea", { readonly: true, "aria-label": "The rows as CSV", rows: 8 });
      area.value = csv(this.shown, this.view.figures);
      this.view.page.panel.show("The rows as CSV", area);
      area.select();
    }
  }
}
