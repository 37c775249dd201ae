// One Pareto plot as a drawing: the same marks as in the picture beside this page. Its points are
// links, and what stands in their box is text.

// Corners of each shape in a square from -1 to 1; a circle has none.
const SHAPES = {
  square: "-.9,-.9 .9,-.9 .9,.9 -.9,.9",
  "triangle-up": "0,-1.1 1.1,.9 -1.1,.9",
  "triangle-down": "0,1.1 1.1,-.9 -1.1,-.9",
  diamond: "0,-1.25 1.25,0 0,1.25 -1.25,0",
  cross: "-.35,-1.1 .35,-1.1 .35,-.35 1.1,-.35 1.1,.35 .35,.35 .35,1.1 -.35,1.1 -.35,.35 -1.1,.35 -1.1,-.35 -.35,-.35",
  x: "-.55,-1.1 0,-.55 .55,-1.1 1.1,-.55 .55,0 1.1,.55 .55,1.1 0,.55 -.55,1.1 -1.1,.55 -.55,0 -1.1,-.55",
  hexagon: "0,-1.1 .95,-.55 .95,.55 0,1.1 -.95,.55 -.95,-.55",
};
// What an even mixture with the ground leaves of a colour that is beaten.
const PALE = 0.38;
// So many radii lie between the middles of two markers, at the least.
const APART = 1.9;

const numbers = (value) => Number(value.toFixed(2));

function outline(symbol, x, y, radius, attributes) {
  const corners = SHAPES[symbol];
  if (!corners) return svg("circle", { cx: numbers(x), cy: numbers(y), r: numbers(radius), ...attributes });
  const points = corners.split(" ").map((corner) => corner.split(",").map(Number))
    .map(([dx, dy]) => `${numbers(x + dx * radius)},${numbers(y + dy * radius)}`);
  return svg("polygon", { points: points.join(" "), "stroke-linejoin": "round", ...attributes });
}

function mixed(tone, ground, share) {
  const parts = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
  const [a, b] = [parts(tone), parts(ground)];
  return `rgb(${a.map((value, i) => Math.round(share * value + (1 - share) * b[i])).join(" ")})`;
}

/** A marker: full for both values measured, half for one, empty for none; pale where it is beaten. */
function marker(series, x, y, radius, { xMeasured = 1, yMeasured = 1, best = true } = {}) {
  const ground = colour("background");
  const edge = isDark() ? series.light : series.edge;
  const size = best ? radius * 1.15 : radius;
  const paint = best ? series.colour : mixed(series.colour, ground, PALE);
  const around = { fill: ground, stroke: ground, "stroke-width": best ? 4.5 : 3.5 };
  const whole = xMeasured && yMeasured;
  const parts = [outline(series.symbol, x, y, size, around)];
  if (whole) parts.push(outline(series.symbol, x, y, size, { fill: paint }));
  else if (xMeasured || yMeasured) {
    // The lower half for the horizontal value alone, the left half for the accuracy alone.
    const id = `half-${serial += 1}`;
    const half = xMeasured ? { x: x - 2 * size, y, width: 4 * size, height: 2 * size }
      : { x: x - 2 * size, y: y - 2 * size, width: 2 * size, height: 4 * size };
    parts.push(svg("clipPath", { id }, svg("rect", half)),
      outline(series.symbol, x, y, size, { fill: paint, "clip-path": `url(#${id})` }));
  }
  parts.push(outline(series.symbol, x, y, size, { fill: "none", stroke: edge, "stroke-width": best ? 1.8 : 1.1 }));
  return parts;
}
let serial = 0;

/** Small drawings of markers for a legend. */
const sample = (series, looks) =>
  svg("svg", { width: 18, height: 18, viewBox: "-9 -9 18 18", "aria-hidden": "true" }, marker(series, 0, 0, 5.5, looks));

/** Where markers go that would cover each other: pushed apart, until most of each is seen. */
function spread(spots, radius) {
  const least = APART * radius;
  // Those in one place begin apart, each in a direction of its own.
  const placed = spots.map(([x, y], i) => [x + 0.01 * Math.cos(2.39996 * i), y + 0.01 * Math.sin(2.39996 * i)]);
  const moved = new Set();
  for (let round = 0; round < 60; round += 1) {
    const cells = new Map();
    const cellOf = ([x, y]) => [Math.floor(x / least), Math.floor(y / least)];
    for (const [i, spot] of placed.entries()) {
      const name = cellOf(spot).join();
      cells.set(name, [...(cells.get(name) || []), i]);
    }
    let isQuiet = true;
    for (const [i, spot] of placed.entries()) {
      const [column, row] = cellOf(spot);
      for (let cell = 0; cell < 9; cell += 1) {
        for (const j of cells.get([column + (cell % 3) - 1, row + Math.floor(cell / 3) - 1].join()) || []) {
          const [dx, dy] = [placed[j][0] - spot[0], placed[j][1] - spot[1]];
          const distance = Math.hypot(dx, dy);
          if (j <= i || distance >= least - 0.05) continue;
          const push = (least - distance) / 2 / (distance || 1);
          spot[0] -= push * dx;
          spot[1] -= push * dy;
          placed[j][0] += push * dx;
          placed[j][1] += push * dy;
          moved.add(i).add(j);
          isQuiet = false;
        }
      }
    }
    if (isQuiet) break;
  }
  return placed.map((spot, i) => (moved.has(i) ? spot : spots[i]));
}

/** A step of 1, 2 or 5 that makes about so many of a range. */
function niceStep(range, most) {
  const raw = range / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
}

function ticksOf(low, high, logarithmic, most) {
  const values = [];
  if (logarithmic) {
    const steps = high / low > 10 ** (most / 2.5) ? [1] : most < 6 && high / low > 20 ? [1, 3] : [1, 2, 5];
    for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) values.push(...steps.map((step) => step * decade));
  } else {
    const step = niceStep(high - low, most);
    for (let i = Math.ceil(low / step); i * step <= high; i += 1) values.push(i * step);
  }
  return values.filter((value) => value >= low && value <= high);
}

/** From values to pixels: the axis's range has some room at both ends. */
function scale(values, logarithmic, from, to, room) {
  const bend = logarithmic ? Math.log10 : (value) => value;
  const [low, high] = [Math.min(...values), Math.max(...values)].map(bend);
  const margin = room * (high - low) || (logarithmic ? 0.3 : Math.abs(high) * 0.1 || 1);
  const at = (value) => from + ((bend(value) - low + margin) / (high - low + 2 * margin)) * (to - from);
  const back = logarithmic ? (value) => 10 ** value : (value) => value;
  return { at, low: back(low - margin), high: back(high + margin) };
}

const measure = document.createElement("canvas").getContext("2d");

/** Names the points of the frontier where there is room: no name covers a marker or a name, nor,
 * if there is a way around it, the line of the frontier, which runs where the points truly lie. */
function names(pareto, spots, truth, radius, area) {
  measure.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const boxes = spots.map(([x, y]) => [x - radius - 2, y - radius - 2, x + radius + 2, y + radius + 2]);
  const corners = pareto.frontier.map((position) => truth[position]);
  const lines = corners.slice(1).flatMap(([x, y], i) => {
    const [x0, y0] = corners[i];
    const [middle, level] = pareto.better === "less" ? [x, y0] : [x0, y];
    return [[Math.min(x0, middle), Math.min(y0, level), Math.max(x0, middle), Math.max(y0, level)],
      [Math.min(x, middle), Math.min(y, level), Math.max(x, middle), Math.max(y, level)]];
  });
  const overlaps = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
  const preferred = pareto.better === "less" ? -0.75 * Math.PI : -0.25 * Math.PI;
  const isFew = pareto.points.length <= 24 && area.width > 560;
  const best = new Set(pareto.frontier);
  const order = [...pareto.frontier, ...(isFew ? spots.keys() : [])].filter((p, i, all) => all.indexOf(p) === i);
  const drawn = [];
  for (const position of order) {
    const { key } = variants[pareto.points[position][0]];
    const label = key.length > 24 ? `${key.slice(0, 23)}…` : key;
    const [width, height] = [measure.measureText(label).width + 4, 15];
    const [x, y] = spots[position];
    let found = null;
    for (const [ring, gap] of [3, 12, 24, 38].entries()) {
      for (let turn = 0; turn < 16; turn += 1) {
        const angle = (2 * Math.PI * turn) / 16;
        const [right, down] = [Math.cos(angle), Math.sin(angle)];
        const left = x + (radius + gap) * right - (width * (1 - right)) / 2;
        const top = y + (radius + gap) * down - (height * (1 - down)) / 2;
        const box = [left, top, left + width, top + height];
        if (left < area.left || box[2] > area.right || top < area.top || box[3] > area.bottom) continue;
        if (boxes.some((other) => overlaps(box, other))) continue;
        const away = Math.abs(Math.atan2(Math.sin(angle - preferred), Math.cos(angle - preferred))) / Math.PI;
        const cost = 0.8 * ring + 0.6 * away + (lines.some((other) => overlaps(box, other)) ? 2 : 0);
        if (!found || cost < found.cost) found = { cost, box, ring };
      }
    }
    if (!found) continue;
    boxes.push(found.box);
    const [left, top, right, bottom] = found.box;
    const end = [Math.min(Math.max(x, left), right), Math.min(Math.max(y, top), bottom)];
    if (found.ring) drawn.push(svg("line", { class: "leader", x1: x, y1: y, x2: numbers(end[0]), y2: numbers(end[1]) }));
    drawn.push(svg("text", { class: best.has(position) ? "name" : "name beaten", x: numbers(left + 2), y: numbers(bottom - 4) }, label));
  }
  return drawn;
}

/** Draws a plot into `host`, as wide as that is; `highlighted` says which collection stands out. */
function drawPlot(host, pareto, { highlighted = () => true, height = 480 } = {}) {
  const width = Math.max(280, host.clientWidth || 640);
  const isSmall = width < 560;
  const area = { left: 52, right: width - 12, top: 10, bottom: height - 46, width };
  const xs = pareto.points.map((point) => point[1]);
  const bounds = (point) => pareto.intervals[point[0]] || [];
  const ys = pareto.points.flatMap((point) => [point[3], ...bounds(point)]);
  const across = scale(xs, pareto.logarithmic, area.left, area.right, 0.07);
  const up = scale(ys, false, area.bottom, area.top, 0.08);
  const radius = Math.max(3, 5.5 * Math.sqrt(Math.sqrt(Math.min(1, 40 / xs.length))));
  const truth = pareto.points.map((point) => [across.at(point[1]), up.at(point[3])]);
  const spots = spread(truth, radius);
  const best = new Set(pareto.frontier);
  const inBounds = (x, y, ...parts) => svg("g", { transform: `translate(${numbers(x)} ${numbers(y)})` }, parts);

  const xTicks = ticksOf(across.low, across.high, pareto.logarithmic, isSmall ? 4 : 8).map((value) => inBounds(across.at(value), 0,
    svg("line", { class: "grid", y1: area.top, y2: area.bottom }),
    svg("text", { class: "tick", y: area.bottom + 18, "text-anchor": "middle" }, short(value, pareto.unit))));
  const yTicks = ticksOf(up.low, up.high, false, 6).map((value) => inBounds(0, up.at(value),
    svg("line", { class: "grid", x1: area.left, x2: area.right }),
    svg("text", { class: "tick", x: area.left - 8, y: 4, "text-anchor": "end" }, `${Number(value.toFixed(4))}%`)));
  const axis = svg("path", { class: "axis", d: `M${area.left},${area.top}V${area.bottom}H${area.right}` });
  const title = svg("text", { class: "title", x: (area.left + area.right) / 2, y: height - 6, "text-anchor": "middle" },
    `${capital(pareto.title)} (${pareto.better} is better)`);

  const stairs = pareto.frontier.map((position, i) => {
    const [x, y] = truth[position].map(numbers);
    return i === 0 ? `M${x},${y}` : pareto.better === "less" ? `H${x}V${y}` : `V${y}H${x}`;
  });
  const dark = isDark() ? "light" : "edge";
  const drawn = pareto.points.map((point, position) => {
    const [number, , xMeasured, , yMeasured] = point;
    const variant = variants[number];
    const series = data.plots.series[data.plots.drawn[number]];
    const [[x, y], [trueX, trueY]] = [spots[position], truth[position]];
    const [low, high] = bounds(point);
    const stands = best.has(position) && highlighted(variant);
    const told = `${variant.key}: top-1 ${percent(point[3])}, ${short(point[1], pareto.unit)} ${pareto.label}`;
    return svg("a", {
      href: fragment(route.view, route.chosen, variant.key), class: "point", "data-variant": variant.key,
      "aria-label": told, tabindex: best.has(position) ? "0" : "-1",
      opacity: highlighted(variant) ? null : 0.45,
      onmouseenter: () => tell(host, pareto, position, [x, y], width), onmouseleave: () => hush(host),
      onfocus: () => tell(host, pareto, position, [x, y], width), onblur: () => hush(host),
    },
    low === undefined ? null : svg("line", { class: "interval", x1: trueX, x2: trueX, y1: up.at(low), y2: up.at(high), stroke: series[dark] }),
    Math.hypot(x - trueX, y - trueY) < 2 ? null : svg("line", { class: "leader", x1: trueX, y1: trueY, x2: x, y2: y }),
    svg("circle", { class: "reach", cx: x, cy: y, r: radius + 3 }),
    marker(series, x, y, radius, { xMeasured, yMeasured, best: stands }));
  });
  // The best lie on top.
  const order = [...drawn.keys()].sort((a, b) => best.has(a) - best.has(b));
  const image = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
    "aria-label": `Top-1 accuracy against ${pareto.title}` },
  xTicks, yTicks, axis, title, svg("path", { class: "stairs", d: stairs.join("") }),
  svg("g", { "aria-hidden": "true" }, names(pareto, spots, truth, radius, area)), order.map((position) => drawn[position]));
  host.replaceChildren(image, el("div", { class: "hover", hidden: true }));
  host.dataset.drawn = pareto.key;
}

function tell(host, pareto, position, [x, y], width) {
  const point = pareto.points[position];
  const variant = variants[point[0]];
  const box = host.querySelector(".hover");
  const origin = (measured) => (measured ? "measured" : "claimed");
  box.replaceChildren(
    el("strong", {}, foreign(variant.key)),
    el("div", {}, foreign(variant.collection || "no collection"), " ", chip(variant.status)),
    el("div", {}, `top-1 ${percent(point[3])} (${origin(point[4])})`),
    el("div", {}, `${short(point[1], pareto.unit)} ${pareto.label} (${origin(point[2])})`),
  );
  box.hidden = false;
  const isRight = x + box.offsetWidth + 20 > width;
  box.style.left = `${Math.max(0, isRight ? x - box.offsetWidth - 14 : x + 14)}px`;
  box.style.top = `${Math.max(0, y - 20)}px`;
}

const hush = (host) => { host.querySelector(".hover").hidden = true; };
