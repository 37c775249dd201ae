// The data block, taken apart. Texts are numbered there, so that none is written twice.

const data = JSON.parse(byId("data").textContent);
const text = (number) => (number < 0 ? "" : data.texts[number]);

const findings = data.findings.map((entry, order) => {
  const [variant, collection, field, check, status, severity, cause, documented, measured, message,
    place, fix, change, accepted, group] = entry;
  const finding = {
    order,
    change,
    group,
    // What is accepted is neither error nor warning any more; a difference that nobody graded
    // stands among the errors.
    label: accepted < 0 ? severity || (status === "mismatch" ? "error" : status) : "accepted",
    variant: text(variant),
    collection: text(collection),
    field: text(field),
    check: text(check),
    cause: text(cause),
    documented: text(documented),
    measured: text(measured),
    message: text(message),
    place: text(place),
    fix: text(fix),
    accepted: text(accepted),
  };
  finding.haystack = [finding.variant, finding.collection, finding.field, finding.check,
    finding.cause, finding.documented, finding.measured, finding.message, finding.place,
    finding.accepted]
    .join("\n").toLowerCase();
  return finding;
});

const variants = data.variants.map((entry, order) => ({
  ...entry,
  order,
  name: text(entry.name),
  collection: text(entry.collection),
  builder: text(entry.builder),
  dataset: text(entry.dataset),
  flops_convention_claimed: text(entry.flops_convention_claimed),
  images_per_second_device: text(entry.images_per_second_device),
  place: text(entry.place),
}));

const byKey = new Map(variants.map((variant) => [variant.key, variant]));
const keyOf = new Map([...variants].reverse().map((variant) => [variant.name, variant.key]));
const remedies = new Map(Object.entries(data.causes).map(([number, remedy]) => [text(number), text(remedy)]));
// A map, since a file may have any name, that of what every object has included.
const sources = new Map(Object.entries(data.sources));
const GRAVITY = ["error", "warning", "note", "accepted", "unverified", "match"];

/** The distinct values of a column, in the order of appearance, with how often each occurs. */
function distinct(rows, column) {
  const counts = new Map();
  for (const row of rows) counts.set(row[column], (counts.get(row[column]) || 0) + 1);
  return counts;
}

/** A place as it stands, or as a link to it in its repository; `shown` may be a part of it. */
function placeLink(place, shown = place) {
  const [, file, line] = place.match(/^(.*):(\d+):\d+$/) || [];
  const address = sources.get(file);
  if (!address) return el("span", { class: "place", title: place }, foreign(shown));
  return el("a", { class: "place", href: address.replace("{line}", line), title: place }, foreign(shown));
}

/** A cause, as a link to what it means. */
const causeLink = (cause) => (remedies.has(cause)
  ? el("a", { href: fragment("causes", { cause }) }, el("code", {}, cause)) : el("code", {}, cause));
