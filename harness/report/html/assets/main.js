// Puts it together: an address is read, and what it names is shown.

const SHOW = { overview: showOverview, findings: showFindings, comparison: showComparison,
  plots: showPlots, history: showHistory, causes: showCause };
let shown = "";

/** Goes to the cause that is chosen. */
function showCause() {
  const wanted = [...document.querySelectorAll("[data-cause]")].find((each) => each.dataset.cause === route.chosen.cause);
  for (const each of document.querySelectorAll("[data-cause]")) each.classList.toggle("chosen", each === wanted);
}

function showRoute() {
  readAddress();
  const wanted = fragment(route.view, route.chosen);
  if (wanted !== shown) {
    const isOther = shown.split("?")[0] !== wanted.split("?")[0];
    for (const view of VIEWS) byId(`view-${view}`).hidden = view !== route.view;
    SHOW[route.view]();
    const cause = route.view === "causes" && document.querySelector(".chosen");
    if (cause) {
      cause.scrollIntoView();
      cause.focus({ preventScroll: true });
    } else if (isOther && shown) window.scrollTo(0, 0);
    shown = wanted;
  }
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const { view } = link.dataset;
    link.href = fragment(view, remembered[view]);
    if (view === route.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  showPanel();
}

document.documentElement.classList.add("scripting");
// The fragment is a state of the page: a link to #main would lose it.
document.querySelector("[data-skip]").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
setUpTheme();
setUpFindings();
setUpComparison();
setUpPlots();
setUpHistory();
setUpPanel();
window.addEventListener("hashchange", showRoute);
showRoute();
