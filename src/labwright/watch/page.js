"use strict";
// Shared by the report and the live page. Whatever they show is in the document already; nothing here makes elements out of text.

const shade = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

function drawPlot(element) {
  if (!window.Plotly) return;
  const { data, layout } = JSON.parse(element.nextElementSibling.textContent);
  const axis = { gridcolor: shade("--line"), zerolinecolor: shade("--line"), automargin: true };
  const common = {
    margin: { l: 55, r: 15, t: 10, b: 42 },
    height: 270,
    hovermode: "x unified",
    hoverlabel: { bgcolor: shade("--card"), bordercolor: shade("--line"), font: { color: shade("--ink") } },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: shade("--ink"), family: "system-ui, sans-serif", size: 12 },
    colorway: ["#2f7fd8", "#e8710a", "#1a9c6b", "#b0459b", "#d23f3f", "#7d6bd6", "#8a8d91"],
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    uirevision: "kept",
  };
  const whole = { ...common, ...layout, xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis } };
  Plotly.react(element, data, whole, { displayModeBar: false, responsive: true });
}

// Plots are drawn when they come into view: inside a closed <details> they would have no width.
const inView = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    inView.unobserve(entry.target);
    drawPlot(entry.target);
  }
}, { rootMargin: "600px" });
function showPlot(element) {
  inView.unobserve(element);
  inView.observe(element);
}
document.querySelectorAll(".plot").forEach(showPlot);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.querySelectorAll(".plot").forEach(showPlot));

// A click on a column's head sorts by it; numbers as numbers.
function sortBy(head) {
  const body = head.closest("table").tBodies[0], column = head.cellIndex, sign = head.dataset.order === "down" ? -1 : 1;
  const value = (row) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };
  const rows = [...body.rows].sort((a, b) => (value(a) > value(b) ? 1 : value(a) < value(b) ? -1 : 0) * sign);
  if (rows.some((row, index) => row !== body.rows[index])) body.append(...rows);
}

function filterLog(input) {
  const wanted = input.value.toLowerCase();
  for (const line of input.closest("section").querySelectorAll(".lines > div")) {
    line.hidden = wanted !== "" && !line.textContent.toLowerCase().includes(wanted);
  }
}

async function copyCommand(button) {
  const code = button.closest("tr").querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  } catch {
    getSelection().selectAllChildren(code);  // a file opened from the disk may not touch the clipboard
  }
}

document.addEventListener("click", ({ target }) => {
  const head = target.closest("table.sortable th"), button = target.closest("button.copy");
  if (head) {
    const order = head.dataset.order === "down" ? "up" : "down";
    head.closest("tr").querySelectorAll("th").forEach((other) => delete other.dataset.order);
    head.dataset.order = order;
    sortBy(head);
  }
  if (button) copyCommand(button);
});
document.addEventListener("input", ({ target }) => { if (target.matches("input.filter")) filterLog(target); });
