// A table whose columns sort, a page of rows at a time: what is not shown is not made.

const PAGE_SIZE = 50;

/** The column and direction that a `sort` of the fragment names, or null. */
function sorting(columns, named) {
  const descending = (named || "").startsWith("-");
  const column = columns.find((c) => c.sort && c.id === (named || "").replace(/^-/, ""));
  return column ? { column, descending } : null;
}

/** Sorted rows; those without a value come last in either direction. */
function sorted(rows, columns, named) {
  const by = sorting(columns, named);
  if (!by) return rows;
  const collator = new Intl.Collator("en", { numeric: true });
  const isMissing = (value) => value === null || value === undefined || value === "";
  const keyed = rows.map((row) => [by.column.sort(row), row]);
  keyed.sort(([a, rowA], [b, rowB]) => {
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b) || rowA.order - rowB.order;
    const order = typeof a === "number" ? a - b : collator.compare(a, b);
    return (by.descending ? -order : order) || rowA.order - rowB.order;
  });
  return keyed.map(([, row]) => row);
}

/** Puts one page of a table into `host`. */
function showTable(host, columns, rows, { caption }) {
  const pages = Math.max(1, Math.ceil(rows.length / PAGE_SIZE));
  const page = Math.min(pages, Math.max(1, Number.parseInt(route.chosen.page, 10) || 1));
  const shown = rows.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE);
  const focused = host.contains(document.activeElement) ? document.activeElement.dataset.focus : "";
  const table = el("table", { class: "data wide" },
    el("caption", { class: "hidden" }, caption),
    el("thead", {}, el("tr", {}, columns.map(heading))),
    el("tbody", {}, shown.map((row) => el("tr", {}, columns.map((column) => {
      const cell = el(column.isHeader ? "th" : "td", {
        class: column.class, scope: column.isHeader ? "row" : null,
      });
      cell.append(...[column.cell(row)].flat());
      return cell;
    })))));
  const scroll = el("div", { class: "scroll tall", role: "region", "aria-label": caption, tabindex: "0" },
    table);
  host.replaceChildren(scroll, ...(pages > 1 ? [pager(page, pages)] : []));
  if (!rows.length) host.replaceChildren(el("p", { class: "empty" }, "Nothing matches."));
  // A button that was pressed was made anew: the reader's place must not be lost with it.
  if (focused) host.querySelector(`[data-focus="${focused}"]`)?.focus();
}

function heading(column) {
  if (!column.sort) return el("th", { scope: "col", class: column.class }, column.label);
  const by = sorting([column], route.chosen.sort);
  const state = by ? (by.descending ? "descending" : "ascending") : "none";
  const next = !by ? column.id : by.descending ? "" : `-${column.id}`;
  const mark = { none: "", ascending: " ↑", descending: " ↓" }[state];
  return el("th", { scope: "col", class: column.class, "aria-sort": state },
    el("button", {
      type: "button", class: "sort", "data-focus": `sort-${column.id}`,
      onclick: () => choose({ sort: next }),
    }, column.label, el("span", { "aria-hidden": "true" }, mark)));
}

function pager(page, pages) {
  const button = (label, target, name) => el("button", {
    type: "button", disabled: target < 1 || target > pages, "data-focus": name,
    onclick: () => {
      choose({ page: target === 1 ? "" : String(target) });
      byId("main").scrollIntoView();
    },
  }, label);
  return el("nav", { class: "pager", "aria-label": "Pages of the table" },
    button("Previous", page - 1, "previous"),
    el("span", {}, `Page ${page} of ${pages}`),
    button("Next", page + 1, "next"));
}
