// The customers: as many rows as are in sight, of columns that lie in the page as one block.
(function explorer() {
  const plain = document.getElementById("explorer-table");
  if (!plain) return;
  const block = document.getElementById("explorer-data");
  const data = JSON.parse(block.textContent);
  block.textContent = ""; // parsed, it need not be held twice
  const total = data.ids.length;
  const ROOM = 12; // rows above and below those in sight

  // One column a head: how a row's cell is written, what it is sorted by once somebody asks, which way first.
  const columns = [
    { text: (row) => data.ids[row], keys: () => data.ids.every((id) => /^\d{1,15}$/.test(id)) ? Float64Array.from(data.ids, Number) : data.ids, first: "ascending" },
    ...data.words.map((word) => {
      const codes = Uint8Array.from(word.codes, (letter) => parseInt(letter, 36));
      return { word, codes, text: (row) => word.names[codes[row]], keys: () => codes, first: "ascending" };
    }),
    ...data.fields.map((field) => ({
      field,
      text: field.values.length === 1
        ? (row) => written(field.values[0][row], field.kind)
        : (row) => field.values.some((values) => values[row] === null)
          ? formats.nothing
          : fill(formats.range, { low: written(field.values[0][row], field.kind), high: written(field.values[1][row], field.kind) }),
      keys: () => Float64Array.from(field.values.at(-1), (value) => value ?? NaN),
      first: field.first,
    })),
  ];

  const box = document.createElement("div");
  box.className = "scroll tall";
  box.id = "explorer-box";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", plain.parentElement.getAttribute("aria-label"));
  const table = document.createElement("table");
  table.className = "virtual";
  const heads = plain.tHead.cloneNode(true);
  const body = document.createElement("tbody");
  table.append(heads, body);
  box.append(table);
  plain.parentElement.after(box);
  plain.parentElement.classList.add("replaced");

  const search = document.getElementById("explorer-search");
  const shown = document.getElementById("explorer-shown");
  const filters = Array.from(document.querySelectorAll("#explorer-controls select"), (select) => {
    const column = columns.find((each) => each.word?.name === select.dataset.filter);
    return { select, codes: column.codes, keys: column.word.keys };
  });
  let lowered = null; // ids to search in, once somebody does
  let sorted = Uint32Array.from({ length: total }, (_, row) => row);
  let rows = sorted;
  let from = -1;
  let height = 0;

  function cells(row) {
    return columns.map((column, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) {
        cell.scope = "row";
        cell.title = data.ids[row];
      }
      if (column.field) cell.className = "number";
      if (column.word?.name === "cell") {
        const dot = document.createElement("span");
        dot.className = "dot";
        cell.className = `type ${column.word.keys[column.codes[row]]}`;
        cell.append(dot, column.text(row));
        if (data.undecided[row] === "1") {
          const tag = document.createElement("span");
          tag.className = "tag";
          tag.textContent = plain.dataset.doubt;
          cell.append(" ", tag);
        }
      } else cell.append(column.text(row));
      if (column.word && column.word.name !== "cell") {
        cell.className = "clipped"; // an action may have a long name
        cell.title = column.text(row);
      }
      return cell;
    });
  }

  function spacer(count) {
    const row = document.createElement("tr");
    const cell = document.createElement("td");
    row.className = "spacer";
    row.setAttribute("aria-hidden", "true");
    cell.colSpan = columns.length;
    cell.style.height = `${count * height}px`;
    row.append(cell);
    return row;
  }

  // A row without height that holds the longest text of each column, so that columns keep their widths.
  function sizer() {
    const width = (text) => text.replace(/[^\u0000-\u2fff]/g, "mm").length;
    const widest = columns.map((column) => {
      if (column.word) return column.word.names.reduce((a, b) => width(a) < width(b) ? b : a);
      let longest = "";
      for (let row = 0; row < total; row += Math.max(1, Math.floor(total / 2000))) {
        const text = column.text(row);
        if (text.length > longest.length) longest = text;
      }
      return longest;
    });
    const row = document.createElement("tr");
    row.className = "sizer";
    row.setAttribute("aria-hidden", "true");
    row.append(...widest.map((text, place) => {
      const cell = document.createElement("td");
      const inner = document.createElement("div");
      if (columns[place].word && columns[place].word.name !== "cell") cell.className = "clipped";
      inner.textContent = columns[place].word?.name === "cell" ? `m ${text} ${plain.dataset.doubt} mm` : text;
      cell.append(inner);
      return cell;
    }));
    return row;
  }
  const held = sizer();

  function draw(force) {
    const visible = Math.ceil(box.clientHeight / (height || 36));
    const top = Math.max(0, Math.floor(box.scrollTop / (height || 36)) - ROOM);
    if (!force && Math.abs(top - from) < ROOM / 2) return;
    from = top;
    const until = Math.min(rows.length, top + visible + 2 * ROOM);
    const parts = [held, spacer(top)];
    for (let place = top; place < until; place++) {
      const row = document.createElement("tr");
      row.setAttribute("aria-rowindex", String(place + 2));
      row.dataset.type = columns[1].word.keys[columns[1].codes[rows[place]]];
      row.append(...cells(rows[place]));
      parts.push(row);
    }
    parts.push(spacer(rows.length - until));
    body.replaceChildren(...parts);
  }

  function measure() {
    const row = body.querySelector("tr[aria-rowindex]");
    if (row) height = row.getBoundingClientRect().height || height;
  }

  function filter() {
    const text = search.value.trim().toLowerCase();
    const wanted = filters.filter(({ select }) => select.value).map(({ select, codes, keys }) => [codes, keys.indexOf(select.value)]);
    if (text !== "") lowered ??= data.ids.map((id) => id.toLowerCase());
    const matches = (row) => (text === "" || lowered[row].includes(text)) && wanted.every(([codes, code]) => codes[row] === code);
    rows = text === "" && !wanted.length ? sorted : sorted.filter(matches);
    shown.textContent = fill(shown.dataset.pattern, { shown: decimal(rows.length, 0), total: decimal(total, 0) });
    table.setAttribute("aria-rowcount", String(rows.length + 1));
    box.scrollTop = 0;
    draw(true);
  }

  // By row, how many keys are smaller: its place in the order. Worked out once a column; a sort then only counts.
  function ranked(column) {
    if (column.ranks) return column.ranks;
    const keys = column.keys();
    const ordered = keys.slice().sort(); // numbers of a typed array by size with NaN last, texts by their letters
    let numbers = total;
    while (numbers > 0 && Number.isNaN(ordered[numbers - 1])) numbers--;
    const smaller = new Uint32Array(total);
    const equal = new Uint32Array(total + 1);
    for (let row = 0; row < total; row++) {
      let [low, high] = [0, numbers];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (ordered[middle] < keys[row]) low = middle + 1;
        else high = middle;
      }
      smaller[row] = Number.isNaN(keys[row]) ? total : low;
      equal[smaller[row]]++;
    }
    column.ranks = { smaller, equal, numbers };
    return column.ranks;
  }

  function sort(place) {
    const head = heads.rows[0].cells[place];
    const { first } = columns[place];
    const now = head.getAttribute("aria-sort");
    const next = now === null ? first : now === "ascending" ? "descending" : "ascending";
    const { smaller, equal, numbers } = ranked(columns[place]);
    const filled = new Uint32Array(total + 1);
    sorted = new Uint32Array(total);
    for (let row = 0; row < total; row++) {
      const rank = smaller[row]; // rows without a number come last either way, equal ones by value to come
      const start = rank === total ? numbers : next === "ascending" ? rank : numbers - rank - equal[rank];
      sorted[start + filled[rank]++] = row;
    }
    for (const each of heads.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", next);
    filter();
  }

  Array.from(heads.rows[0].cells).forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(place));
    head.append(button);
  });
  const leading = columns.findIndex((column) => column.field?.names[0] === "clv_mean");
  heads.rows[0].cells[leading]?.setAttribute("aria-sort", "descending");
  heads.rows[0].setAttribute("aria-rowindex", "1");

  document.getElementById("explorer-csv").addEventListener("click", () => {
    const names = ["customer_id", ...data.words.map((word) => word.name), "undecided", ...data.fields.flatMap((field) => field.names)];
    const value = (field, row) => field.values.map((values) => {
      if (values[row] === null) return "";
      if (field.kind === "share") return Number((values[row] / 100).toPrecision(15));
      return field.kind === "day" ? new Date(values[row] * 86400000).toISOString().slice(0, 10) : values[row];
    });
    const lines = Array.from(rows, (row) => [
      data.ids[row],
      ...columns.filter((column) => column.word).map((column) => column.word.keys[column.codes[row]]),
      Number(data.undecided[row]),
      ...data.fields.flatMap((field) => value(field, row)),
    ]);
    save("customers.csv", [names, ...lines]);
  });

  const controls = document.getElementById("explorer-controls");
  controls.hidden = false;
  controls.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", filter);
  for (const { select } of filters) select.addEventListener("change", filter);
  let waiting = false;
  box.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw(false);
    });
  });
  addEventListener("resize", () => {
    measure();
    draw(true);
  });
  filter();
  measure();
  draw(true);
})();
