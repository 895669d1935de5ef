"use strict";
const root = document.documentElement;
if (matchMedia("(prefers-color-scheme: dark)").matches) root.classList.add("dark");
document.getElementById("theme").onclick = () => root.classList.toggle("dark");
for (const key of document.querySelectorAll(".key")) {
  key.onclick = () => {
    const shown = key.getAttribute("aria-pressed") !== "true";
    key.setAttribute("aria-pressed", String(shown));
    for (const curve of document.querySelectorAll(`.curve[data-series="${key.dataset.series}"]`)) {
      curve.classList.toggle("hidden", !shown);
    }
  };
}
for (const table of document.querySelectorAll(".sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    let up = false;
    head.onclick = () => {
      up = !up;
      const value = (row) => {
        const cell = row.cells[column];
        return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
      };
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        return typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
      };
      const rows = [...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a)));
      body.append(...rows);
    };
  });
}
