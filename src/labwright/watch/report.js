"use strict";
// Plots are drawn when they come into view: inside a closed <details> they would have no width.
const colours = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: getComputedStyle(document.body).color } };
const margins = { margin: { l: 60, r: 20, t: 10, b: 45 }, height: 320, hovermode: "x unified" };
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    const plot = JSON.parse(entry.target.nextElementSibling.textContent);
    Plotly.newPlot(entry.target, plot.data, { ...margins, ...colours, ...plot.layout }, { displaylogo: false, responsive: true });
  }
});
document.querySelectorAll(".plot").forEach((plot) => seen.observe(plot));

// A click on a column's head sorts by it; numbers as numbers.
document.querySelectorAll("table.sortable th").forEach((head) => head.addEventListener("click", () => {
  const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
  const down = head.dataset.order !== "down";
  const value = (row) => { const cell = row.cells[column]; return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value); };
  const rows = [...body.rows].sort((a, b) => (value(a) > value(b) ? 1 : value(a) < value(b) ? -1 : 0) * (down ? -1 : 1));
  table.querySelectorAll("th").forEach((other) => delete other.dataset.order);
  head.dataset.order = down ? "down" : "up";
  body.append(...rows);
}));
