// What every page has: the theme, times in the reader's own zone, and messages. Then what is live.
import { keepLive } from "./live.js";

const LOOK = 800, LOST = 75; // milliseconds between two looks; how many may fail
const THEMES = { auto: "light", light: "dark", dark: "auto" };

function offerTheme() {
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const next = THEMES[root.dataset.theme];
    root.dataset.theme = next;
    button.querySelector("[data-theme-name]").textContent = next;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `pumphouse-theme=${next}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  });
}

const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function ago(seconds) {
  const units = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];
  let value = seconds;
  for (const [unit, size] of units) {
    if (Math.abs(value) < size) return relative.format(-Math.round(value), unit);
    value /= size;
  }
}

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function tellTimes(root = document) {
  const now = Date.now();
  for (const one of root.querySelectorAll("time[data-time]")) {
    const at = new Date(one.dateTime);
    const same = day.format(at) === day.format(now);
    one.textContent =
      one.dataset.time === "ago" ? ago((now - at) / 1000) : same ? clock.format(at) : exactly.format(at);
    one.title = exactly.format(at);
  }
  for (const one of root.querySelectorAll("[data-since]")) {
    one.textContent = duration((now - new Date(one.dataset.since)) / 1000);
  }
}

export function say(text, tone = "bad") {
  const box = document.createElement("div");
  box.className = `message ${tone}`;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain";
  close.textContent = "Close";
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  document.getElementById("messages").replaceChildren(box);
}

// What a refused request says, in words.
export async function problem(answer) {
  try {
    return words(await answer.json());
  } catch {
    return `The server answers ${answer.status}. See its log.`;
  }
}

function words(found) {
  const where = [found.resource, found.cloud && `cloud ${found.cloud}`, found.request_id && `request ${found.request_id}`];
  const told = where.filter(Boolean).join(", ");
  return `${found.detail}${told ? ` (${told})` : ""}. ${found.next_step ?? ""}`;
}

// Says on a button that it is at work; what is given back says that it is not any longer.
export function busy(button) {
  const before = button.innerHTML;
  button.disabled = true;
  if (button.dataset.busy) button.textContent = button.dataset.busy;
  return () => { button.disabled = false; button.innerHTML = before; };
}

// Parts that take a moment come after the page; buttons that post one thing and show the page again.
async function load(place) {
  try {
    const answer = await fetch(place.dataset.load, { headers: { Accept: "application/json" } });
    if (answer.ok) place.innerHTML = (await answer.json()).html;
    else place.textContent = await problem(answer);
  } catch {
    place.textContent = "The server cannot be reached.";
  }
}

// Looks at an operation until it has ended; what went wrong, in words, or nothing. A server that is away for a
// while goes on with it when it is back.
export async function ended(where, told = () => {}) {
  for (let lost = 0; lost < LOST; ) {
    const answer = await fetch(where, { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer && !answer.ok && answer.status < 500) return problem(answer);
    lost = answer?.ok ? 0 : lost + 1;
    if (answer?.ok) {
      const found = await answer.json();
      if (found.state === "DONE") return "";
      if (found.state === "FAILED") return words(found.error);
      told(found);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
  return "The server cannot be reached. What was asked for goes on once it is back: load the page again.";
}

// Asks for an operation by a button, and says on it how far that is.
export async function read(button, path) {
  const idle = busy(button);
  let where = button.dataset.operation;
  let wrong = "";
  try {
    if (!where) {
      const answer = await fetch(path, { method: "POST", headers: { Accept: "application/json" } });
      if (answer.ok) where = answer.headers.get("Location");
      else wrong = await problem(answer);
    }
    if (where) wrong = await ended(where, (found) => {
      const counts = Object.values(found.read).flatMap((types) => Object.values(types));
      const count = counts.reduce((sum, one) => sum + one, 0);
      if (count) button.textContent = `${button.dataset.busy} ${count.toLocaleString()}`;
    });
  } catch {
    wrong = "The server cannot be reached. Try again once it is back.";
  }
  delete button.dataset.operation;
  idle();
  return wrong;
}

async function readAndShow(button) {
  const wrong = await read(button, button.dataset.post);
  if (wrong) say(wrong);
  else location.reload();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-post]");
  if (button) readAndShow(button);
  const opens = event.target.closest("[data-opens]");
  if (opens) document.getElementById(opens.dataset.opens).showModal();
});

offerTheme();
for (const button of document.querySelectorAll("[data-operation]")) readAndShow(button);
for (const place of document.querySelectorAll("[data-load]")) load(place);
tellTimes();
setInterval(tellTimes, 1000);
for (const one of document.querySelectorAll("[data-live]")) keepLive(one, tellTimes);
