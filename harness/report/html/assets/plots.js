// The views with plots: one in the overview, all of them in their own.

const paretos = data.plots.metrics;
const paretoOf = (key) => paretos.find((pareto) => pareto.key === key);
// The first that has anything to show.
const usualPareto = paretos.find((pareto) => pareto.points.length) || paretos[0];

function setUpPlots() {
  const form = byId("filters-plots");
  setUpForm(form);
  const buttons = paretos.map((pareto) => el("button", {
    type: "button", "data-metric": pareto.key, disabled: !pareto.points.length,
    title: pareto.points.length ? null : pareto.notes.join("; "),
    onclick: () => choose({ x: pareto === usualPareto ? "" : pareto.key }),
  }, capital(pareto.label)));
  form.append(
    el("div", { class: "segments", role: "group", "aria-label": "Horizontal axis" }, buttons),
    menu("collection", "Highlight", optionsOf(variants, "collection", "none")),
  );
  byId("overview-plot").hidden = !usualPareto.points.length;
  themeListeners.push(redraw);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) redraw();
    width = window.innerWidth;
  });
}

function redraw() {
  if (route.view === "plots") showPlots();
  else if (route.view === "overview") showOverview();
}

function showOverview() {
  if (usualPareto.points.length) drawPlot(byId("plot-overview"), usualPareto, { height: 400 });
}

function showPlots() {
  syncFilters(byId("filters-plots"));
  const pareto = paretoOf(route.chosen.x) || usualPareto;
  for (const button of byId("filters-plots").querySelectorAll("[data-metric]")) {
    button.setAttribute("aria-pressed", String(button.dataset.metric === pareto.key));
  }
  byId("plot").hidden = !pareto.points.length;
  byId("plot-caption").textContent = captionOf(pareto);
  byId("legend").replaceChildren(...legendOf(pareto));
  byId("marks").replaceChildren(...marksOf(pareto));
  byId("frontier").replaceChildren(...pareto.frontier.map((position) => {
    const [number, x, , y] = pareto.points[position];
    const variant = variants[number];
    return el("li", {}, el("a", { href: linkToVariant(variant.key) }, foreign(variant.key)),
      ` ${percent(y)}, ${short(x, pareto.unit)} ${pareto.unit ? "" : pareto.label}`);
  }));
  const highlighted = (variant) => isChosen("collection", variant.collection);
  if (pareto.points.length) drawPlot(byId("plot"), pareto, { highlighted });
}

function captionOf(pareto) {
  const what = pareto.points.length
    ? `Top-1 accuracy${pareto.dataset ? ` on ${pareto.dataset}` : ""} against ${pareto.title}`
      + `${pareto.device ? ` on ${pareto.device}` : ""}, ${pareto.points.length} of ${variants.length} variants. `
    : "";
  return what + pareto.notes.map((note) => `${capital(note)}.`).join(" ");
}

/** The collections, by what is drawn for them; those that look the same share an entry. */
function legendOf(pareto) {
  const present = new Set(pareto.points.map(([number]) => data.plots.drawn[number]));
  const looks = new Map();
  for (const number of [...present].sort((a, b) => a - b)) {
    const series = data.plots.series[number];
    looks.set(series.symbol, [...(looks.get(series.symbol) || []), series]);
  }
  return [...looks.values()].map((alike) => {
    const name = alike.length === 1 ? alike[0].name : `${alike.length} smaller collections`;
    return el("li", {}, sample(alike[0], {}), foreign(name));
  });
}

/** What the marks of this plot mean, and no others. */
function marksOf(pareto) {
  if (!pareto.points.length) return [];
  const gray = { symbol: "circle", colour: "#9aa2ab", edge: "#57606a", light: "#d3d8de" };
  const kinds = [[1, 1, "both values measured"], [1, 0, `only ${pareto.label} measured`],
    [0, 1, "only top-1 measured"], [0, 0, "both values only claimed"]];
  const used = new Set(pareto.points.map((point) => `${point[2]}${point[4]}`));
  const beaten = pareto.frontier.length < pareto.points.length;
  return [...kinds.filter(([x, y]) => used.has(`${x}${y}`))
    .map(([xMeasured, yMeasured, meaning]) => el("li", {}, sample(gray, { xMeasured, yMeasured }), meaning)),
  ...(Object.keys(pareto.intervals).length ? [el("li", {}, svg("svg", { width: 18, height: 18, viewBox: "-9 -9 18 18", "aria-hidden": "true" },
    svg("line", { class: "interval", y1: -8, y2: 8, stroke: colour("muted") })), "interval of the measured top-1")] : []),
  ...(beaten ? [el("li", {}, sample(gray, { best: false }), "small, pale: another beats it")] : []),
  el("li", {}, svg("svg", { width: 26, height: 18, viewBox: "0 0 26 18", "aria-hidden": "true" },
    svg("path", { class: "stairs", d: "M0,9H26" })), "frontier: no other one beats it")];
}
