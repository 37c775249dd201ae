// Light or dark: as the system says, until the reader chooses.

const THEMES = ["system", "light", "dark"];
const STORED = "zoo-report-theme";
const themeListeners = [];

function storedTheme() {
  try {
    const theme = localStorage.getItem(STORED);
    return THEMES.includes(theme) ? theme : "system";
  } catch {
    return "system"; // A page opened from a disk may be refused any storage.
  }
}

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
  for (const listener of themeListeners) listener();
}

function setUpTheme() {
  let theme = storedTheme();
  setTheme(theme);
  byId("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try {
      localStorage.setItem(STORED, theme);
    } catch {
      // It lasts as long as the page, then.
    }
    setTheme(theme);
  });
  // Paper is white, and the plots are drawn in the colours of their ground.
  window.addEventListener("beforeprint", () => setTheme("light"));
  window.addEventListener("afterprint", () => setTheme(theme));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(theme));
}

const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark";
