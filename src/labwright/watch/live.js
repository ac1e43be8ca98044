"use strict";
// The live page: takes trees from the server's events and makes the document the same. Text only ever becomes text nodes.

const at = (id) => document.getElementById(id);
const RETRY_MS = [1000, 2000, 5000, 10000];
let token = sessionStorage.getItem("token") ?? "";
let aborter = new AbortController();
let clockSkew = 0, shownRun = "", failures = 0;

// ---- Trees → elements: only what differs is touched, so that selections, scroll and zoom stay ----

function build(tree) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const element = document.createElement(tree[0]);
  update(element, tree);
  return element;
}

function update(element, [tag, attributes, ...children]) {
  const before = element.given ?? {};
  for (const name of Object.keys(before)) if (!(name in attributes)) element.removeAttribute(name);
  for (const [name, value] of Object.entries(attributes)) {
    if (before[name] !== value) element.setAttribute(name, value);
  }
  element.given = attributes;
  if (attributes.class === "plot") return;  // what is inside is plotly's
  fill(element, children);
  if (tag === "script" && element.previousElementSibling?.matches(".plot")) refresh(element);
}

function refresh(script) {
  if (script.drawn === script.textContent) return;
  script.drawn = script.textContent;
  showPlot(script.previousElementSibling);
}

function fill(parent, trees) {
  trees.forEach((tree, index) => {
    const old = parent.childNodes[index];
    if (old === undefined) parent.append(build(tree));
    else if (typeof tree === "string" && old.nodeType === Node.TEXT_NODE) { if (old.data !== tree) old.data = tree; }
    else if (typeof tree !== "string" && old.localName === tree[0]) update(old, tree);
    else old.replaceWith(build(tree));
  });
  while (parent.childNodes.length > trees.length) parent.lastChild.remove();
}

// ---- What arrives ----

function panel(key) {
  let element = at("run").querySelector(`:scope > [data-panel="${key}"]`);
  if (!element) {
    element = document.createElement("div");
    element.dataset.panel = key;
    at("run").append(element);
  }
  return element;
}

function take({ now, run, name, parts }) {
  clockSkew = now - Date.now() / 1000;
  if (run !== shownRun) {
    at("run").replaceChildren();
    shownRun = run;
  }
  at("head").hidden = run === "";
  at("name").textContent = name;
  for (const [key, trees] of Object.entries(parts)) {
    if (key === "overview") {
      fill(at("overview"), trees);
      continue;
    }
    const element = panel(key);
    const followed = [...element.querySelectorAll(".lines")].filter((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 40);
    const known = new Set(element.querySelectorAll(".lines"));
    fill(element, trees);
    element.querySelectorAll("script").forEach((script) => { if (script.previousElementSibling?.matches(".plot")) refresh(script); });
    element.querySelectorAll("th[data-order]").forEach(sortBy);
    element.querySelectorAll("input.filter").forEach(filterLog);
    for (const box of element.querySelectorAll(".lines")) if (!known.has(box) || followed.includes(box)) box.scrollTop = box.scrollHeight;
  }
  for (const line of at("overview").querySelectorAll("a")) line.classList.toggle("here", line.dataset.id === run);
  const state = at("run").querySelector(".state .word")?.textContent ?? "";
  const share = at("run").querySelector(".bar .amount")?.textContent.split("·")[1]?.trim() ?? "";
  document.title = name === "" ? "Labwright" : [state, share, name].filter(Boolean).join(" · ");
  tick();
}

function tick() {
  for (const time of document.querySelectorAll("time[data-t]")) {
    const seconds = Math.max(0, Date.now() / 1000 + clockSkew - Number(time.dataset.t));
    const text = seconds < 90 ? `${Math.round(seconds)} s ago` : seconds < 5400 ? `${Math.round(seconds / 60)} min ago`
      : seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
    if (time.textContent !== text) time.textContent = text;
  }
}

// ---- The connection ----

function say(text) {
  at("notice").textContent = text;
  at("notice").hidden = text === "";
}

function ask(why) {
  say(why);
  at("ask").hidden = false;
  at("link").className = "dot failed";
}

const call = (path, more = {}) => fetch(path, { ...more, headers: { Authorization: `Bearer ${token}` }, cache: "no-store" });

async function listen(run, signal) {
  const response = await call(`/api/events?run=${encodeURIComponent(run)}`, { signal });
  if (!response.ok) {
    const { error } = await response.json();
    throw Object.assign(new Error(error), { status: response.status });
  }
  failures = 0;
  say("");
  at("ask").hidden = true;
  at("link").className = "dot running";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the connection was closed");
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const [, kind, data] = event.match(/^event: (\w+)\ndata: (.*)$/s) ?? [];
      if (kind === "news") take(JSON.parse(data));
      if (kind === "gone") location.hash = "";
    }
  }
}

async function connect() {
  aborter.abort();
  const mine = aborter = new AbortController();
  while (!mine.signal.aborted) {
    try {
      await listen(location.hash.match(/^#run=(\w+)$/)?.[1] ?? "", mine.signal);
    } catch (error) {
      if (mine.signal.aborted) return;
      if (error.status === 403) return ask(`403: ${error.message}`);
      if (error.status === 404) location.hash = "";
      at("link").className = "dot silent";
      say(`Not connected (${error.message}); trying again. Runs go on without this page.`);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]));
    }
  }
}

async function begin() {
  const response = await call("/api/runs");
  const answer = await response.json();
  if (response.ok) at("stop").hidden = !answer.actions;
  connect();
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  token = event.target.token.value.trim();
  sessionStorage.setItem("token", token);
  event.target.reset();
  begin();
});
at("stop").addEventListener("click", async () => {
  if (!confirm(`Stop ${at("name").textContent}? It saves first, and the same command goes on.`)) return;
  const response = await call(`/api/runs/${shownRun}/stop`, { method: "POST" });
  const answer = await response.json();
  say(answer.said ?? answer.error);
});

// The link that was printed brings the token behind the #, which no browser sends anywhere; it is kept for this tab alone.
function open() {
  const brought = location.hash.match(/^#token=([\w-]+)$/);
  if (brought) {
    token = brought[1];
    sessionStorage.setItem("token", token);
    history.replaceState(null, "", "/");
  }
  begin().catch(connect);
}
window.addEventListener("hashchange", open);
setInterval(tick, 1000);
open();
