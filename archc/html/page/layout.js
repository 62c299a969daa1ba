// Where boxes stand: layers in ranks from top to bottom, scopes that are open as boxes around theirs (after Sugiyama and others, 1981).
// Every source has one lane down to the last rank that reads it, so that skips and dense connections stay apart from the boxes.

const BOX = { height: 36, gap: 14, rank: 22, lane: 12, pad: 12, head: 24 };

class Item {
  constructor(part, width, height, inner) {
    this.part = part; // null for a lane or a border
    this.width = width;
    this.height = height;
    this.inner = inner ?? null;
    this.rank = 0;
    this.x = 0; // of the middle
    this.above = [];
    this.below = [];
  }
}

// {width, height, boxes: [{part, x, y, width, height, open}], edges: [{from, to, points}]} of a scope's children.
function layout(network, scope, open, measure) {
  const items = new Map();
  const [given, ends] = scope === network.root ? [network.inputs, network.outputs] : [[], []];
  for (const part of [...given, ...scope.children, ...ends]) {
    if (part.scope && open.has(part)) {
      const inner = layout(network, part, open, measure);
      items.set(part, new Item(part, Math.max(inner.width, measure(part)) + 2 * BOX.pad, inner.height + BOX.head + BOX.pad, inner));
    } else items.set(part, new Item(part, measure(part), BOX.height));
  }
  const ranks = ranked(scope, items);
  ordered(ranks);
  placed(ranks);
  return gathered(ranks);
}

function ranked(scope, items) {
  const order = new Map([...items.keys()].map((part, i) => [part, i]));
  const start = new Item(null, 1, 0);
  const end = new Item(null, 1, 0);
  const targets = new Map();
  for (const [from, to] of scope.edges) {
    const source = from === null ? start : items.get(from);
    const down = [...to].filter((one) => one === null || from === null || order.get(one) > order.get(from));
    targets.set(
      source,
      down.map((one) => (one === null ? end : items.get(one))),
    );
  }
  const entered = targets.has(start);
  if (entered) for (const item of items.values()) item.rank = 1;
  for (const source of [start, ...items.values()]) {
    for (const target of targets.get(source) ?? []) target.rank = Math.max(target.rank, source.rank + 1);
  }
  const last = Math.max(0, ...[...items.values()].map((item) => item.rank));
  end.rank = last + 1;
  const all = [
    ...(entered ? [start] : []),
    ...items.values(),
    ...([...targets.values()].some((one) => one.includes(end)) ? [end] : []),
  ];
  const ranks = [];
  for (const item of all) (ranks[item.rank] ??= []).push(item);
  for (const source of all) lanes(source, targets.get(source) ?? [], ranks);
  return Array.from(ranks, (rank) => rank ?? []);
}

function lanes(source, targets, ranks) {
  const last = Math.max(...targets.map((target) => target.rank), 0);
  let lane = source;
  for (let rank = source.rank + 1; rank <= last; rank++) {
    for (const target of targets) if (target.rank === rank) joined(lane, target);
    if (rank === last) break;
    const next = new Item(null, BOX.lane, 0);
    next.rank = rank;
    ranks[rank].push(next);
    joined(lane, next);
    lane = next;
  }
}

function joined(above, below) {
  above.below.push(below);
  below.above.push(above);
}

// Orders each rank by the mean place of its neighbours, downwards and upwards, a few times.
function ordered(ranks) {
  const place = new Map();
  const note = (rank) => rank.forEach((item, i) => place.set(item, i - rank.length / 2));
  ranks.forEach(note);
  for (let turn = 0; turn < 6; turn++) {
    const down = turn % 2 === 0;
    for (const rank of down ? ranks : [...ranks].reverse()) {
      const wish = new Map();
      for (const item of rank) {
        const near = down ? item.above : item.below;
        wish.set(item, near.length ? near.reduce((sum, one) => sum + place.get(one), 0) / near.length : place.get(item));
      }
      rank.sort((a, b) => wish.get(a) - wish.get(b));
      note(rank);
    }
  }
}

// Places each rank as near as can be to the middle of its neighbours, without overlaps.
function placed(ranks) {
  for (const rank of ranks) settle(rank, () => 0);
  for (let turn = 0; turn < 12; turn++) {
    const down = turn % 2 === 0;
    for (const rank of down ? ranks : [...ranks].reverse()) {
      settle(rank, (item) => {
        const near = down ? item.above : item.below;
        const whole = near.reduce((sum, one) => sum + weightOf(one), 0);
        return near.length ? near.reduce((sum, one) => sum + weightOf(one) * one.x, 0) / whole : item.x;
      });
    }
  }
}

const weightOf = (item) => (item.part ? 1 : 0.1); // lanes give way to boxes

// The least squares of the ways from where items want to be, in order and apart: pools of neighbours that push each other.
function settle(rank, wish) {
  const pools = [];
  let offset = 0;
  rank.forEach((item, i) => {
    if (i) offset += (rank[i - 1].width + item.width) / 2 + BOX.gap;
    const weight = weightOf(item);
    pools.push({ items: [[item, offset]], weight, sum: weight * (wish(item) - offset) });
    while (pools.length > 1 && mean(pools.at(-2)) > mean(pools.at(-1))) {
      const one = pools.pop();
      const other = pools.at(-1);
      other.items.push(...one.items);
      other.weight += one.weight;
      other.sum += one.sum;
    }
  });
  for (const pool of pools) for (const [item, apart] of pool.items) item.x = mean(pool) + apart;
}

const mean = (pool) => pool.sum / pool.weight;

function gathered(ranks) {
  const all = ranks.flat();
  const left = Math.min(...all.map((item) => item.x - item.width / 2));
  const width = Math.max(0, ...all.map((item) => item.x + item.width / 2)) - left;
  const boxes = [];
  const edges = [];
  let y = 0;
  for (const rank of ranks) {
    const height = Math.max(0, ...rank.map((item) => item.height));
    for (const item of rank) {
      item.top = y;
      item.bottom = item.part ? y + item.height : y + height;
      item.x -= left;
    }
    y += height + (height ? BOX.rank : BOX.rank / 2);
  }
  for (const item of all) {
    if (item.part) addBox(item, boxes, edges);
    for (const below of item.below) edges.push(edge(item, below));
  }
  return { width, height: Math.max(0, y - BOX.rank), boxes, edges };
}

function addBox(item, boxes, edges) {
  const x = item.x - item.width / 2;
  boxes.push({ part: item.part, x, y: item.top, width: item.width, height: item.height, open: Boolean(item.inner) });
  if (!item.inner) return;
  const dx = x + (item.width - item.inner.width) / 2;
  const dy = item.top + BOX.head;
  for (const box of item.inner.boxes) boxes.push({ ...box, x: box.x + dx, y: box.y + dy });
  for (const one of item.inner.edges) edges.push({ ...one, points: one.points.map(([a, b]) => [a + dx, b + dy]) });
}

// From the foot of one to the head of the other; a lane goes on through its rank.
function edge(above, below) {
  const points = [
    [above.x, above.bottom],
    [below.x, below.top],
  ];
  if (!below.part && below.bottom > below.top) points.push([below.x, below.bottom]);
  return { points, arrow: Boolean(below.part) };
}

function pathOf(points) {
  let text = `M${points[0].map(round)}`;
  for (let i = 1; i < points.length; i++) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    const half = (y0 + y1) / 2;
    text += Math.abs(x0 - x1) < 0.5 ? `L${[x1, y1].map(round)}` : `C${[x0, half, x1, half, x1, y1].map(round)}`;
  }
  return text;
}

const round = (value) => Math.round(value * 10) / 10;
