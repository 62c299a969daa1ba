// Numbers as texts, and elements. What comes from a spec becomes text nodes and attributes of fixed names, never markup.

/** @typedef {[number, string][]} Units the least value of a unit, largest first */

/** @type {Units} */
const SUFFIXES = [
  [1e15, "P"],
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "K"],
];
/** @type {Units} */
const BINARY = [
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];
/** @type {Units} */
const TIMES = [
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];

/**
 * Three digits.
 * @param {number} value
 */
function digits(value) {
  const whole = String(Math.trunc(Math.abs(value))).length;
  return value.toFixed(Math.max(3 - whole, 0));
}

/**
 * @param {number} value
 * @param {Units} units
 * @param {string} between
 * @returns {string | null} null where the value is less than all units
 */
function scaled(value, units, between) {
  for (const [size, unit] of units) if (Math.abs(value) >= size) return digits(value / size) + between + unit;
  return null;
}

/** @param {number} value */
const exact = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 3 });
/** @param {number} value */
const short = (value) => scaled(value, SUFFIXES, "") ?? exact(value);
/** @param {number} value */
const bytes = (value) => scaled(value, BINARY, " ") ?? `${exact(value)} B`;
/** @type {(value: number, unit: string) => string} */
const rate = (value, unit) => (scaled(value, SUFFIXES, " ") ?? `${digits(value)} `) + unit; // 19.5 TFLOP/s
/** @param {number} exponent */
const power = (exponent) =>
  exponent < 0
    ? (10 ** exponent).toFixed(-exponent)
    : (scaled(10 ** exponent, SUFFIXES, "") ?? String(10 ** exponent)).replace(/\.0+/, "");
/** @param {number} value */
const ratio = (value) =>
  value >= 1000
    ? short(value)
    : value
        .toPrecision(3)
        .replace(/\.?0+$/, "")
        .replace(/\.?0+e/, "e");
/** @param {number} part */
const percent = (part) => (part > 0 && part < 0.0005 ? "less than 0.1%" : `${(100 * part).toFixed(1)}%`);

/** @param {number} value */
function seconds(value) {
  if (!value) return "0";
  return scaled(value, TIMES, " ") ?? `${value.toExponential(2)} s`;
}

/**
 * @template {Element} T
 * @param {T} node
 * @param {Record<string, any> | null | undefined} attributes `on` holds listeners
 * @param {any[]} children
 * @returns {T}
 */
function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

const element = (name, attributes, ...children) => filled(document.createElement(name), attributes, children);
const drawn = (name, attributes, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const button = (text, attributes, press) =>
  element("button", { type: "button", ...attributes, on: { click: press, ...(attributes?.on ?? {}) } }, text);

let counted = 0;
const fresh = (word) => `${word}-${++counted}`;

/**
 * Scrolls a box, and nothing around it, until a part of it can be seen.
 * @param {Element} box
 * @param {Element} inner
 * @param {number} edge what is covered at the ends of the box
 */
function inSight(box, inner, edge = 0) {
  const [a, b] = [inner.getBoundingClientRect(), box.getBoundingClientRect()];
  if (a.top < b.top + edge || a.bottom > b.bottom - edge) box.scrollTop += (a.top + a.bottom - b.top - b.bottom) / 2;
  if (box.scrollWidth > box.clientWidth && (a.right < b.left || a.left > b.right))
    box.scrollLeft += (a.left + a.right - b.left - b.right) / 2;
}

/**
 * A cell of CSV; what a spreadsheet would run as a formula is quoted as text.
 * @param {string | number} value
 */
function quoted(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * `64x56x56` as a number of values; `all` is more than any.
 * @param {string} text
 */
const area = (text) => (text === "all" ? Infinity : text.split("x").reduce((all, one) => all * Number(one), 1));
