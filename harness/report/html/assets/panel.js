// One variant in full, in a dialog: the browser keeps the focus in it and closes it by Escape.

const panel = byId("panel");

function section(title, ...content) {
  return el("section", {}, el("h3", {}, title), ...content);
}

/** Columns from `numeric` on hold numbers. */
function plainTable(caption, head, rows, numeric = head.length) {
  return el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    el("table", { class: "data" }, el("caption", { class: "hidden" }, caption),
      el("thead", {}, el("tr", {}, head.map((name, column) =>
        el("th", { scope: "col", class: column >= numeric ? "number" : null }, name)))),
      el("tbody", {}, rows)));
}

function pairs(entries) {
  const known = entries.filter(([, value]) => value);
  return el("dl", { class: "pairs" },
    known.map(([name, value]) => [el("dt", {}, foreign(name)), el("dd", {}, foreign(value))]).flat());
}

/** The findings on one claim. Two results may claim one field: the place tells them apart. */
function onClaim([field, , place], found) {
  return found.filter((f) => f.field === text(field) && (f.place === text(place) || !f.place));
}

function claimRow([field, raw, place, about], of) {
  const worst = [...of].sort((a, b) => GRAVITY.indexOf(a.label) - GRAVITY.indexOf(b.label))[0];
  const measured = [...new Set(of.map((f) => f.measured).filter(Boolean))];
  return el("tr", {},
    el("th", { scope: "row" }, foreign(text(field)),
      about < 0 ? null : el("span", { class: "about" }, foreign(text(about)))),
    el("td", { class: "value" }, foreign(text(raw))),
    el("td", { class: "value" }, measured.length ? measured.map((m) => el("div", {}, foreign(m))) : "–"),
    el("td", {}, chip(worst.label)),
    el("td", { class: "where" }, placeLink(text(place), text(place).split("/").pop())));
}

/** What is documented: first what a finding speaks of, then, folded away, the rest. */
function claimsOf(variant, found) {
  if (!variant.claims.length) return [el("p", { class: "muted" }, "None are known to this report.")];
  const held = variant.claims.map((claim) => [claim, onClaim(claim, found)]);
  const checked = held.filter(([, of]) => of.length);
  const others = held.filter(([, of]) => !of.length);
  const rest = pairs(others.map(([[field, raw]]) => [text(field), text(raw)]));
  return [
    checked.length ? plainTable("Claims", ["Field", "Documented", "Measured", "Status", "Where"],
      checked.map(([claim, of]) => claimRow(claim, of))) : null,
    others.length ? el("details", { open: !checked.length },
      el("summary", {}, `${others.length} that nothing was found about`), rest) : null,
  ];
}

function factBlock([title, lines, head, rows, share, provenance]) {
  const content = [];
  if (lines.length) content.push(pairs(lines.map(([name, value]) => [text(name), text(value)])));
  if (rows.length) {
    content.push(plainTable(text(title), head.map(text), rows.map((cells) => el("tr", {},
      cells.map((cell, column) => factCell(text(cell), column, column === share)))), 1));
  }
  if (provenance >= 0) content.push(el("p", { class: "provenance" }, foreign(text(provenance))));
  return section(text(title), ...content);
}

function factCell(value, column, isShare) {
  if (column === 0) return el("th", { scope: "row" }, foreign(value));
  const cell = el("td", { class: "number" }, foreign(value));
  return isShare ? addShare(cell, Number.parseFloat(value) || 0) : cell;
}

/** Draws a percentage into a cell as well. */
function addShare(cell, percentage) {
  cell.classList.add("share");
  cell.style.setProperty("--share", `${Math.min(100, percentage)}%`);
  return cell;
}

function fillPanel(variant) {
  const found = findings.filter((f) => f.variant === variant.name && !isPast(f));
  const open = found.filter((f) => f.label !== "match");
  const held = found.filter((f) => f.label === "match");
  const blocks = [...variant.facts.map(factBlock), ...variant.answers.map(answersBlock)];
  const closer = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => panel.close() }, "×");
  panel.replaceChildren(el("div", { class: "panel-head" },
    el("h2", { id: "panel-title", tabindex: "-1" }, foreign(variant.key)), closer),
  el("div", { class: "panel-body" },
    el("p", {}, chip(variant.status), " ", foreign(variant.collection || "no collection"), el("span", { class: "muted" }, ", built by "), foreign(variant.builder)),
    variant.place ? el("p", {}, placeLink(variant.place)) : null,
    section("Findings", open.length ? el("ul", { class: "findings" }, open.map((f) => findingItem(f, false)))
      : el("p", { class: "muted" }, found.length ? "None: every claim that was checked holds." : "Nothing was checked.")),
    held.length ? el("details", {}, el("summary", {}, `${held.length} that hold`), el("ul", { class: "findings" }, held.map((f) => findingItem(f, false)))) : null,
    section("Claims", ...claimsOf(variant, found)),
    historySection(variant),
    el("h3", { class: "part" }, "Measurements"),
    blocks.length ? blocks : el("p", { class: "muted" }, "Nothing was measured, or its provenance is not in this report."),
    el("p", {}, el("a", { href: fragment("findings", { q: variant.name }) }, "All findings that name it"))));
}

function missingPanel(key) {
  panel.replaceChildren(el("div", { class: "panel-head" },
    el("h2", { id: "panel-title", tabindex: "-1" }, "No such variant"),
    el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => panel.close() }, "×")),
  el("div", { class: "panel-body" }, el("p", {}, "This report has no variant called ", foreign(key), ".")));
}

let opened = "";

function showPanel() {
  if (route.variant === opened) return;
  opened = route.variant;
  if (!opened) {
    panel.close();
    return;
  }
  const variant = byKey.get(opened);
  if (variant) fillPanel(variant);
  else missingPanel(opened);
  if (!panel.open) panel.showModal();
  if (variant) drawHistory(variant);
  panel.scrollTop = 0;
  byId("panel-title").focus();
}

function setUpPanel() {
  panel.addEventListener("close", () => {
    if (!opened) return;
    opened = "";
    go(route.view, route.chosen);
  });
  window.addEventListener("resize", () => byKey.has(opened) && drawHistory(byKey.get(opened)));
  // A click beside the panel falls on the dialog itself, which its content covers otherwise.
  panel.addEventListener("click", (event) => event.target === panel && panel.close());
}
