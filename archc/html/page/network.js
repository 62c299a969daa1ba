// A network: its layers and scopes as one tree of parts, each with its name, its layers and its edges.

class Part {
  constructor(label, parent, layer, kind) {
    this.label = label;
    this.parent = parent;
    this.layer = layer; // its number, or -1 for a scope
    this.kind = kind; // an operator, or a block's name
    this.name = parent && parent.name ? `${parent.name}.${label}` : label;
    this.depth = parent ? parent.depth + 1 : 0;
    this.children = [];
    this.layers = layer < 0 ? [] : [layer];
    this.edges = new Map(); // of a scope: from one of its children to others; null is what lies outside
    this.train = false;
  }

  get scope() {
    return this.layer < 0;
  }

  link(from, to) {
    if (!this.edges.has(from)) this.edges.set(from, new Set());
    this.edges.get(from).add(to);
  }
}

// An input or output of the network: a box that is no part of it.
const terminal = (word, { name, shape }) => ({ terminal: word, label: name, name: `${word} ${name}`, shape });

class Network {
  constructor(record, families) {
    this.record = record;
    this.name = record.name;
    this.families = families;
    this.columns = record.layers;
    this.count = this.columns.label.length;
    this.train = new Set(this.columns.train);
    this.idle = new Set(this.columns.idle);
    this.root = new Part("", null, -1, "");
    this.parts = this.#tree();
    this.byName = new Map([...this.#all(this.root)].map((part) => [part.name, part]));
    this.inputs = record.inputs.map((input) => terminal("input", input));
    this.outputs = record.outputs.length > 1 ? record.outputs.map((output) => terminal("output", output)) : []; // one needs no name
    this.users = this.parts.map(() => []);
    this.#edges();
  }

  #tree() {
    const { label, parent, block } = this.record.scopes;
    const scopes = [this.root];
    const scope = (number) => {
      if (!scopes[number]) {
        const above = scope(parent[number]);
        scopes[number] = new Part(label[number], above, -1, block[number]);
        above.children.push(scopes[number]);
      }
      return scopes[number];
    };
    return this.columns.label.map((word, i) => {
      const above = scope(this.columns.scope[i]);
      const part = new Part(word, above, i, this.columns.tables.kinds[this.columns.kind[i]]);
      part.train = this.train.has(i);
      above.children.push(part);
      for (let one = above; one; one = one.parent) one.layers.push(i);
      return part;
    });
  }

  *#all(part) {
    part.train = part.layers.length > 0 && part.layers.every((i) => this.train.has(i));
    yield part;
    for (const child of part.children) yield* this.#all(child);
  }

  #edges() {
    this.columns.inputs.forEach((sources, i) => {
      for (const source of sources) {
        if (source >= 0) this.users[source].push(i);
        this.#link(source < 0 ? this.inputs[-1 - source] : this.parts[source], this.parts[i]);
      }
    });
    this.record.outputs.forEach(({ source }, i) => {
      const output = this.outputs[i] ?? null;
      if (source < 0) {
        if (output) this.root.link(this.inputs[-1 - source], output);
        return;
      }
      let one = this.parts[source];
      for (; one.parent.parent; one = one.parent) one.parent.link(one, null);
      this.root.link(one, output);
    });
  }

  // An edge between layers is one of the scope that holds both, and leads through the borders of those between.
  #link(from, to) {
    let a = from;
    let b = to;
    if (from.terminal) {
      for (; b.parent.parent; b = b.parent) b.parent.link(null, b);
      this.root.link(from, b);
      return;
    }
    while (a.parent !== b.parent) {
      if (a.depth >= b.depth) {
        a.parent.link(a, null);
        a = a.parent;
      } else {
        b.parent.link(null, b);
        b = b.parent;
      }
    }
    if (a !== b) a.parent.link(a, b);
  }

  family(part) {
    return part.terminal ? "input" : part.scope ? "scope" : (this.families[part.kind] ?? "other");
  }

  shape(part) {
    const last = part.layers[part.layers.length - 1];
    return this.columns.tables.shapes[this.columns.shape[last]];
  }

  field(part) {
    return this.columns.tables.fields[this.columns.field[part.layers[part.layers.length - 1]]];
  }

  // [lowest, whether it is known exactly] of a count of a layer.
  count_of(key, i) {
    const value = this.columns[key][i];
    return typeof value === "number" ? [value, true] : [value[0], false];
  }
}
