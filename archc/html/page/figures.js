// The figures of every part at the choice that is made: for a batch, unless they are counts of one image.

const SUMS = ["parameters", "macs", "flops", "activations", "kept", "moved", "work", "seconds"];
const COLUMNS = [
  { key: "name", title: "layer" },
  { key: "kind", title: "kind" },
  { key: "shape", title: "output" },
  { key: "parameters", title: "parameters", text: short, step: /^(weights|biases)/ },
  { key: "macs", title: "MACs", text: short, step: /^MACs/ },
  { key: "flops", title: "FLOPs", text: short, step: /^FLOPs/ },
  { key: "activations", title: "activations", text: bytes, batch: true, step: /^(output values|memory|activations)/ },
  { key: "kept", title: "kept", text: bytes, batch: true, hint: "bytes kept for backward", step: /^kept/ },
  { key: "moved", title: "moved", text: bytes, batch: true, hint: "bytes moved to and from main memory, at least", step: /^bytes/ },
  { key: "seconds", title: "least time", text: seconds, batch: true, step: /^least time/ },
  { key: "field", title: "field", hint: "receptive field", step: /^(receptive|jump|widest)/ },
];

class Figures {
  constructor(network, choice, device) {
    this.network = network;
    this.choice = choice;
    this.device = device;
    this.memory = network.record.memory && played(network.record.memory, choice, network.count);
    this.times = network.parts.map((_, i) => layerTime(network, i, choice, device));
    this.of = new Map();
    this.open = new Map(); // parts whose counts are lower bounds, by figure
    for (const part of network.parts) this.#add(part);
  }

  #add(part) {
    const found = this.layer(part.layer);
    for (let one = part; one; one = one.parent) {
      if (part.train && !one.train) break;
      let sums = this.of.get(one);
      if (!sums) this.of.set(one, (sums = Object.fromEntries(SUMS.map((key) => [key, 0]))));
      for (const key of SUMS) sums[key] += found[key];
      for (const key of found.bounded) this.open.set(one, (this.open.get(one) ?? new Set()).add(key));
    }
    if (part.train && this.choice.training) {
      for (let one = part.parent; one; one = one.parent) {
        if (one.train) continue;
        const sums = this.of.get(one) ?? Object.fromEntries(SUMS.map((key) => [key, 0]));
        for (const key of ["kept", "moved", "work", "seconds"]) sums[key] += found[key];
        this.of.set(one, sums);
      }
    }
  }

  // The figures of one layer.
  layer(i) {
    const { network, choice } = this;
    const [weights, sure] = network.count_of("weights", i);
    const [biases, also] = network.count_of("biases", i);
    const [macs, macsSure] = network.count_of("macs", i);
    const [flops, flopsSure] = network.count_of("flops", i);
    const time = this.times[i];
    const values = network.columns.storage[i] === 0 ? network.columns.values[i] : 0;
    return {
      parameters: weights + biases,
      macs,
      flops,
      activations: values * choice.item * choice.batch,
      kept: this.memory && choice.training ? this.memory.kept[i] : 0,
      moved: time.bytes,
      work: time.flops,
      seconds: time.seconds,
      bounded: [...(sure && also ? [] : ["parameters"]), ...(macsSure ? [] : ["macs"]), ...(flopsSure ? [] : ["flops"])],
    };
  }

  value(part, key) {
    return this.of.get(part)?.[key] ?? 0;
  }

  // A figure as text; a lower bound says so.
  text(part, column) {
    if (column.key === "name") return part.label;
    if (column.key === "kind") return part.kind || (part.scope ? `${part.layers.length} layers` : "");
    if (column.key === "shape") return this.network.shape(part);
    if (column.key === "field") return this.network.field(part);
    const value = this.value(part, column.key);
    if (column.key === "activations" && !part.scope && this.network.columns.storage[part.layer] !== 0) {
      return this.network.columns.storage[part.layer] === 1 ? "view" : "in place";
    }
    const bounded = this.open.get(part)?.has(column.key);
    if (bounded) return value ? `≥${column.text(value)}` : "?";
    return Number.isNaN(value) ? "" : column.text(value);
  }

  get totals() {
    return this.of.get(this.network.root) ?? Object.fromEntries(SUMS.map((key) => [key, 0]));
  }
}
