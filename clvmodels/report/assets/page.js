// The page works without this: it adds a theme switch, sorting, filtering and searching of the
// customers, a filter of scores, and opens folded parts for print.
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

(function explorer() {
  const table = document.getElementById("explorer-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const search = document.getElementById("explorer-search");
  const type = document.getElementById("explorer-type");
  const shown = document.getElementById("explorer-shown");
  const controls = document.getElementById("explorer-controls");

  function filter() {
    const text = search.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const match = row.cells[0].dataset.value.toLowerCase().includes(text) && (!type.value || row.dataset.type === type.value);
      row.hidden = !match;
      count += match;
    }
    shown.textContent = shown.dataset.pattern.replace("{shown}", count).replace("{total}", rows.length);
  }

  function sort(head) {
    const column = Number(head.dataset.column);
    const now = head.getAttribute("aria-sort");
    const descending = now ? now !== "descending" : head.dataset.first !== "ascending";
    const values = new Map(rows.map((row) => [row, row.cells[column].dataset.value]));
    const numeric = rows.every((row) => values.get(row) !== "" && !Number.isNaN(Number(values.get(row))));
    const order = (a, b) => numeric ? Number(values.get(a)) - Number(values.get(b)) : values.get(a).localeCompare(values.get(b));
    rows.sort((a, b) => (descending ? -1 : 1) * order(a, b));
    body.append(...rows);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  }

  for (const head of table.tHead.querySelectorAll("th[data-column]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head));
    head.append(button);
  }
  controls.hidden = false;
  controls.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", filter);
  type.addEventListener("change", filter);
  filter();
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
