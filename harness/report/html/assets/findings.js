// The findings, filtered.

const FINDING_COLUMNS = [
  { id: "severity", label: "Severity", class: "severity", sort: (f) => GRAVITY.indexOf(f.label),
    cell: severityCell },
  { id: "variant", label: "Variant", class: "variant", isHeader: true, sort: (f) => f.variant,
    cell: (f) => [variantName(f), f.place ? el("span", { class: "place" }, foreign(f.place)) : ""] },
  { id: "field", label: "Field", class: "field", sort: (f) => f.field,
    cell: (f) => [foreign(f.field), valueLine("documented", f.documented), valueLine("measured", f.measured)] },
  { id: "message", label: "Finding", class: "message", cell: messageCell },
  { id: "cause", label: "Cause", class: "cause", sort: (f) => f.cause,
    cell: (f) => (f.cause ? el("code", {}, f.cause) : "–") },
];

function severityCell(finding) {
  const mark = { new: "new", fixed: "fixed", unseen: "not seen" }[finding.change];
  return [chip(finding.label), mark ? el("span", { class: "change" }, mark) : null].filter(Boolean);
}

function variantName(finding) {
  const key = keyOf.get(finding.variant);
  if (!finding.variant) return el("span", { class: "muted" }, "the index");
  if (key === undefined) return foreign(finding.variant);
  return el("a", { href: linkToVariant(key) }, foreign(finding.variant));
}

function valueLine(name, value) {
  if (!value) return "";
  const shown = value.length > 90 ? `${value.slice(0, 89)}…` : value;
  return el("span", { class: "value" }, el("span", { class: "muted" }, `${name} `), foreign(shown));
}

/** Why a baseline accepts a finding; nothing where it doesn't. */
function reason(finding) {
  return finding.accepted ? el("p", {}, el("strong", {}, "Accepted: "), foreign(finding.accepted)) : "";
}

function messageCell(finding) {
  const about = causes.get(finding.cause);
  const more = [];
  if (about) more.push(el("p", {}, text(about[0])), el("p", {}, el("strong", {}, "What to do: "), text(about[1])));
  if (finding.fix) more.push(patch(finding.fix));
  const said = [foreign(finding.message), reason(finding)];
  if (!more.length) return said;
  const summary = finding.fix ? "What to do, with a fix" : "What to do";
  return [...said, el("details", {}, el("summary", {}, summary), more)];
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
    menu("severity", "Severity", optionsOf(present, "severity", "none", [...GRAVITY.slice(0, 4), ""])),
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
    { caption: "Findings", tableClass: "fitted" });
}
