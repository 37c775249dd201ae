// The findings, filtered.

const FINDING_COLUMNS = [
  { id: "severity", label: "Severity", sort: (f) => GRAVITY.indexOf(f.label), cell: severityCell },
  { id: "variant", label: "Variant", isHeader: true, sort: (f) => f.variant, cell: variantCell },
  { id: "field", label: "Field", sort: (f) => f.field, cell: (f) => foreign(f.field) },
  { id: "documented", label: "Documented", class: "value", isBlank: (f) => !f.documented,
    cell: (f) => valueCell(f.documented) },
  { id: "measured", label: "Measured", class: "value", isBlank: (f) => !f.measured,
    cell: (f) => valueCell(f.measured) },
  { id: "message", label: "Finding", class: "message", cell: messageCell },
  { id: "cause", label: "Cause", sort: (f) => f.cause, class: "cause", cell: causeCell },
];

function severityCell(finding) {
  const mark = { new: "new", fixed: "fixed", unseen: "not seen" }[finding.change];
  return [chip(finding.label), mark ? el("span", { class: "change" }, mark) : null].filter(Boolean);
}

function variantCell(finding) {
  const key = keyOf.get(finding.variant);
  if (!finding.variant) return el("span", { class: "muted" }, "the index");
  if (key === undefined) return foreign(finding.variant);
  return el("a", { href: linkToVariant(key) }, foreign(finding.variant));
}

function valueCell(value) {
  return value ? foreign(value.length > 90 ? `${value.slice(0, 89)}…` : value) : "–";
}

function causeCell(finding) {
  return [
    finding.cause ? el("code", {}, finding.cause) : "–",
    finding.place ? el("span", { class: "place" }, foreign(finding.place)) : "",
  ];
}

function messageCell(finding) {
  const about = causes.get(finding.cause);
  const more = [];
  if (about) more.push(el("p", {}, text(about[0])), el("p", {}, el("strong", {}, "What to do: "), text(about[1])));
  if (finding.fix) more.push(patch(finding.fix));
  if (!more.length) return foreign(finding.message);
  const summary = finding.fix ? "What to do, with a fix" : "What to do";
  return [foreign(finding.message), el("details", {}, el("summary", {}, summary), more)];
}

/** A unified diff, its lines told apart by their sign and by a colour. */
function patch(diff) {
  const lines = diff.replace(/\n$/, "").split("\n").map((line) => {
    const kind = { "+": "added", "-": "removed", "@": "hunk" }[line[0]] || "same";
    return el("span", { class: kind }, `${line}\n`);
  });
  return el("pre", { class: "patch", tabindex: "0", "aria-label": "Proposed fix" }, lines);
}

const isPast = (finding) => finding.change === "fixed" || finding.change === "unseen";

function chosenFindings() {
  const { change } = route.chosen;
  return findings.filter((finding) =>
    (change ? finding.change === change : !isPast(finding))
    && isChosen("collection", finding.collection)
    && isChosen("field", finding.field)
    && isChosen("severity", finding.severity)
    && isChosen("status", finding.status)
    && isChosen("cause", finding.cause)
    && searched(finding.haystack));
}

function setUpFindings() {
  const form = byId("filters-findings");
  setUpForm(form);
  const present = findings.filter((finding) => !isPast(finding));
  form.append(
    search("Search"),
    menu("collection", "Collection", optionsOf(present, "collection", "none")),
    menu("field", "Field", optionsOf(present, "field", "none")),
    menu("severity", "Severity", optionsOf(present, "severity", "none", [...GRAVITY.slice(0, 3), ""])),
    menu("status", "Status", optionsOf(present, "status", "none", ["mismatch", "unverified", "match"])),
    menu("cause", "Cause", optionsOf(present, "cause", "none")),
  );
  if (data.compared) {
    const number = (change) => findings.filter((finding) => finding.change === change).length;
    form.append(menu("change", "Since last report", [["", "all of this report"],
      ["new", `new (${number("new")})`], ["fixed", `fixed (${number("fixed")})`],
      ["unseen", `not looked for (${number("unseen")})`]]));
  }
  form.append(resetButton());
}

function showFindings() {
  syncFilters(byId("filters-findings"));
  const rows = sorted(chosenFindings(), FINDING_COLUMNS, route.chosen.sort);
  const all = findings.filter((finding) => !isPast(finding)).length;
  byId("count-findings").textContent =
    `${whole.format(rows.length)} of ${whole.format(all)} findings`;
  showTable(byId("table-findings"), FINDING_COLUMNS, rows,
    { caption: "Findings", rowClass: "stacked" });
}
