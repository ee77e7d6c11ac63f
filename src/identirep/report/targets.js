"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const table = byId("target-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const search = byId("search"), sorting = byId("sort"), found = byId("found");
  const correlations = new Map(rows.map((row) => [row, (row.dataset.r || "").split(" ").map(Number)]));
  const place = new Map(rows.map((row, i) => [row, i]));
  const text = new Map(rows.map((row) => [row, (row.cells[0].title || row.cells[0].textContent).trim().toLowerCase()]));
  const number = (value, otherwise) => (value === undefined || value === "" ? otherwise : Number(value));

  const colour = (percent) => `color-mix(in srgb, var(--${percent < 0 ? "against" : "mark"}) ${Math.abs(percent)}%, var(--raised))`;
  const paint = (row) => {
    const strip = row.querySelector(".strip");
    if (!strip || strip.style.backgroundImage) return;
    const values = correlations.get(row), width = 100 / values.length;
    const stops = values.map((percent, i) => `${colour(percent)} ${(i * width).toFixed(2)}% ${((i + 1) * width).toFixed(2)}%`);
    strip.style.backgroundImage = `linear-gradient(to right, ${stops.join(", ")})`;
  };
  // Thousands of rows are coloured when they come into sight, and those that are printed at once.
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { paint(entry.target); seen.unobserve(entry.target); }
  });
  rows.forEach((row) => seen.observe(row));
  const paintPrinted = () => [...body.rows].slice(0, 40).forEach(paint);
  paintPrinted();

  const orders = {
    axes: [(row) => place.get(row), 1],
    name: [(row) => text.get(row), 1],
    r2: [(row) => number(row.dataset.r2, -Infinity), -1],
  };
  const order = (key) => orders[key] || [(row) => Math.abs(correlations.get(row)[Number(key)]), -1];
  const sort = (key, turned) => {
    const [value, direction] = order(key);
    const sign = turned ? -direction : direction;
    const keys = new Map(rows.map((row) => [row, value(row)]));
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const sorted = [...rows].sort((a, b) => sign * compare(keys.get(a), keys.get(b)) || place.get(a) - place.get(b));
    body.append(...sorted);
    for (const head of table.tHead.querySelectorAll("[data-key]")) {
      if (head.dataset.key === key) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    sorting.value = key;
    paintPrinted();
  };
  const filter = () => {
    const words = search.value.trim().toLowerCase().split(/\s+/);
    let n = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => text.get(row).includes(word));
      n += row.hidden ? 0 : 1;
    }
    found.textContent = `${n.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
  };

  document.querySelectorAll(".controls").forEach((part) => { part.hidden = false; });
  document.querySelectorAll(".by-axis").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      search.value = "";
      filter();
      sort(button.dataset.axis, false);
      byId("target-window").scrollTop = 0;
      history.pushState(null, "", "#targets");
      byId("targets").scrollIntoView();
      sorting.focus({ preventScroll: true });
    });
  });
  for (const head of table.tHead.querySelectorAll("[data-key]")) {
    const label = head.textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      sort(head.dataset.key, now === (order(head.dataset.key)[1] > 0 ? "ascending" : "descending"));
    });
    head.replaceChildren(button);
  }
  search.addEventListener("input", filter);
  sorting.addEventListener("change", () => sort(sorting.value, false));
  // A target that a card leads to is shown whatever was searched for.
  const reveal = () => {
    const row = location.hash.startsWith("#target-") && byId(location.hash.slice(1));
    if (!row) return;
    if (row.hidden) { search.value = ""; filter(); }
    row.scrollIntoView({ block: "center" });
    row.tabIndex = -1;
    row.focus({ preventScroll: true });
  };
  addEventListener("hashchange", reveal);
  sort("axes", false);
  filter();
  reveal();
})();
