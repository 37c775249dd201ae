// Figures over time: where each one moved, for all variants in a view, for one in its panel.

const STATE_WORDS = { moved: "moved", other: "of another", documented: "documented anew", first: "first" };
const runs = data.history.runs.map(([time, commit]) => ({ time: Date.parse(time), day: time.slice(0, 10), minute: `${time.slice(0, 16).replace("T", " ")} UTC`, commit: text(commit) }));

const histories = data.history.variants.map((figures) => figures.map(([name, spans, points]) => ({
  name: text(name),
  points,
  spans: spans.map(([from, to, state, value, documented, of, versions, why]) => ({
    from, to, state, value: Array.isArray(value) ? value : text(value),
    documented: text(documented), of: text(of), versions: text(versions), why: why.map(text),
  })),
})));

const isSpeed = (name) => name.startsWith("images_per_second");

function shownNumber(name, value) {
  if (isSpeed(name)) return `${value.toFixed(1)}`;
  if (/^top\d/.test(name)) return `${Number(value.toFixed(4))}%`;
  return Number.isInteger(value) ? whole.format(value) : String(value);
}

function shownValue(name, value) {
  if (!Array.isArray(value)) return value.length > 20 ? `${value.slice(0, 16)}…` : value;
  const [low, high] = value.map((each) => shownNumber(name, each));
  return low === high ? low : `${low} to ${high}`;
}

// -- all variants ---------------------------------------------------------------------------

/** Counts of one record under several conventions move together: one is told, and how many more. */
function together(found) {
  const kinds = new Map();
  for (const move of found) {
    const kind = [move.variant.order, move.span.from, move.figure, move.state].join();
    const others = kinds.get(kind);
    kinds.set(kind, { ...(others && move.name !== "flops.macs" ? others : move), more: others ? others.more + 1 : 0 });
  }
  return [...kinds.values()];
}

const moves = together(histories.flatMap((figures, number) => figures.flatMap(({ name, spans }) =>
  spans.slice(1).map((span, i) => ({ span, before: spans[i], name, variant: variants[number],
    figure: name.split(".")[0], state: STATE_WORDS[span.state] })))))
  .sort((a, b) => b.span.from - a.span.from)
  .map((move, order) => ({ ...move, order, haystack: [move.variant.key, move.name, move.span.of, move.span.versions, ...move.span.why].join("\n").toLowerCase() }));

const MOVE_COLUMNS = [
  { id: "variant", label: "Variant", isHeader: true, class: "sticky", sort: (m) => m.variant.key,
    cell: (m) => el("a", { href: fragment(route.view, { ...route.chosen, line: m.name }, m.variant.key) }, foreign(m.variant.key)) },
  { id: "when", label: "When", class: "day", sort: (m) => m.span.from, cell: (m) => el("time", { datetime: runs[m.span.from].day, title: runs[m.span.from].minute }, runs[m.span.from].day) },
  { id: "figure", label: "Figure", class: "day", sort: (m) => m.name,
    cell: (m) => [foreign(m.name), ...(m.more ? [el("span", { class: "about" }, `and ${m.more} more of ${m.figure}`)] : [])] },
  { id: "how", label: "How", sort: (m) => m.state, cell: (m) => m.state },
  { id: "before", label: "Before", class: "number", cell: (m) => foreign(shownValue(m.name, m.before.value)) },
  { id: "after", label: "After", class: "number", cell: (m) => foreign(shownValue(m.name, m.span.value)) },
  { id: "why", label: "Changed with it", class: "value", cell: (m) => [whyList(m.span), el("span", { class: "about" }, foreign(m.span.versions))] },
];

const whyList = (span) => (span.why.length ? el("ul", { class: "why" }, span.why.map((each) => el("li", {}, foreign(each)))) : "nothing that is known");

function setUpHistory() {
  if (!runs.length) return;
  const form = byId("filters-history");
  setUpForm(form);
  form.append(search("Search"), menu("figure", "Figure", optionsOf(moves, "figure", "none")),
    menu("how", "How", optionsOf(moves, "state", "none")), resetButton());
}

function showHistory() {
  if (!runs.length) return;
  syncFilters(byId("filters-history"));
  const chosen = moves.filter((m) => isChosen("figure", m.figure) && isChosen("how", m.state) && searched(m.haystack));
  byId("count-history").textContent = `${whole.format(chosen.length)} of ${whole.format(moves.length)} changes in ${whole.format(runs.length)} runs from ${runs[0].day} to ${runs.at(-1).day}`;
  showTable(byId("table-history"), MOVE_COLUMNS, sorted(chosen, MOVE_COLUMNS, route.chosen.sort), { caption: "Where figures moved" });
}

// -- one variant ----------------------------------------------------------------------------

const countMoves = (figure) => figure.spans.filter((span) => span.state === "moved").length;

/** The section of a panel; `drawHistory` fills it, once it has a width. */
function historySection(variant) {
  const figures = histories[variant.order];
  if (!figures.length) return null;
  const ordered = [...figures].sort((a, b) => countMoves(b) - countMoves(a) || (b.name === "flops.macs") - (a.name === "flops.macs"));
  const wanted = ordered.find(({ name }) => name === route.chosen.line)
    || ordered.find(({ name }) => name.split(".")[0] === route.chosen.figure);
  const select = el("select", { id: "history-figure", onchange: () => drawHistory(variant) }, ordered.map((figure) => {
    const count = countMoves(figure);
    return el("option", { value: figure.name, selected: figure === wanted }, count ? `${figure.name} (moved ${count === 1 ? "once" : `${count} times`})` : figure.name);
  }));
  return section("Over time", el("div", { class: "filters" }, el("label", {}, el("span", {}, "Figure"), select)),
    el("div", { class: "plot history", id: "history-plot" }), el("div", { id: "history-table" }));
}

function drawHistory(variant) {
  const select = byId("history-figure");
  if (!select) return;
  const figure = histories[variant.order].find(({ name }) => name === select.value);
  byId("history-plot").hidden = !Array.isArray(figure.spans[0].value);
  if (!byId("history-plot").hidden) chart(byId("history-plot"), figure, variant);
  byId("history-table").replaceChildren(plainTable(`${figure.name} over time`,
    ["Mark", "When", "Measured", "Changed with it", "Documented"], figure.spans.map((span, i) => el("tr", {},
      el("th", { scope: "row" }, i ? `${i}` : "–", el("span", { class: "about" }, STATE_WORDS[span.state])),
      el("td", { class: "day" }, el("span", { title: runs[span.from].minute }, runs[span.from].day),
        el("span", { class: "about", title: runs[span.to].minute }, `to ${runs[span.to].day}`)),
      el("td", { class: "value" }, foreign(shownValue(figure.name, span.value)), span.of ? el("span", { class: "about" }, foreign(span.of)) : null),
      el("td", { class: "value" }, i ? whyList(span) : null, el("span", { class: "about" }, foreign(span.versions))),
      el("td", { class: "value" }, span.documented ? foreign(span.documented) : "–")))));
}

/** What a figure's runs are, as pieces of a line: within a piece values can be compared. */
function pieces(figure) {
  const made = [];
  for (const span of figure.spans) {
    if (span.state === "first" || span.state === "other") made.push([]);
    const piece = made.at(-1);
    const begin = figure.spans[0].from;
    if (!figure.points.length) piece.push([span.from, span.value[0]], ...(span.to > span.from ? [[span.to, span.value[0]]] : []));
    else for (let run = span.from; run <= span.to; run += 1) {
      const value = figure.points[run - begin];
      if (value !== null) piece.push([run, value]);
    }
  }
  return made;
}

function chart(host, figure, variant) {
  const width = Math.max(240, host.clientWidth || 640);
  const height = 230;
  const lines = pieces(figure);
  const values = lines.flat().map(([, value]) => value);
  const rough = scale(values, false, height - 34, 22, 0.15);
  const marked = ticksOf(rough.low, rough.high, false, 5);
  const unit = figure.name === "file_size" ? "B" : "";
  const brief = marked.map((value) => short(value, unit));
  // Where the short forms look the same, every digit tells.
  const labels = new Set(brief).size === brief.length ? brief : marked.map((value) => shownNumber(figure.name, Number(value.toPrecision(15))));
  measure.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const left = 14 + Math.max(...labels.map((label) => measure.measureText(label).width));
  const times = figure.spans.flatMap(({ from, to }) => [runs[from].time, runs[to].time]);
  const share = (run) => (times[0] === times.at(-1) ? 0.5 : (runs[run].time - times[0]) / (times.at(-1) - times[0]));
  const x = (run) => numbers(left + 8 + share(run) * (width - left - 24));
  const y = (value) => numbers(rough.at(value));
  const bottom = height - 28;
  const grid = marked.flatMap((value, i) => [svg("line", { class: "grid", x1: left, x2: width - 8, y1: y(value), y2: y(value) }),
    svg("text", { class: "tick", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, labels[i])]);
  const [begin, end] = [figure.spans[0].from, figure.spans.at(-1).to];
  const days = begin === end ? [svg("text", { class: "tick", x: (left + width) / 2, y: height - 8, "text-anchor": "middle" }, runs[begin].day)]
    : [svg("text", { class: "tick", x: left, y: height - 8 }, runs[begin].day), svg("text", { class: "tick", x: width - 8, y: height - 8, "text-anchor": "end" }, runs[end].day)];
  const paths = lines.flatMap((piece) => [
    svg("path", { class: "past", d: piece.map(([run, value], i) => `${i ? "L" : "M"}${x(run)},${y(value)}`).join("") }),
    ...(piece.length === 1 ? [svg("circle", { class: "once", cx: x(piece[0][0]), cy: y(piece[0][1]), r: 3 })] : [])]);
  const marks = figure.spans.slice(1).map((span, i) => {
    const value = figure.points.length ? figure.points[span.from - begin] : span.value[0];
    return svg("g", { class: `mark ${span.state}` },
      svg("title", {}, `${i + 1}: ${STATE_WORDS[span.state]} on ${runs[span.from].day}: ${shownValue(figure.name, span.value)}. ${span.why.join("; ")}`),
      svg("line", { x1: x(span.from), x2: x(span.from), y1: 20, y2: bottom }),
      outline(span.state === "moved" ? "circle" : span.state === "other" ? "square" : "diamond", x(span.from), y(value), 4.5, {}),
      svg("text", { x: x(span.from), y: 14, "text-anchor": "middle" }, String(i + 1)));
  });
  const count = figure.spans.length - 1;
  const told = `${figure.name} of ${variant.key}, from ${runs[begin].day} to ${runs[end].day}: ${count ? `${count} change${count === 1 ? "" : "s"}, numbered as in the table below` : "it did not move"}.`;
  host.replaceChildren(svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told },
    grid, svg("path", { class: "axis", d: `M${numbers(left)},18V${bottom}H${width - 8}` }), days, paths, marks));
}
