// Where a reader points in a figure, the row of its table that is drawn there: by mouse, by touch, by arrow keys.
(function readouts() {
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  const colon = document.getElementById("content").dataset.colon;
  let shown = null;

  function hide() {
    shown?.guide.remove();
    tip.remove();
    shown = null;
  }

  function show(svg, panel, place, rows, heads) {
    if (shown?.svg === svg && shown.panel === panel && shown.place === place) return;
    hide();
    const figure = svg.closest("figure");
    const [left, top, right, bottom] = panel.box;
    const guide = document.createElementNS(NAMESPACE, "line");
    const at = panel.at[place];
    const ends = panel.along === "x" ? [at, top, at, bottom] : [left, at, right, at];
    ["x1", "y1", "x2", "y2"].forEach((name, end) => guide.setAttribute(name, String(ends[end])));
    guide.setAttribute("class", "guide");
    svg.append(guide);
    const name = document.createElement("b");
    name.textContent = rows[place].cells[0].textContent.trim();
    const lines = Array.from(rows[place].cells).slice(1).map((cell, column) => {
      const line = document.createElement("span");
      const [text, between] = parts(cell);
      line.textContent = `${heads[column + 1]}${colon}${text}${between ? ` (${between})` : ""}`;
      return line;
    });
    tip.replaceChildren(name, ...lines);
    figure.append(tip);
    const [outer, inner] = [figure.getBoundingClientRect(), svg.getBoundingClientRect()];
    const scale = inner.width / svg.viewBox.baseVal.width;
    const x = inner.left - outer.left + (panel.along === "x" ? at : (left + right) / 2) * scale;
    const y = inner.top - outer.top + (panel.along === "x" ? top : at) * scale;
    const beside = x + 14 + tip.offsetWidth <= outer.width ? x + 14 : x - 14 - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(beside, outer.width - tip.offsetWidth))}px`;
    tip.style.top = `${panel.along === "x" ? y : y + 16}px`;
    shown = { svg, panel, place, guide };
  }

  for (const svg of document.querySelectorAll("figure svg:has(metadata)")) {
    const table = svg.closest("figure").querySelector("details table");
    const rows = Array.from(table.tBodies[0].rows);
    const heads = Array.from(table.tHead.rows[0].cells, (head) => head.textContent.trim());
    const panels = JSON.parse(svg.querySelector("metadata").textContent).filter((panel) => panel.at.length === rows.length);
    if (!panels.length) continue;
    svg.tabIndex = 0;

    function point(event) {
      const inner = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / inner.width;
      const [x, y] = [(event.clientX - inner.left) * scale, (event.clientY - inner.top) * scale];
      const panel = panels.find(({ box }) => x >= box[0] - 8 && x <= box[2] + 8 && y >= box[1] - 8 && y <= box[3] + 8);
      if (!panel) return hide();
      const distances = panel.at.map((at) => Math.abs(at - (panel.along === "x" ? x : y)));
      show(svg, panel, distances.indexOf(Math.min(...distances)), rows, heads);
    }

    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (step === undefined) return;
      event.preventDefault();
      const place = shown?.svg === svg ? shown.place + step : step > 0 ? 0 : rows.length - 1;
      show(svg, shown?.svg === svg ? shown.panel : panels[0], Math.max(0, Math.min(place, rows.length - 1)), rows, heads);
    });
  }
})();

