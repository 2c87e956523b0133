// A migration's page: its actions, the filters of its log, and its graph.
import "./steered.js";
import { Graph } from "./graph.js";
import { problem, say, tellTimes } from "./page.js";

const root = document.getElementById("migration");
const log = root.querySelector('[data-part="log"]');
const filter = document.getElementById("log-filter");
const graph = new Graph(document.getElementById("graph"));

// -- the log

const chosen = () => new URLSearchParams(new FormData(filter));
root.addEventListener("ask", (event) => {
  for (const [name, value] of chosen()) event.detail.searchParams.set(name, value);
});
filter.addEventListener("submit", (event) => event.preventDefault());
let typing = null;
filter.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => root.dispatchEvent(new Event("refresh")), 250);
});
log.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-more]");
  if (!button) return;
  button.disabled = true;
  const answer = await fetch(button.dataset.more, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) {
    say(answer ? await problem(answer) : "The server cannot be reached. Try again once it is back.");
    button.disabled = false;
    return;
  }
  const older = document.createElement("div");
  older.innerHTML = (await answer.json()).html;
  tellTimes(older);
  const list = log.querySelector(".log");
  list.append(...older.querySelectorAll(".log > li"));
  button.closest(".more").replaceWith(...older.querySelectorAll(".more"));
  list.focus?.();
});

// -- the graph

const load = (url) => graph.load(url).catch(() => say("The graph could not be loaded. Load the page again."));
let loading = load();
root.addEventListener("told", async (event) => {
  const { plan, letters } = event.detail;
  await loading;
  if (!graph.data) return;
  if (plan !== graph.data.plan) {
    graph.root.dataset.letters = letters;
    graph.leave();
    loading = load(graph.root.dataset.layout.replace(graph.data.plan, plan));
    return;
  }
  graph.colour(letters);
  graph.tell();
});
