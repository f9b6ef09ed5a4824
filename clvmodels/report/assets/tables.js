// Numbers and days as the page writes them: read back for sorting and for CSV files, and written for customers.
const formats = JSON.parse(document.getElementById("formats").textContent);

function fill(pattern, values) {
  return pattern.replace(/\{(\w+)(?::(\d+)d)?\}/g, (_, name, width) => String(values[name]).padStart(Number(width || 0), "0"));
}

function decimal(value, digits) {
  const [whole, rest] = Math.abs(value).toFixed(digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return (value < 0 ? formats.minus : "") + (rest === undefined ? grouped : `${grouped}.${rest}`);
}

const writers = {
  money: (value) => (value < 0 ? formats.minus : "") + fill(formats.cell, { number: decimal(Math.abs(value), Math.abs(value) < 99.995 ? 2 : 0) }),
  share: (value) => fill(formats.percent, { number: value > 0 && value < 0.1 ? "<0.1" : decimal(value, Number.isInteger(value) ? 0 : 1) }),
  count: (value) => decimal(value, 0),
  tenth: (value) => decimal(value, 1),
  day: (value) => {
    const day = new Date(value * 86400000);
    const [month, short_month] = [formats.months, formats.short_months].map((names) => names[day.getUTCMonth()]);
    return fill(formats.short_date, { day: day.getUTCDate(), month, short_month, year: day.getUTCFullYear() });
  },
};
const written = (value, kind) => value === null ? formats.nothing : writers[kind](value);

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const dates = ["date", "short_date", "month_year"].map((name) => {
  const groups = { day: "(?<day>\\d+)", month: `(?<month>${formats.months.join("|")})`, short_month: `(?<short>${formats.short_months.join("|")})`, year: "(?<year>\\d{4})" };
  const parts = formats[name].split(/\{(\w+)(?::\d+d)?\}/);
  return new RegExp(`^${parts.map((part, place) => place % 2 ? groups[part] : escaped(part)).join("")}$`);
});
const affixes = formats.money.flatMap((pattern) => pattern.split("{number}")).map((part) => part.trim()).filter(Boolean);
const scales = [...formats.scales, ...formats.axis_scales].map((scale) => [scale.text.replace("{number}", "").trim(), scale.unit]);

// What stands in a cell: `value` to sort by, and whether the cell holds that number and nothing else.
function parsed(text) {
  for (const pattern of dates) {
    const found = pattern.exec(text)?.groups;
    if (!found) continue;
    const month = found.month === undefined ? formats.short_months.indexOf(found.short) : formats.months.indexOf(found.month);
    return { value: Date.UTC(Number(found.year), month, Number(found.day || 1)), exact: false };
  }
  const found = /^(<?)([−+-]?)([^\d−+-]*)([−+-]?)([\d,]*\d(?:\.\d+)?)(?:e([−-]?\d+))?\s*(.*)$/u.exec(text);
  if (!found) return null;
  const [, less, sign, before, inner, digits, power, after] = found;
  if (before.trim() && !affixes.includes(before.trim())) return null;
  const scale = scales.find(([word]) => after === word || affixes.some((affix) => after === `${word} ${affix}`));
  const percent = after === "%";
  let value = Number(digits.replace(/,/g, "")) * (scale ? scale[1] : 1) * 10 ** Number((power || "0").replace("−", "-"));
  if (percent) value = Number((value / 100).toPrecision(15));
  if (/[−-]/.test(sign + inner)) value = -value;
  return { value, exact: !less && (after === "" || percent || Boolean(scale) || affixes.includes(after)) };
}

function save(name, rows) {
  const cell = (value) => {
    const text = typeof value === "number" ? String(value) : value.replace(/^(?:[\s\0\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])/u, "'$&");
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const content = `\ufeff${rows.map((row) => row.map(cell).join(",")).join("\n")}\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// The text of a cell in two parts: what it says, and the interval that stands below it.
function parts(cell) {
  const copy = cell.cloneNode(true);
  const between = copy.querySelector(".between");
  between?.remove();
  const text = (element) => element.textContent.replace(/\u2060/g, "").trim().replace(/\s+/g, " "); // without what keeps amounts on one line
  return [text(copy), between ? text(between) : ""];
}

(function plainTables() {
  const main = document.getElementById("content");
  const SORTED_FROM = 7; // rows; fewer are taken in at a glance
  const words = new Intl.Collator(document.documentElement.lang, { numeric: true });

  function order(one, other, descending) {
    const [a, b] = [parsed(one), parsed(other)];
    if (one === other) return 0;
    if (one === "" || one === formats.nothing) return 1;
    if (other === "" || other === formats.nothing) return -1;
    const difference = a && b ? a.value - b.value : words.compare(one, other);
    return descending ? -difference : difference;
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows);
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const states = head.classList.contains("number") ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const button = document.createElement("button");
      button.type = "button";
      button.title = main.dataset.sort;
      button.append(...head.childNodes);
      button.addEventListener("click", () => {
        const next = states[(states.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
        const texts = new Map(rows.map((row) => [row, parts(row.cells[column])[0]]));
        body.append(...(next ? rows.toSorted((a, b) => order(texts.get(a), texts.get(b), next === "descending")) : rows));
        for (const each of heads) each.removeAttribute("aria-sort");
        if (next) head.setAttribute("aria-sort", next);
      });
      head.append(button);
    });
  }

  function asRows(table) {
    const rows = [table.tHead.rows[0], ...table.tBodies[0].rows, ...(table.tFoot?.rows ?? [])].map((row) => Array.from(row.cells, parts));
    const intervals = rows[0].map((_, column) => rows.some((row) => row[column]?.[1]));
    return rows.map((row, place) => row.flatMap(([text, between], column) => {
      const number = place ? parsed(text) : null;
      const first = number?.exact && !(column === 0 && /^0\d/.test(text)) ? number.value : text;
      return intervals[column] ? [first, place ? between : `${text} (…)`] : [first];
    }));
  }

  for (const table of main.querySelectorAll(".scroll > table")) {
    if (table.id === "explorer-table" || !table.tHead || table.tHead.rows.length !== 1 || table.querySelector("[colspan], [rowspan]")) continue;
    if (table.tBodies[0].rows.length >= SORTED_FROM && !("ordered" in table.dataset)) sortable(table);
    if (table.closest("figure") || table.tBodies[0].rows.length < 2) continue; // a figure brings its own file, at full precision
    const section = table.closest("section");
    const number = Array.from(section.querySelectorAll("table")).indexOf(table) + 1;
    const line = document.createElement("p");
    const button = document.createElement("button");
    line.className = "table-tools";
    button.type = "button";
    button.textContent = main.dataset.csv;
    button.addEventListener("click", () => save(`${section.id}-${number}.csv`, asRows(table)));
    line.append(button);
    table.parentElement.after(line);
  }
})();

