// Where a reader points in a figure, the row of its table that is drawn there: by mouse, by touch, by arrow keys.
(function readouts() {
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  const { colon, between: bracketed } = document.getElementById("content").dataset;
  let shown = null;

  function hide() {
    shown?.guide.remove();
    tip.remove();
    shown = null;
  }

  // What a reader may point at: places of the panels one after the other, each with its texts.
  function places(panels, table) {
    const rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.cells, parts));
    const heads = Array.from(table.tHead.rows[0].cells, (head) => head.textContent.trim());
    return panels.flatMap((panel) => {
      if (!panel.rows && !panel.cells && panel.at.length !== rows.length) return []; // a row that is not drawn
      return panel.at.map((at, place) => panel.cells
        ? { panel, at, of: place, heads: panel.heads, texts: panel.cells[place].map((text) => [text, ""]) }
        : { panel, at, of: panel.rows ? panel.rows[place] : place, heads, texts: rows[panel.rows ? panel.rows[place] : place] });
    });
  }

  function guide({ panel, at }) {
    const [left, top, right, bottom] = panel.box;
    const line = document.createElementNS(NAMESPACE, panel.along === "xy" ? "circle" : "line");
    const where = {
      x: () => ({ x1: at, y1: top, x2: at, y2: bottom }),
      y: () => ({ x1: left, y1: at, x2: right, y2: at }),
      xy: () => ({ cx: at[0], cy: at[1], r: 8 }),
    }[panel.along]();
    for (const [name, value] of Object.entries(where)) line.setAttribute(name, String(value));
    line.setAttribute("class", "guide");
    return line;
  }

  function show(svg, place) {
    if (shown?.place === place) return;
    hide();
    const { panel, at, heads, texts } = place;
    const figure = svg.closest("figure");
    const mark = guide(place);
    svg.append(mark);
    const name = document.createElement("b");
    name.textContent = texts[0][0];
    const lines = texts.slice(1).map(([text, between], column) => {
      const line = document.createElement("span");
      const head = heads[column + 1];
      line.textContent = `${head ? head + colon : ""}${text}${between ? bracketed.replace("{range}", () => between) : ""}`;
      return line;
    });
    tip.replaceChildren(name, ...lines);
    figure.append(tip);
    const [outer, inner] = [figure.getBoundingClientRect(), svg.getBoundingClientRect()];
    const scale = inner.width / svg.viewBox.baseVal.width;
    const [left, top, right] = panel.box;
    const [x, y] = { x: [at, top], y: [(left + right) / 2, at + 16 / scale], xy: [at[0], at[1] + 12 / scale] }[panel.along];
    const [from, below] = [inner.left - outer.left + x * scale, inner.top - outer.top + y * scale];
    const beside = from + 14 + tip.offsetWidth <= outer.width ? from + 14 : from - 14 - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(beside, outer.width - tip.offsetWidth))}px`;
    tip.style.top = `${below}px`;
    shown = { svg, place, guide: mark };
  }

  for (const svg of document.querySelectorAll("figure svg:has(metadata)")) {
    const all = places(JSON.parse(svg.querySelector("metadata").textContent), svg.closest("figure").querySelector("details table"));
    if (!all.length) continue;
    // by keys each is told once, though it may be drawn along a band at several places
    const stops = all.filter((place, at) => !at || place.panel !== all[at - 1].panel || place.of !== all[at - 1].of);
    svg.tabIndex = 0;

    function point(event) {
      const inner = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / inner.width;
      const [x, y] = [(event.clientX - inner.left) * scale, (event.clientY - inner.top) * scale];
      const near = all.filter(({ panel: { box } }) => x >= box[0] - 8 && x <= box[2] + 8 && y >= box[1] - 8 && y <= box[3] + 8);
      if (!near.length) return hide();
      const away = ({ panel, at }) => ({ x: () => Math.abs(at - x), y: () => Math.abs(at - y), xy: () => Math.hypot(at[0] - x, at[1] - y) })[panel.along]();
      show(svg, near.reduce((best, place) => away(place) < away(best) ? place : best));
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
      const now = shown?.svg === svg ? stops.findIndex(({ panel, of }) => panel === shown.place.panel && of === shown.place.of) : -1;
      const next = now < 0 ? (step > 0 ? 0 : stops.length - 1) : Math.max(0, Math.min(now + step, stops.length - 1));
      show(svg, stops[next]);
    });
  }
})();

