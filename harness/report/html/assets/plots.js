// The plots. Plotly gets numbers, and names that it can't take for markup; the box that shows a
// point's figures is our own.

const paretos = data.plots.metrics;
const paretoOf = (key) => paretos.find((pareto) => pareto.key === key);
// The first that has anything to show.
const usualPareto = paretos.find((pareto) => pareto.points.length) || paretos[0];

/** Plotly reads a few tags and entities in its labels. */
const forPlotly = (name) =>
  name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");

function setUpPlots() {
  const form = byId("filters-plots");
  setUpForm(form);
  const buttons = paretos.map((pareto) => el("button", {
    type: "button", "data-metric": pareto.key, disabled: !pareto.points.length,
    title: pareto.points.length ? null : pareto.notes.join("; "),
    onclick: () => choose({ x: pareto === usualPareto ? "" : pareto.key }),
  }, pareto.label));
  form.append(
    el("div", { class: "segments", role: "group", "aria-label": "Horizontal axis" }, buttons),
    menu("collection", "Highlight", optionsOf(variants, "collection", "none")),
  );
  themeListeners.push(() => route.view === "plots" && showPlots());
}

function showPlots() {
  syncFilters(byId("filters-plots"));
  const pareto = paretoOf(route.chosen.x) || usualPareto;
  for (const button of byId("filters-plots").querySelectorAll("[data-metric]")) {
    button.setAttribute("aria-pressed", String(button.dataset.metric === pareto.key));
  }
  byId("plot-frame").hidden = !pareto.points.length;
  byId("hover").hidden = true;
  byId("plot-caption").textContent = captionOf(pareto);
  byId("legend").replaceChildren(...legendOf(pareto));
  byId("frontier").replaceChildren(...pareto.frontier.map((position) => {
    const [number, x, , y] = pareto.points[position];
    const variant = variants[number];
    return el("li", {}, el("a", { href: linkToVariant(variant.key) }, foreign(variant.key)),
      ` ${percent(y)}, ${short(x, pareto.unit)} ${pareto.unit ? "" : pareto.label}`);
  }));
  // Plotly's script stands at the end of the page, so that tables need not wait for it.
  if (pareto.points.length && window.Plotly) draw(pareto);
}

function captionOf(pareto) {
  const what = pareto.points.length
    ? `Top-1 accuracy${pareto.dataset ? ` on ${pareto.dataset}` : ""} against ${pareto.title}`
      + `${pareto.device ? ` on ${pareto.device}` : ""}, ${pareto.points.length} of ${variants.length} variants. `
      + "A filled marker was measured on both axes; an open one is, at least in part, a claim. "
    : "";
  return what + pareto.notes.map((note) => `${note[0].toUpperCase()}${note.slice(1)}.`).join(" ");
}

/** The collections, by what is drawn for them; those that look the same share an entry. */
function legendOf(pareto) {
  const present = new Set(pareto.points.map(([number]) => data.plots.drawn[number]));
  const looks = new Map();
  for (const number of [...present].sort((a, b) => a - b)) {
    const series = data.plots.series[number];
    const look = `${series.symbol} ${series.colour}`;
    looks.set(look, [...(looks.get(look) || []), series]);
  }
  return [...looks.values()].map((alike) => {
    const mark = el("span", { class: `mark ${alike[0].symbol}`, "aria-hidden": "true" });
    mark.style.setProperty("--mark", isDark() ? alike[0].colour : alike[0].edge);
    const name = alike.length === 1 ? alike[0].name : `${alike.length} smaller collections`;
    return el("li", {}, mark, foreign(name));
  });
}

function tracesOf(pareto, isPhone) {
  const onFrontier = new Set(pareto.frontier);
  const groups = new Map();
  pareto.points.forEach((point, position) => {
    const series = data.plots.drawn[point[0]];
    groups.set(series, [...(groups.get(series) || []), position]);
  });
  const line = isDark() ? "colour" : "edge";
  const traces = [...groups].map(([number, positions]) => {
    const series = data.plots.series[number];
    const faded = (position) => {
      const { collection } = variants[pareto.points[position][0]];
      if (route.chosen.collection) return !isChosen("collection", collection);
      return !onFrontier.has(position);
    };
    return {
      type: "scatter", mode: "markers", hoverinfo: "none", showlegend: false,
      x: positions.map((p) => pareto.points[p][1]),
      y: positions.map((p) => pareto.points[p][3]),
      customdata: positions.map((p) => pareto.points[p][0]),
      marker: {
        size: 11,
        symbol: positions.map((p) => {
          const measured = pareto.points[p][2] && pareto.points[p][4];
          return measured ? series.symbol : `${series.symbol}-open`;
        }),
        // Of an open marker, plotly takes the colour for its line.
        color: positions.map((p) =>
          (pareto.points[p][2] && pareto.points[p][4] ? series.colour : series[line])),
        opacity: positions.map((p) => (faded(p) ? 0.4 : 1)),
        line: { width: 1.5, color: series[line] },
      },
    };
  });
  return [frontierTrace(pareto, isPhone), ...traces];
}

function frontierTrace(pareto, isPhone) {
  const points = pareto.frontier.map((position) => pareto.points[position]);
  const named = !isPhone && points.length <= MOST_NAMES;
  return {
    // The markers are there, unseen, to keep the names off those of the variants.
    type: "scatter", mode: named ? "lines+markers+text" : "lines", hoverinfo: "skip", showlegend: false,
    marker: { size: 13, opacity: 0 },
    x: points.map((p) => p[1]), y: points.map((p) => p[3]),
    text: points.map((p) => forPlotly(shortName(variants[p[0]].key))),
    textposition: pareto.better === "less" ? "top left" : "top right",
    textfont: { size: 11, color: colour("text") }, cliponaxis: false,
    line: { color: colour("frontier"), width: 1.2, dash: "dot", shape: pareto.better === "less" ? "hv" : "vh" },
  };
}

// More names would cover each other; the list below the plot has them all.
const MOST_NAMES = 14;
const shortName = (name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name);

function draw(pareto) {
  const plot = byId("plot");
  const axis = {
    gridcolor: colour("grid"), linecolor: colour("muted"), zeroline: false, ticks: "outside",
    tickcolor: colour("muted"), automargin: true,
  };
  const xs = pareto.points.map((p) => p[1]);
  const [lowest, highest] = [Math.min(...xs), Math.max(...xs)];
  const isPhone = matchMedia("(max-width: 640px)").matches;
  const layout = {
    paper_bgcolor: colour("background"), plot_bgcolor: colour("background"), showlegend: false,
    font: { family: getComputedStyle(document.body).fontFamily, color: colour("text"), size: 13 },
    margin: { l: 10, r: isPhone ? 10 : 30, t: 24, b: 10 }, height: isPhone ? 380 : 520,
    hovermode: "closest", hoverdistance: 18, dragmode: isPhone ? false : "zoom",
    xaxis: { ...axis, title: { text: forPlotly(axisTitle(pareto)) }, type: pareto.logarithmic ? "log" : "linear",
      range: rangeOf(lowest, highest, pareto, isPhone), ...ticks(lowest, highest, pareto, isPhone) },
    yaxis: { ...axis, title: { text: "Top-1 accuracy, %" } },
  };
  const config = {
    responsive: true, displaylogo: false, displayModeBar: isPhone ? false : "hover", scrollZoom: false,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]],
  };
  const isNew = !plot.classList.contains("js-plotly-plot");
  window.Plotly.react(plot, tracesOf(pareto, isPhone), layout, config);
  plot.dataset.drawn = pareto.key;
  if (!isNew) return;
  plot.on("plotly_click", (event) => {
    const number = event.points[0]?.customdata;
    if (number !== undefined) go(route.view, route.chosen, variants[number].key);
  });
  plot.on("plotly_hover", (event) => showHover(event));
  plot.on("plotly_unhover", () => { byId("hover").hidden = true; });
}

const axisTitle = (pareto) =>
  `${pareto.title[0].toUpperCase()}${pareto.title.slice(1)} (${pareto.better} is better)`;

/** The range of the axis, with room for the names, which stand on the better side. */
function rangeOf(lowest, highest, pareto, isPhone) {
  const [low, high] = pareto.logarithmic ? [Math.log10(lowest), Math.log10(highest)] : [lowest, highest];
  const width = high - low || Math.abs(high) || 1;
  const [less, more] = isPhone ? [0.06, 0.06] : pareto.better === "less" ? [0.16, 0.05] : [0.05, 0.16];
  return [low - less * width, high + more * width];
}

/** Ticks with SI prefixes: 1, 2 and 5 of each decade, or even steps. */
function ticks(lowest, highest, pareto, isPhone) {
  const values = [];
  if (pareto.logarithmic) {
    for (let decade = 10 ** Math.floor(Math.log10(lowest)); decade <= highest; decade *= 10) {
      const steps = highest / lowest > (isPhone ? 30 : 1000) ? [1] : [1, 2, 5];
      values.push(...steps.map((step) => step * decade));
    }
  } else {
    const raw = (highest - lowest || highest) / (isPhone ? 3 : 6);
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
    for (let value = Math.floor(lowest / step) * step; value <= highest + step; value += step) values.push(value);
  }
  return { tickvals: values, ticktext: values.map((value) => short(value, pareto.unit)) };
}

function showHover(event) {
  const { customdata: number, bbox } = event.points[0];
  const variant = variants[number];
  if (!variant) return;
  const pareto = paretoOf(byId("plot").dataset.drawn);
  const point = pareto.points.find((p) => p[0] === number);
  const origin = (measured) => (measured ? "measured" : "claimed");
  const box = byId("hover");
  box.replaceChildren(
    el("strong", {}, foreign(variant.key)),
    el("div", {}, foreign(variant.collection || "no collection"), " ", chip(variant.status)),
    el("div", {}, `top-1 ${percent(point[3])} (${origin(point[4])})`),
    el("div", {}, `${short(point[1], pareto.unit)} ${pareto.label} (${origin(point[2])})`),
  );
  box.hidden = false;
  const frame = byId("plot-frame").clientWidth;
  const left = bbox.x0 + box.offsetWidth + 30 > frame ? bbox.x0 - box.offsetWidth - 8 : bbox.x1 + 8;
  box.style.left = `${Math.max(0, left)}px`;
  box.style.top = `${Math.max(0, bbox.y0 - 20)}px`;
}
