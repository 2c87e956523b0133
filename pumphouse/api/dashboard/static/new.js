// Choosing what to move: a list to pick from, of what the source held when it was last read.
import { busy, problem, read } from "./page.js";

const MOST = 40;
const form = document.getElementById("new");
const picker = document.getElementById("picker");
const list = document.getElementById("picker-list");
const told = document.getElementById("picker-told");
const text = document.getElementById("picker-text");
const chosen = document.getElementById("chosen");
const LISTS = {
  tenant: (cloud, query) => [`/v1/clouds/${cloud}/tenants`, query],
  identity: (cloud, query) => [`/v1/clouds/${cloud}/tenants`, query],
  server: (cloud, query) => [`/v1/clouds/${cloud}/resources`, { ...query, type: "server" }],
  image: (cloud, query) => [`/v1/clouds/${cloud}/resources`, { ...query, type: "image" }],
};
const tenants = new Map();
let asked = 0;

async function ask(path, query) {
  return fetch(`${path}?${new URLSearchParams(query)}`, { headers: { Accept: "application/json" } });
}

function words(one) {
  const counts = Object.entries(one.counts ?? {}).filter(([kind]) => ["server", "volume"].includes(kind));
  if (one.counts) return counts.map(([kind, count]) => `${count} ${kind}${count === 1 ? "" : "s"}`).join(", ");
  return tenants.get(one.project_id) ?? "";
}

function row(one) {
  const item = document.createElement("li");
  const label = document.createElement("label");
  const box = document.createElement("input");
  const name = document.createElement("span");
  const about = document.createElement("span");
  label.className = "check";
  box.type = "checkbox";
  box.name = "names";
  box.value = one.id;
  name.textContent = one.name || one.id;
  about.className = "muted small";
  about.textContent = words(one);
  label.append(box, name, about);
  item.append(label);
  return item;
}

async function fill() {
  try {
    await showList();
  } catch {
    told.textContent = "The server cannot be reached. Write on once it is back.";
  }
}

async function showList() {
  const number = ++asked;
  const kind = form.elements.kind.value;
  picker.hidden = !(kind in LISTS);
  if (picker.hidden) return;
  const cloud = encodeURIComponent(form.elements.source.value);
  const [path, query] = LISTS[kind](cloud, { name: text.value.trim(), limit: MOST });
  if (path.endsWith("/resources") && !tenants.size) {
    const known = await ask(`/v1/clouds/${cloud}/tenants`, { limit: 1000 });
    if (known.ok) for (const one of (await known.json()).tenants) tenants.set(one.id, one.name);
  }
  const answer = await ask(path, query);
  if (number !== asked) return; // another question came later
  if (!answer.ok) {
    list.replaceChildren();
    if (answer.status !== 404 && answer.status !== 409) { told.textContent = await problem(answer); return; }
    offerReading(cloud);
    return;
  }
  const found = await answer.json();
  const taken = new Set([...chosen.querySelectorAll("input:checked")].map((one) => one.value));
  const items = found.tenants ?? found.resources;
  list.replaceChildren(...items.filter((one) => !taken.has(one.id)).map(row));
  const more = found.next_marker ? ` The first ${MOST} are shown: write more of the name.` : "";
  told.textContent = items.length ? more : "There is none like that.";
  for (const one of items) nameChosen(one);
}

// What came with the address is known by its id at first.
function nameChosen(one) {
  const box = chosen.querySelector(`input[value="${CSS.escape(one.id)}"]`);
  if (box) box.nextElementSibling.textContent = one.name || one.id;
}

function offerReading(cloud) {
  told.textContent = "This cloud has not been read yet, so nothing can be picked from a list. ";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Read it now";
  button.dataset.busy = "Reading…";
  button.addEventListener("click", async () => {
    const wrong = await read(button, `/v1/clouds/${cloud}/refresh`);
    if (wrong) told.textContent = wrong; else fill();
  });
  told.append(button);
}

function settle() {
  document.getElementById("none").hidden = chosen.childElementCount > 0;
}

form.addEventListener("change", (event) => {
  const box = event.target;
  if (box.name === "names") {
    const item = box.closest("li");
    if (box.checked) chosen.append(item); else { item.remove(); fill(); }
    settle();
    box.focus();
  } else if (["source", "kind"].includes(box.name)) {
    chosen.replaceChildren();
    tenants.clear();
    settle();
    fill();
  }
});
let typing = null;
text.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(fill, 200); });
text.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
form.addEventListener("submit", () => busy(document.getElementById("make")));
addEventListener("pageshow", (event) => event.persisted && location.reload());
fill();
