// The controls above a table or a plot; what they say is what the fragment says.

/** A menu of the values of a column; `names` are shown in their place. */
function menu(name, label, options) {
  const select = el("select", { name, onchange: () => choose({ [name]: select.value }) },
    options.map(([value, shown]) => el("option", { value }, shown)));
  return el("label", {}, el("span", {}, label), select);
}

/** Options for the values that occur: [value, "value (count)"], with one for all of them. */
function optionsOf(rows, column, none, order = null) {
  const counts = [...distinct(rows, column)];
  if (order) counts.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  else counts.sort(([a], [b]) => a.localeCompare(b));
  // An absent value can't be named by an empty one, which means all of them.
  return [["", "all"], ...counts.map(([value, count]) => [value || "-", `${value || none} (${count})`])];
}

function search(label) {
  let typing = 0;
  const input = el("input", {
    type: "search", name: "q", autocomplete: "off", spellcheck: "false",
    oninput: () => {
      clearTimeout(typing);
      // The first letter is a step that "back" undoes; the letters after it belong to that step.
      typing = setTimeout(() => choose({ q: input.value }, Boolean(route.chosen.q)), 60);
    },
  });
  return el("label", { class: "search" }, el("span", {}, label), input);
}

function resetButton() {
  return el("button", { type: "button", class: "quiet", onclick: () => go(route.view, {}) }, "Reset");
}

/** Makes the controls show what is chosen. */
function syncFilters(form) {
  for (const control of form.elements) {
    if (!control.name) continue;
    const value = route.chosen[control.name] || "";
    if (control.tagName === "SELECT") {
      const exists = [...control.options].some((option) => option.value === value);
      // A link may name what this report doesn't have: it is shown, and finds nothing.
      if (!exists) control.append(el("option", { value }, value));
      control.value = value;
    } else if (document.activeElement !== control || !value) control.value = value;
  }
}

function setUpForm(form) {
  form.addEventListener("submit", (event) => event.preventDefault());
}

const isChosen = (name, value) => {
  const wanted = route.chosen[name];
  return !wanted || wanted === (value || "-");
};

/** Whether a text holds every word that is searched for. */
function searched(haystack) {
  const wanted = (route.chosen.q || "").toLowerCase().split(/\s+/).filter(Boolean);
  return wanted.every((word) => haystack.includes(word));
}
