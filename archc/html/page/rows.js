// Which rows a table has, in what order, and as CSV. `shown` is {filter, sort, open}.

function matches(filter, part) {
  return part.name.toLowerCase().includes(filter) || part.kind.toLowerCase().includes(filter);
}

// The layers that match, without their scopes.
function listed(network, shown, figures) {
  const found = network.parts.filter((part) => !shown.filter || matches(shown.filter, part));
  return sorted(found, shown.sort, figures);
}

// The tree as it is unfolded. With a filter, what matches, and the scopes that hold it.
function outlined(network, shown, figures) {
  const found = [];
  shown.holding = new Set();
  if (shown.filter) {
    for (const part of network.parts) {
      if (matches(shown.filter, part)) for (let one = part; one; one = one.parent) shown.holding.add(one);
    }
  }
  const walk = (part) => {
    for (const child of sorted(part.children, shown.sort, figures)) {
      if (shown.filter && !shown.holding.has(child)) continue;
      found.push(child);
      if (child.scope && isOpen(shown, child)) walk(child);
    }
  };
  walk(network.root);
  return found;
}

function isOpen(shown, part) {
  return shown.open.has(part) || (shown.filter !== "" && shown.holding.has(part));
}

function sorted(parts, { key, down }, figures) {
  if (!key) return parts;
  const column = COLUMNS.find((one) => one.key === key);
  const order = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return [...parts].sort((a, b) => (down ? -1 : 1) * order(worth(a, column, figures), worth(b, column, figures)));
}

// What a part is sorted by.
function worth(part, column, figures) {
  if (column.text) return figures.value(part, column.key);
  if (column.key === "field" || column.key === "shape") return area(figures.text(part, column));
  return column.key === "name" ? part.name : part.kind;
}

// The rows as exact numbers.
function csv(parts, figures) {
  const cell = (part, column) => (column.text ? figures.value(part, column.key) : figures.text(part, column));
  const line = (part) => COLUMNS.map((column) => (column.key === "name" ? part.name : cell(part, column)));
  return [COLUMNS.map((column) => column.title), ...parts.map(line)].map((row) => row.map(quoted).join(",")).join("\r\n");
}
