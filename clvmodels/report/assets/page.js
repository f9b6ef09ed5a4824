// The page works without these scripts. They add a theme switch, sorting and files of tables, the search for
// customers, a filter of scores, and open folded parts for print.
"use strict";

(function theme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  button.hidden = false;
  button.setAttribute("aria-pressed", String(dark()));
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    button.setAttribute("aria-pressed", String(dark()));
  });
})();

(function winners() {
  const group = document.getElementById("winners-group");
  if (!group) return;
  const rows = document.querySelectorAll(".winners tr[data-group]");
  document.getElementById("winners-controls").hidden = false;
  group.addEventListener("change", () => {
    for (const row of rows) row.hidden = Boolean(group.value) && row.dataset.group !== group.value;
  });
})();

(function print() {
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details.data-set")) part.open = true;
  });
})();

(function contents() {
  const links = new Map(Array.from(document.querySelectorAll(".contents a"), (link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
    const current = Array.from(links.keys()).find((key) => seen.has(key));
    for (const [key, link] of links) key === current ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  }, { rootMargin: "-10% 0px -70% 0px" });
  for (const key of links.keys()) watcher.observe(document.getElementById(key));
})();
