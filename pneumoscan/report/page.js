// The theme: what the system prefers, until the reader chooses. Runs before the page is shown.
(() => {
  "use strict";
  const root = document.documentElement;
  const preference = matchMedia("(prefers-color-scheme: dark)");
  const key = "pneumoscan-theme";
  let chosen = null;
  try { chosen = localStorage.getItem(key); } catch { /* a browser may forbid it to files */ }

  function show() {
    root.dataset.theme = chosen ?? (preference.matches ? "dark" : "light");
    document.getElementById("theme")?.setAttribute("aria-pressed", root.dataset.theme === "dark");
  }

  preference.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      chosen = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem(key, chosen); } catch { /* then it lasts as long as the page */ }
      show();
    });
    show();
  });
  show();
})();
