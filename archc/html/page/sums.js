// What a sum is made of: a scope, the network, the memory at its peak.

// The sum of a scope, part by part; of the network, also kind by kind.
function scopeContent(view, part, wanted) {
  const { figures } = view;
  const columns = COLUMNS.filter((column) => column.text);
  const chosen = wanted?.text
    ? [wanted]
    : columns.filter((column) => ["parameters", "macs", "activations", "seconds"].includes(column.key));
  const rows = part.children.map((child) => [child.name, chosen.map((column) => figures.value(child, column.key)), child]);
  const content = part.parent
    ? [
        facts([
          ["block", part.kind],
          ["layers", exact(part.layers.length)],
          ["gives", view.network.shape(part)],
        ]),
      ]
    : [];
  if (wanted && view.page.record.definitions[wanted.title])
    content.push(element("p", { class: "quiet" }, `${wanted.title}: ${view.page.record.definitions[wanted.title]}`));
  if (!part.parent) {
    const kinds = new Map();
    for (const one of view.network.parts) {
      if (one.train) continue;
      const sums = kinds.get(one.kind) ?? chosen.map(() => 0);
      kinds.set(
        one.kind,
        sums.map((sum, n) => sum + (figures.value(one, chosen[n].key) || 0)),
      );
    }
    content.push(
      element("h3", {}, "By kind"),
      sumTable(
        chosen,
        [...kinds].map(([kind, sums]) => [kind, sums, null]),
        view,
      ),
    );
  }
  return [...content, element("h3", {}, "Part by part"), sumTable(chosen, rows, view)];
}

function sumTable(columns, rows, view) {
  const sums = columns.map((_, n) => rows.reduce((all, row) => all + (row[2]?.train ? 0 : row[1][n] || 0), 0));
  const shown = rows
    .filter((row) => row[1].some(Boolean))
    .sort((a, b) => b[1][0] - a[1][0])
    .slice(0, 200);
  const full = (column, value) =>
    column.text === short ? exact(value) : column.text === bytes ? `${exact(value)} B` : column.text(value);
  return element(
    "table",
    { class: "sum" },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "col" }, ""),
        columns.map((column) => element("th", { scope: "col", class: "number" }, column.title)),
        element("th", { scope: "col", class: "number" }, "part"),
      ),
    ),
    element(
      "tbody",
      {},
      shown.map(([name, values, part]) =>
        element(
          "tr",
          {},
          element(
            "th",
            { scope: "row" },
            part ? button(name, { class: "link" }, () => view.select(part, columns.length === 1 ? columns[0] : null)) : name,
          ),
          columns.map((column, n) => element("td", { class: "number" }, full(column, values[n] || 0))),
          element("td", { class: "number" }, sums[0] ? percent((values[0] || 0) / sums[0]) : ""),
        ),
      ),
    ),
    element(
      "tfoot",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "row" }, "sum"),
        columns.map((column, n) => element("td", { class: "number" }, full(column, sums[n]))),
        element("td"),
      ),
    ),
  );
}

function memoryContent(view) {
  const { figures, choice, network } = view;
  const { memory } = network.record;
  const found = figures.memory;
  const mark = found.marks[found.at];
  const rows = memory.kinds
    .map((kind, k) => [kind, found.kinds[k]])
    .filter(([, size]) => size)
    .sort((a, b) => b[1] - a[1]);
  const kept = [...found.kept]
    .map((size, i) => [i, size])
    .filter(([, size]) => size)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 20);
  return [
    element(
      "p",
      {},
      "The most bytes that are there at once, ",
      mark.layer < 0 ? `in the ${mark.phase} phase. ` : `${mark.phase} at ${network.parts[mark.layer].name}. `,
      choice.training ? `Optimizer: ${choice.optimizer} (${memory.optimizers.find((one) => one.name === choice.optimizer).how}).` : "",
      element(
        "span",
        { class: "quiet" },
        " Every allocation of PyTorch's eager mode is played; sizes are formulas of the batch and the bytes of a value.",
      ),
    ),
    element("h3", {}, "At the peak"),
    plainTable(
      ["what", "bytes", "part"],
      [...rows.map(([kind, size]) => [kind, exact(size), percent(size / found.peak)]), ["peak", exact(found.peak), ""]],
    ),
    kept.length ? element("h3", {}, "The layers that keep most for backward") : null,
    kept.length
      ? plainTable(
          ["layer", "bytes", ""],
          kept.map(([i, size]) => [
            button(network.parts[i].name, { class: "link" }, () => view.select(network.parts[i])),
            exact(size),
            "",
          ]),
        )
      : null,
  ].filter(Boolean);
}

function plainTable(head, rows) {
  return element(
    "table",
    { class: "sum" },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        head.map((text, n) => element("th", { scope: "col", class: n ? "number" : "" }, text)),
      ),
    ),
    element(
      "tbody",
      {},
      rows.map((row) =>
        element(
          "tr",
          {},
          row.map((cell, n) => element(n ? "td" : "th", { class: n ? "number" : "", scope: n ? null : "row" }, cell)),
        ),
      ),
    ),
  );
}
