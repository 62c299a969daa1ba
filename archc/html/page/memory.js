// Memory over a step, as archc/analysis/timeline simulates it: its tape played for a batch, a dtype and an optimizer.

const tapeName = (choice) => (choice.training ? "training" : "inference") + (choice.dtype === "autocast" ? " amp" : "");

// The sign of what is not exact, and why.
const boundOf = (memory, choice) => memory.bounds[tapeName(choice)];

function tapeOf(memory, choice) {
  const tapes = memory.tapes[tapeName(choice)];
  return choice.batch === 1 && tapes.length > 1 ? tapes[1] : tapes[0];
}

const sizesOf = (tape, choice) => {
  const item = choice.item;
  const [batch, statistics] = [choice.batch, Math.max(item, 4)]; // half precision has statistics in float32
  return tape.sizes.map(([a, b, c, d, e, f]) => a + b * item + (c + d * item) * batch + (e + f * batch) * statistics);
};

// {peak, at: the mark before which it is, kinds: what it is made of, marks: [{live, high, kinds}], kept: by layer}
function played(memory, choice, layers, peakAlone = false) {
  const tape = tapeOf(memory, choice);
  const sizes = sizesOf(tape, choice);
  const optimizer = memory.optimizers.find((one) => one.name === choice.optimizer);
  const state = choice.training ? optimizer.state[0] + optimizer.state[1] * choice.item : 0;
  const step = choice.training ? optimizer.step * choice.item : 0;
  const [optimizing, temporary, keeping] = ["optimizer state", "temporary", "kept activations"].map((kind) =>
    memory.kinds.indexOf(kind),
  );
  const kinds = memory.kinds.map(() => 0);
  kinds[optimizing] = state;
  const found = {
    peak: state,
    at: 0,
    kinds: kinds.slice(),
    marks: [],
    kept: new Float64Array(peakAlone ? 0 : layers),
    tape,
    sizes,
    state,
  };
  let live = state;
  let made = 0;
  let mark = 0;
  let high = state;
  let top = kinds.slice();
  const rose = (value, extra = 0) => {
    if (value > high && !peakAlone) {
      high = value;
      top = kinds.slice();
      top[temporary] += extra;
    }
    if (value > found.peak) {
      found.peak = value;
      found.at = mark;
      found.kinds = kinds.slice();
      found.kinds[temporary] += extra;
    }
  };
  const pass = (event) => {
    while (mark < tape.marks.length && tape.marks[mark][0] <= event) {
      if (memory.phases[tape.marks[mark][1]] === "optimizer") rose(live + step, step);
      found.marks.push({ phase: memory.phases[tape.marks[mark][1]], layer: tape.marks[mark][2], live, high, kinds: top });
      high = live;
      top = kinds.slice();
      mark += 1;
    }
  };
  tape.events.forEach((event, number) => {
    pass(number);
    const block = event === 0 ? made++ : event - 1;
    const size = sizes[tape.size[block]];
    const kind = tape.kind[block];
    if (event === 0) {
      live += size;
      kinds[kind] += size;
      if (kind === keeping && tape.of[block] >= 0 && !peakAlone) found.kept[tape.of[block]] += size;
      rose(live);
    } else {
      live -= size;
      kinds[kind] -= size;
    }
  });
  pass(tape.events.length);
  return found;
}

// What is there after a mark, by the layer that made it, the largest first: [[layer, bytes], …]
function alive(found, mark, most) {
  const { tape, sizes } = found;
  const there = new Map();
  let made = 0;
  for (const event of tape.events.slice(0, tape.marks[mark][0])) {
    const block = event === 0 ? made++ : event - 1;
    const of = tape.of[block];
    there.set(of, (there.get(of) ?? 0) + (event === 0 ? 1 : -1) * sizes[tape.size[block]]);
  }
  return [...there]
    .filter(([of, size]) => of >= 0 && size > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, most);
}

// The largest batch whose tensors fit; 0 where one image is too much. The peak grows with the batch.
function largestBatch(memory, choice, room, most) {
  const fits = (batch) => played(memory, { ...choice, batch }, 0, true).peak <= room;
  if (!fits(1)) return 0;
  let low = 1;
  let high = 2;
  while (high <= most && fits(high)) [low, high] = [high, 2 * high];
  high = Math.min(high, most + 1);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}
