// What is shown is written in the fragment: #view?filter=...&variant=... A link to it shows the
// same again, and the browser's back button undoes a step.

const VIEWS = ["overview", "findings", "comparison", "plots", "history", "causes"];
const route = { view: "overview", variant: "", chosen: {} };
// What was last chosen in each view, so that going back to it by the menu finds it again.
const remembered = Object.fromEntries(VIEWS.map((view) => [view, {}]));

function parse(fragment) {
  const [head, ...tail] = fragment.replace(/^#/, "").split("?");
  const chosen = Object.fromEntries(new URLSearchParams(tail.join("?")));
  const variant = chosen.variant || "";
  delete chosen.variant;
  return { view: VIEWS.includes(head) ? head : "overview", variant, chosen };
}

function fragment(view, chosen, variant = "") {
  const given = Object.entries({ ...chosen, variant }).filter(([, value]) => value !== "");
  const query = new URLSearchParams(given).toString();
  return `#${view}${query ? `?${query}` : ""}`;
}

/** Goes to a state: a step that "back" undoes, or, with `replace`, without one. */
function go(view, chosen, variant = "", replace = false) {
  const target = fragment(view, chosen, variant);
  if (target === location.hash) return;
  if (replace) location.replace(target);
  else location.hash = target;
}

const linkToVariant = (key) => fragment(route.view, route.chosen, key);

/** Takes over what the address says. */
function readAddress() {
  Object.assign(route, parse(location.hash));
  remembered[route.view] = route.chosen;
}

/** Changes filters of the present view; an empty value removes one. */
function choose(changes, replace = false) {
  const chosen = { ...route.chosen, ...changes };
  if (!("page" in changes)) delete chosen.page;
  for (const name of Object.keys(chosen)) if (!chosen[name]) delete chosen[name];
  go(route.view, chosen, route.variant, replace);
}
