// The findings, filtered, in the groups that a terminal shows.

// So much is made at a time: what is not shown is not made.
const STEP = 50;
const CHANGES = { new: "new", fixed: "fixed", unseen: "not looked for" };

const variantLink = (finding) => {
  const key = keyOf.get(finding.variant);
  if (!finding.variant) return el("span", { class: "muted" }, "the index");
  return key === undefined ? foreign(finding.variant) : el("a", { href: linkToVariant(key) }, foreign(finding.variant));
};

function values(finding) {
  const line = (name, value) => (value
    ? el("span", { class: "value" }, el("span", { class: "muted" }, `${name} `), foreign(value)) : null);
  return el("p", { class: "values" }, line("documented", finding.documented), " ", line("measured", finding.measured));
}

/** One finding; in a view of many, with its variant. */
function findingItem(finding, named = true) {
  const remedy = finding.label === "match" ? "" : remedies.get(finding.cause);
  const more = [remedy ? el("p", {}, remedy) : null, finding.fix ? patch(finding.fix) : null].filter(Boolean);
  return el("li", { class: `finding ${finding.label}` },
    el("div", { class: "finding-head" }, chip(finding.label),
      named ? el("strong", {}, variantLink(finding)) : null, el("strong", {}, foreign(finding.field)),
      finding.cause ? causeLink(finding.cause) : null,
      finding.change ? el("span", { class: "change" }, CHANGES[finding.change]) : null,
      finding.place ? placeLink(finding.place) : null),
    el("p", {}, foreign(finding.message)),
    values(finding),
    finding.accepted ? el("p", {}, el("strong", {}, "Accepted: "), foreign(finding.accepted)) : null,
    more.length ? el("details", {}, el("summary", {}, finding.fix ? "What to do, with a fix" : "What to do"), more) : null);
}

/** A unified diff, its lines told apart by their sign and by a colour. */
function patch(diff) {
  const lines = diff.replace(/\n$/, "").split("\n").map((line) => {
    const kind = { "+": "added", "-": "removed", "@": "hunk" }[line[0]] || "same";
    return el("span", { class: kind }, `${line}\n`);
  });
  return el("pre", { class: "patch", tabindex: "0", role: "region", "aria-label": "Proposed fix" }, lines);
}

const isPast = (finding) => finding.change === "fixed" || finding.change === "unseen";

const isOfState = (label) => {
  const { state } = route.chosen;
  return !state || state === label || (state === "differs" && (label === "error" || label === "warning"));
};

function chosenFindings() {
  const { change } = route.chosen;
  return findings.filter((finding) =>
    (change ? finding.change === change : !isPast(finding))
    && isOfState(finding.label)
    && isChosen("collection", finding.collection)
    && isChosen("field", finding.field)
    && isChosen("cause", finding.cause)
    && searched(finding.haystack));
}

/** The groups of these findings, as a terminal has them, then what it only counts. */
function grouped(found) {
  const groups = new Map();
  for (const finding of found) {
    const key = finding.group < 0 ? `${finding.change} ${finding.label}` : finding.group;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(finding);
  }
  const rank = ([key, [first]]) => (typeof key === "number" ? key : data.groups.length + GRAVITY.indexOf(first.label));
  return [...groups].sort((a, b) => rank(a) - rank(b)).map(([key, members]) => {
    const [kind, heading, said] = typeof key === "number" ? data.groups[key] : ["rest", -1, -1];
    return { kind, heading: text(heading), said: text(said), members };
  });
}

/** A list that is made as it is asked for; `host` gets the button for more. */
function growing(host, list, items, make, step = STEP) {
  let made = 0;
  const more = el("button", { type: "button", onclick: () => grow() });
  const grow = () => {
    const next = items.slice(made, made + step).map(make);
    list.append(...next);
    if (made && next.length) next[0].querySelector("a, summary")?.focus();
    made += next.length;
    more.textContent = `Show ${Math.min(step, items.length - made)} of ${items.length - made} more`;
    more.hidden = made >= items.length;
  };
  grow();
  host.append(list, more);
  return host;
}

function groupOf({ kind, heading, said, members }, isOpen, step = STEP) {
  const [{ label }] = members;
  const number = whole.format(members.length);
  const list = el("ul", { class: "findings" });
  if (kind === "variant") {
    // Of one variant, its link is the heading; a name that is not of this report has none.
    const named = members[0].variant ? [members[0].collection ? [foreign(members[0].collection), " / "] : null, variantLink(members[0])].flat() : [foreign(heading)];
    return growing(el("section", { class: "group" }, el("h2", {}, named)), list, members, (f) => findingItem(f, false));
  }
  const title = kind === "rule" ? heading : kind === "rest" ? "" : heading.replace(/^\d+ findings? /, "");
  const details = el("details", { class: "group", open: isOpen },
    el("summary", {}, chip(label), el("strong", {}, ` ${number} ${members.length === 1 ? "finding" : "findings"}`),
      title ? [" ", foreign(title)] : null, members[0].cause && kind !== "rest" ? [" ", el("code", {}, members[0].cause)] : null,
      said ? el("span", { class: "about" }, foreign(said)) : null));
  const show = () => details.open && !list.children.length && growing(details, list, members, (f) => findingItem(f), step);
  details.addEventListener("toggle", show);
  show();
  return details;
}

function setUpFindings() {
  const form = byId("filters-findings");
  setUpForm(form);
  const present = findings.filter((finding) => !isPast(finding));
  const states = optionsOf(present, "label", "none", GRAVITY).map(([value, shown]) => [value, value ? shown.replace(value, word(value)) : shown]);
  const differing = present.filter((f) => f.label === "error" || f.label === "warning").length;
  states.splice(1, 0, ["differs", `differs (${differing})`]);
  form.append(
    search("Search"),
    menu("state", "State", states),
    menu("collection", "Collection", optionsOf(present, "collection", "none")),
    menu("field", "Field", optionsOf(present, "field", "none")),
    menu("cause", "Cause", optionsOf(present, "cause", "none")),
  );
  if (findings.some((finding) => finding.change)) {
    const number = (change) => findings.filter((finding) => finding.change === change).length;
    form.append(menu("change", "What changed last", [["", "all of this report"],
      ...Object.entries(CHANGES).map(([value, shown]) => [value, `${shown} (${number(value)})`])]));
  }
  form.append(resetButton());
}

function showFindings() {
  syncFilters(byId("filters-findings"));
  const found = chosenFindings();
  const all = findings.filter((finding) => !isPast(finding)).length;
  byId("count-findings").textContent = `${whole.format(found.length)} of ${whole.format(all)} findings`;
  const groups = grouped(found);
  const isOpen = groups.length === 1 || (found.length <= STEP && Object.keys(route.chosen).length > 0);
  const host = byId("list-findings");
  const isBlock = ({ kind }) => kind === "variant" || kind === "rule";
  const [blocks, others] = [true, false].map((is) => groups.filter((group) => isBlock(group) === is));
  host.replaceChildren();
  // What many have in common is told by a few of them.
  const few = found.length > STEP ? 5 : STEP;
  const block = (group) => groupOf(group, isOpen || group.kind === "rule", few);
  if (blocks.length) growing(host, el("div", {}), blocks, block, STEP / 2);
  host.append(...others.map((group) => groupOf(group, isOpen)));
  if (!groups.length) host.append(el("p", { class: "empty" }, "Nothing matches."));
}
