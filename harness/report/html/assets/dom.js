// Makes elements. Every text becomes a text node: nothing here, or in the files after this one,
// parses markup.

const byId = (id) => document.getElementById(id);

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** An element with attributes (true: present; false, null: absent), listeners (on...), children. */
const el = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

/** The same for a part of a drawing. */
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** Text of an index, whose direction of writing must not reach its surroundings. */
const foreign = (text) => el("bdi", {}, text);

const hidden = (text) => el("span", { class: "hidden" }, text);

const WORDS = { match: "held", unverified: "not checked" };
const word = (label) => WORDS[label] || label;
const chip = (label) => el("span", { class: `status ${label}` }, word(label));

const whole = new Intl.NumberFormat("en-US");
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** At four significant digits with an SI prefix: ["27.48", "M"]. */
function scaled(value, unit = "") {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let step = 0;
  let number = Number(value.toPrecision(4));
  while (Math.abs(number) >= 1000 && step < prefixes.length - 1) {
    number = Number((number / 1000).toPrecision(4));
    step += 1;
  }
  const digits = step || !Number.isInteger(number) ? number.toPrecision(4) : String(number);
  return [digits, `${prefixes[step]}${unit}`];
}

/** The same in a line of text, without needless zeros. */
function short(value, unit = "") {
  const [digits, prefix] = scaled(value, unit);
  return `${Number(digits)} ${prefix}`.trim();
}

const percent = (value) => `${value.toFixed(2)}%`;

/** A number of a column: what fills it up to the width of the others is there and not seen. */
function aligned([digits, unit], decimals) {
  const [, fraction] = digits.split(".");
  const lacking = fraction === undefined ? `.${"0".repeat(decimals)}` : "0".repeat(Math.max(0, decimals - fraction.length));
  return el("span", {}, unit ? `${digits}\u00a0${unit}` : digits,
    lacking && lacking !== "." ? el("span", { class: "filler", "aria-hidden": "true" }, lacking) : null);
}
