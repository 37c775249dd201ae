// The variants side by side. What was measured stands above what is claimed.

const first = (...values) => values.find((value) => value !== undefined) ?? null;

/** A cell of two lines; the exact numbers show when it is pointed at. */
function pair(measured, claimed, format, wrong, about = "", aboutClaim = "") {
  const exact = (value) => (value === undefined ? "none" : String(value));
  return el("span", { title: `measured: ${exact(measured)}; claimed: ${exact(claimed)}` },
    el("span", { class: measured === undefined ? "measured none" : "measured" },
      measured === undefined ? "–" : format(measured), about ? el("small", {}, ` ${about}`) : null),
    el("span", { class: "claimed" }, el("span", { class: "hidden" }, "claimed "), claimed === undefined ? "–" : format(claimed),
      aboutClaim ? el("small", {}, " ", foreign(aboutClaim)) : null,
      wrong && claimed !== undefined ? el("small", { class: "wrong" }, " wrong") : null));
}

/** Whether an error speaks against the variant's claim of that field. */
const isWrong = (variant, field) => variant.doubted.includes(field);

const between = (low, high) =>
  low === undefined || high === undefined ? "" : `${low.toFixed(1)} to ${high.toFixed(1)}`;

function accuracyColumn(name, label, field) {
  return {
    id: name, label, class: "number", sort: (v) => first(v[name], v[`${name}_claimed`]),
    cell: (v) => pair(v[name], v[`${name}_claimed`], percent, isWrong(v, field),
      between(v[`${name}_low`], v[`${name}_high`])),
  };
}

const count = (value) => short(value);
const bytes = (value) => short(value, "B");

const COMPARISON_COLUMNS = [
  { id: "variant", label: "Variant", isHeader: true, class: "sticky", sort: (v) => v.name,
    cell: (v) => el("a", { href: linkToVariant(v.key) }, foreign(v.key)) },
  { id: "status", label: "Status", sort: (v) => GRAVITY.indexOf(v.status), cell: (v) => chip(v.status) },
  { id: "collection", label: "Collection", sort: (v) => v.collection,
    cell: (v) => (v.collection ? foreign(v.collection) : "–") },
  { id: "input", label: "Input", class: "number",
    sort: (v) => (v.image_size ? v.image_size[0] * v.image_size[1] : null),
    cell: (v) => (v.image_size ? v.image_size.join("×") : "–") },
  { id: "parameters", label: "Parameters", class: "number",
    sort: (v) => first(v.parameters, v.parameters_claimed),
    cell: (v) => pair(v.parameters, v.parameters_claimed, count, isWrong(v, "Parameters")) },
  { id: "macs", label: "MACs", class: "number", sort: (v) => first(v.macs),
    cell: (v) => (v.macs === undefined ? "–" : el("span", { title: whole.format(v.macs) }, short(v.macs))) },
  { id: "flops", label: "FLOPs", class: "number", sort: (v) => first(v.flops_claimed, v.fvcore),
    cell: (v) => pair(v.fvcore, v.flops_claimed, count, isWrong(v, "FLOPs"), v.fvcore === undefined ? "" : "fvcore",
      v.flops_claimed === undefined ? "" : v.flops_convention_claimed || "no convention") },
  { id: "size", label: "File size", class: "number",
    sort: (v) => first(v.file_size, v.file_size_claimed),
    cell: (v) => pair(v.file_size, v.file_size_claimed, bytes, isWrong(v, "File Size")) },
  accuracyColumn("top1", "Top-1", "Top 1 Accuracy"),
  accuracyColumn("top5", "Top-5", "Top 5 Accuracy"),
  { id: "speed", label: "Images/s", class: "number", sort: (v) => first(v.images_per_second),
    cell: (v) => (v.images_per_second === undefined ? "–" : el("span", { title: v.images_per_second_device },
      short(v.images_per_second),
      el("span", { class: "claimed" }, `batch ${v.images_per_second_batch ?? "?"}`))) },
];

function setUpComparison() {
  const form = byId("filters-comparison");
  setUpForm(form);
  form.append(
    search("Search"),
    menu("collection", "Collection", optionsOf(variants, "collection", "none")),
    menu("status", "Status", optionsOf(variants, "status", "none", GRAVITY)),
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
