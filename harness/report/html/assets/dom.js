// Makes elements. Every text becomes a text node: nothing here, or in the files after this one,
// parses markup.

const byId = (id) => document.getElementById(id);

/** An element with attributes (true: present; false, null: absent), listeners (on...), children. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
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

/** Text of an index, whose direction of writing must not reach its surroundings. */
const foreign = (text) => el("bdi", {}, text);

const chip = (label) => el("span", { class: `status ${label}` }, label);

const whole = new Intl.NumberFormat("en-US");

/** At four significant digits with an SI prefix: 27.48 M. */
function short(value, unit = "") {
  if (value === null || value === undefined) return "–";
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let step = 0;
  let number = Number(value.toPrecision(4));
  while (Math.abs(number) >= 1000 && step < prefixes.length - 1) {
    number = Number((number / 1000).toPrecision(4));
    step += 1;
  }
  return `${number} ${prefixes[step]}${unit}`.trim();
}

const percent = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(2)}%`);
