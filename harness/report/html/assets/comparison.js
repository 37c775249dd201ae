// The variants side by side: how each claim stands, and one number where it holds.

const first = (...values) => values.find((value) => value !== undefined && value !== null) ?? null;

const MEANINGS = { match: "holds", error: "is wrong", warning: "is doubtful", note: "differs a little",
  accepted: "differs, accepted", unverified: "not checked" };

/** A line of a cell: a number, and the mark of a claim, which has its place where it is missing too. */
const line = (number, label = "", kind = "") => el("span", { class: `line ${kind}` }, number,
  el("span", { class: label ? `icon status ${label}` : "icon" }, label ? hidden(`, ${MEANINGS[label]}`) : null));

/** The cell of a claim that holds, differs, or was not checked, or of what was only measured. */
function claimCell(variant, field, measured, claimed, format, { decimals = 3, about = "", sample = "" } = {}) {
  const [label, said] = variant.cells[field] || ["unverified", null];
  const differs = !["match", "unverified"].includes(label);
  const found = differs ? first(said, measured) : measured;
  const shown = (value) => aligned(format(value), decimals);
  const small = (words) => el("span", { class: "line about" }, words, el("span", { class: "icon" }));
  const gray = sample ? small(el("span", { class: "sample" }, sample)) : null;
  const notes = [about ? small(foreign(about)) : null, gray].filter(Boolean);
  if (claimed === undefined) {
    if (measured === undefined || sample) return notes.length ? notes : "–";
    return [line(shown(measured)), ...notes];
  }
  const exact = `claimed ${whole.format(claimed)}${found === undefined || found === null ? "" : `, measured ${whole.format(found)}`}`;
  const of = (...lines) => el("span", { title: exact }, ...lines, ...notes);
  if (!differs) {
    // A measurement that decides nothing yet is told beside the claim.
    const beside = label === "unverified" && variant.cells[field] && measured !== undefined && !sample;
    return of(line(shown(claimed), label, label), beside ? small(`${format(measured).join("")} measured`) : null);
  }
  if (found === null || found === undefined || sample) return of(line(shown(claimed), label, label));
  const [a, b] = [format(found), format(claimed)];
  // Where they look the same, every digit tells.
  const alike = a.join() === b.join() && found !== claimed;
  const full = (value) => aligned([whole.format(value), ""], 0);
  return of(line(alike ? full(found) : shown(found)), hidden(" measured, claimed "),
    line(alike ? full(claimed) : shown(claimed), label, `claimed ${label}`));
}

const asCount = (value) => scaled(value);
const asBytes = (value) => scaled(value, "B");
const asPercent = (value) => [value.toFixed(2), "%"];

function accuracyColumn(k) {
  const name = `top${k}`;
  const cell = (v) => {
    const [low, high] = [v[`${name}_low`], v[`${name}_high`]];
    const isMeasured = v[name] !== undefined && !v.samples[k] && low !== undefined && high !== undefined;
    const about = isMeasured && v.cells[`Top ${k} Accuracy`]?.[0] !== "match" ? `${low.toFixed(1)} to ${high.toFixed(1)}%` : "";
    return claimCell(v, `Top ${k} Accuracy`, v[name], v[`${name}_claimed`], asPercent,
      { decimals: 2, about, sample: v.samples[k] });
  };
  // A share of twenty images is no accuracy to sort by.
  return { id: name, label: `Top-${k}`, class: "number marked", cell,
    sort: (v) => first(v.samples[k] ? undefined : v[name], v[`${name}_claimed`]) };
}

const conventions = new Set(variants.map((v) => v.flops_convention_claimed).filter(Boolean));
// Named once where all claims have the same.
const [oneConvention] = conventions.size === 1 ? conventions : [""];

/** What was counted under the convention that is named; fvcore's, where none is. */
function operations(v) {
  const named = v.flops_convention_claimed || oneConvention;
  return named === "macs" || named === "flops" ? v[named] : v.fvcore;
}

const COMPARISON_COLUMNS = [
  { id: "variant", label: "Variant", isHeader: true, class: "sticky", sort: (v) => v.name,
    cell: (v) => [el("a", { href: linkToVariant(v.key) }, foreign(v.key)),
      v.collection ? el("span", { class: "about" }, foreign(v.collection)) : null].filter(Boolean) },
  { id: "status", label: "Status", sort: (v) => GRAVITY.indexOf(v.status), cell: (v) => chip(v.status) },
  { id: "input", label: "Input", class: "number",
    sort: (v) => (v.image_size ? v.image_size[0] * v.image_size[1] : null),
    cell: (v) => (v.image_size ? v.image_size.join(" × ") : "–") },
  { id: "parameters", label: "Parameters", class: "number marked",
    sort: (v) => first(v.parameters, v.parameters_claimed),
    cell: (v) => claimCell(v, "Parameters", v.parameters, v.parameters_claimed, asCount) },
  { id: "macs", label: "MACs", class: "number marked", sort: (v) => first(v.macs),
    cell: (v) => (v.macs === undefined ? "–"
      : el("span", { title: whole.format(v.macs) }, line(aligned(asCount(v.macs), 3)))) },
  { id: "flops", label: oneConvention ? `FLOPs (${oneConvention})` : "FLOPs", class: "number marked",
    sort: (v) => first(v.flops_claimed, operations(v)),
    cell: (v) => claimCell(v, "FLOPs", operations(v), v.flops_claimed, asCount, {
      about: oneConvention ? "" : v.flops_claimed === undefined ? "fvcore" : v.flops_convention_claimed || "no convention" }) },
  { id: "size", label: "File size", class: "number marked",
    sort: (v) => first(v.file_size, v.file_size_claimed),
    cell: (v) => claimCell(v, "File Size", v.file_size, v.file_size_claimed, asBytes) },
  accuracyColumn(1),
  accuracyColumn(5),
  { id: "speed", label: "Images/s", class: "number marked", sort: (v) => first(v.images_per_second),
    cell: (v) => (v.images_per_second === undefined ? "–" : el("span", { title: v.images_per_second_device },
      line(aligned(asCount(v.images_per_second), 3)),
      el("span", { class: "line about" }, `batch ${v.images_per_second_batch ?? "?"}`, el("span", { class: "icon" })))) },
// What no variant has a value for is no column.
].filter((column) => !column.class?.startsWith("number")
  || variants.some((v) => column.sort(v) !== null || v[column.id] !== undefined));

function setUpComparison() {
  const form = byId("filters-comparison");
  setUpForm(form);
  const states = optionsOf(variants, "status", "none", GRAVITY).map(([value, shown]) => [value, value ? shown.replace(value, word(value)) : shown]);
  form.append(
    search("Search"),
    menu("collection", "Collection", optionsOf(variants, "collection", "none")),
    menu("status", "Status", states),
    resetButton(),
  );
}

function showComparison() {
  syncFilters(byId("filters-comparison"));
  const chosen = variants.filter((v) => isChosen("collection", v.collection)
    && isChosen("status", v.status) && searched(`${v.key}\n${v.collection}`.toLowerCase()));
  byId("count-comparison").textContent =
    `${whole.format(chosen.length)} of ${whole.format(variants.length)} variants`;
  showTable(byId("table-comparison"), COMPARISON_COLUMNS,
    sorted(chosen, COMPARISON_COLUMNS, route.chosen.sort), { caption: "Variants" });
}
