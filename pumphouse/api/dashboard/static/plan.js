// A plan's page: its graph, starting it, deleting it.
import { Graph } from "./graph.js";
import { busy, problem, say } from "./page.js";

const plan = document.getElementById("plan").dataset.plan;
new Graph(document.getElementById("graph")).load().catch(() => say("The graph could not be loaded. Load the page again."));

async function send(method, path, body, headers = {}) {
  try {
    const options = { method, headers: { Accept: "application/json", ...headers } };
    if (body) { options.body = JSON.stringify(body); options.headers["Content-Type"] = "application/json"; }
    const answer = await fetch(path, options);
    if (answer.ok) return answer;
    say(await problem(answer));
  } catch {
    say("The server cannot be reached. Try again once it is back: nothing is begun twice.");
  }
  return null;
}

const dialog = document.getElementById("start-dialog");
document.getElementById("start")?.addEventListener("click", () => dialog.showModal());
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());

const form = document.getElementById("start-form");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const values = new FormData(form);
  const options = {};
  for (const name of ["quiesce", "passwords"]) if (values.get(name)) options[name] = values.get(name);
  for (const name of ["jobs", "transfers"]) if (values.get(name)) options[name] = Number(values.get(name));
  if (values.get("bandwidth")) options.bandwidth = Math.round(Number(values.get("bandwidth")) * 1048576);
  const idle = busy(form.querySelector(".primary"));
  const answer = await send("POST", "/v1/migrations", {
    plan_id: plan, name: values.get("name"), check_fresh: values.has("check_fresh"), options,
  }, { "Idempotency-Key": `${form.dataset.key} ${JSON.stringify([...values])}`.slice(0, 250) });
  if (answer) location.href = `/operations/${(await answer.json()).id}`;
  else { idle(); dialog.close(); }
});

const removing = document.getElementById("delete-dialog");
document.getElementById("delete")?.addEventListener("click", () => { removing.returnValue = ""; removing.showModal(); });
removing.addEventListener("close", async () => {
  if (removing.returnValue && (await send("DELETE", `/v1/plans/${plan}`))) location.href = "/plans";
});
