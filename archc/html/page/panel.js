// How a number comes about: the formulas of a layer with its numbers in them, the parts of a sum, the memory at a moment.

class Panel {
  constructor(node) {
    this.node = node;
    node.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    document.addEventListener("keydown", (event) => event.key === "Escape" && !node.hidden && this.close());
  }

  show(title, ...content) {
    const close = button("×", { class: "close", "aria-label": "Close (Escape)" }, () => this.close());
    if (this.node.hidden) this.from = /** @type {HTMLElement | SVGElement | null} */ (document.activeElement);
    this.node.replaceChildren(element("div", { class: "bar" }, element("h2", {}, title), close), ...content.flat());
    this.node.hidden = false;
    this.node.scrollTop = 0;
    close.focus({ preventScroll: true });
  }

  close() {
    this.node.hidden = true;
    this.from?.focus?.({ preventScroll: true });
  }
}

const facts = (rows) =>
  element(
    "dl",
    {},
    rows.flatMap(([name, ...text]) => (text.some(Boolean) ? [element("dt", {}, name), element("dd", {}, ...text)] : [])),
  );

/**
 * `what = formula = numbers = value`, parts that repeat left out.
 * @param {string[]} step
 * @param {{step?: RegExp}} [wanted] the column that was asked for
 */
function stepNode([what, formula, numbers, value], wanted) {
  const parts = [formula, numbers, value].filter((part, i, all) => part && all.indexOf(part) === i);
  const last = parts.pop();
  return element(
    "li",
    { class: wanted?.step?.test(what) ? "step wanted" : "step" },
    element("b", {}, what),
    parts.map((part) => element("span", { class: "formula" }, `= ${part}`)),
    element("span", { class: "value" }, `= ${last}`),
  );
}

function layerContent(view, part, wanted) {
  const { network } = view;
  const { record } = network;
  const i = part.layer;
  const link = (to) => {
    if (to < 0) return `${network.inputs[-1 - to].label} ${network.inputs[-1 - to].shape}`;
    return button(`${network.parts[to].name} ${network.shape(network.parts[to])}`, { class: "link" }, () =>
      view.select(network.parts[to]),
    );
  };
  const list = (many) =>
    many
      .slice(0, 8)
      .flatMap((to, n) => [n ? ", " : "", link(to)])
      .concat(many.length > 8 ? [`, and ${many.length - 8} more`] : []);
  const shared = record.layers.shares[i];
  const steps = record.derived[i].map((number) => record.steps[number]);
  return [
    facts([
      ["takes", ...list(record.layers.inputs[i])],
      ["gives", network.shape(part)],
      ["used by", ...list(network.users[i])],
      ["with", record.arguments[record.arguments_of[i]]],
      ["shares", ...(shared === undefined ? [""] : ["the weights of ", link(shared), ": they count there"])],
      ["doc", record.layers.tables.summaries[record.layers.kind[i]]],
      ["written", record.written[record.written_of[i]]],
      ["note", part.train ? "Exists only in training: not in the totals of counts." : ""],
    ]),
    element("h3", {}, "For one image"),
    steps.length
      ? element(
          "ol",
          { class: "steps" },
          steps.map((step) => stepNode(step, wanted)),
        )
      : element(
          "p",
          { class: "quiet" },
          `archc explain ${network.name} ${part.name} prints the derivation; a network of this size has none in the page.`,
        ),
    element("h3", {}, `For a batch of ${exact(view.choice.batch)} in ${view.choice.dtype}`),
    element(
      "ol",
      { class: "steps" },
      liveSteps(view, part).map((step) => stepNode(step, wanted)),
    ),
  ];
}

// The steps of the figures that follow batch, dtype and device.
function liveSteps(view, part) {
  const { choice, device, figures, network } = view;
  const i = part.layer;
  const { batch, item } = choice;
  const found = [];
  const values = network.columns.values[i];
  if (network.columns.storage[i] === 0)
    found.push([
      "activations",
      "output values*bytes of a value*batch",
      `${exact(values)}*${item}*${exact(batch)}`,
      `${exact(values * item * batch)} bytes`,
    ]);
  if (choice.training && figures.memory)
    found.push([
      "kept for backward",
      "",
      "",
      `${exact(figures.memory.kept[i])} bytes of new storages; what is kept of an input counts where it was made`,
    ]);
  const time = figures.times[i];
  const row = (name, rows, pass) => {
    if (!rows.length || (!pass.bytes && !pass.flops)) return;
    const [flops, moved, indices, weights] = rows.length === 4 ? rows : [rows[0], rows[1], 0, rows[2]];
    const width = widthOf(choice);
    const read = indices ? `(${exact(moved)}*${width} + ${exact(indices)})` : `${exact(moved)}*${width}`;
    const [peak, band] = [device.flops[peakName(choice)], device.bandwidth];
    found.push([
      `bytes moved, ${name}`,
      "values*bytes of a value*batch + weights*bytes of a value",
      `${read}*${exact(batch)} + ${exact(weights)}*${width}`,
      `${exact(pass.bytes)} bytes`,
    ]);
    if (Number.isNaN(pass.seconds)) return;
    found.push([
      `least time, ${name}`,
      "max(FLOPs*batch/peak, bytes/bandwidth)",
      `max(${exact(flops)}*${exact(batch)}/${short(peak)}, ${exact(pass.bytes)}/${short(band)})` +
        ` = max(${seconds(pass.compute)}, ${seconds(pass.bandwidth)})`,
      `${seconds(pass.seconds)}, bound by ${pass.compute >= pass.bandwidth ? "arithmetic" : "bandwidth"}`,
    ]);
  };
  row("forward", network.columns.ahead[i], time.ahead);
  if (choice.training) row("backward", network.columns.back[i], time.back);
  return found;
}
