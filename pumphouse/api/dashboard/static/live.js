// Keeps parts of a page as they are on the server.
//
// An event only tells that something has changed: what to show is then fetched. So nothing is lost when events
// are: after a lost connection, a restart of the server or a laptop's sleep one fetch puts all right. The browser
// connects again by itself, with the number of the last event; where it gives up, and until it is back, we ask
// every few seconds.

const SOON = 400, POLL = 4000, SLOW = 20000, HIDDEN = 30000, ASLEEP = 15000;

export function keepLive(root, shown) {
  const told = document.getElementById("connection");
  let source = null, timer = null, busy = false, again = false, failed = false, lastTick = Date.now(), hiddenAt = 0;
  let after = root.dataset.events;

  async function refresh() {
    clearTimeout(timer);
    timer = null;
    if (busy) { again = true; return; }
    busy = true;
    try {
      const url = new URL(root.dataset.live, location.href);
      root.dispatchEvent(new CustomEvent("ask", { detail: url }));
      const answer = await fetch(url, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(20000) });
      if (answer.status === 401) { location.reload(); return; }
      if (!answer.ok) throw new Error(answer.status);
      const found = await answer.json();
      for (const [name, html] of Object.entries(found.parts ?? {})) put(root, name, html);
      after = withNumber(after, found.last);
      root.dispatchEvent(new CustomEvent("told", { detail: found }));
      shown(root);
      failed = false;
    } catch {
      failed = true;
    } finally {
      busy = false;
    }
    tell();
    if (again) { again = false; soon(); } else later();
  }

  function soon() {
    if (document.hidden) { again = true; return; }
    if (timer?.soon) return;
    clearTimeout(timer?.id);
    timer = { soon: true, id: setTimeout(refresh, SOON) };
  }

  function later() {
    if (timer) return;
    if ("ended" in root.dataset) return;
    const connected = source?.readyState === EventSource.OPEN;
    timer = { id: setTimeout(refresh, Number(root.dataset.every) || (connected && !failed ? SLOW : POLL)) };
  }

  function connect() {
    if (!after) return; // nothing tells of it: it is asked for
    source?.close();
    source = new EventSource(after);
    source.onopen = () => { soon(); tell(); };
    source.onmessage = soon;
    source.onerror = () => {
      tell();
      soon();
    };
  }

  function tell() {
    const connected = source?.readyState === EventSource.OPEN;
    root.dataset.connection = failed ? "lost" : connected ? "live" : "polling";
    told.hidden = !failed;
    told.textContent = failed ? "The server cannot be reached. Trying again…" : "";
  }

  // Once a second: a gap tells that the machine has slept; a closed stream is opened anew.
  setInterval(() => {
    const now = Date.now();
    const slept = now - lastTick > ASLEEP;
    lastTick = now;
    if (document.hidden) {
      // A browser gives a server few connections: tabs that nobody looks at leave theirs to others.
      if (hiddenAt && now - hiddenAt > HIDDEN && source) { source.close(); source = null; }
    } else if (slept) wake();
    else if (!source || (source.readyState === EventSource.CLOSED && !failed)) connect();
  }, 1000);

  function wake() {
    if (!source || source.readyState !== EventSource.OPEN) connect();
    again = false;
    refresh();
  }

  document.addEventListener("visibilitychange", () => {
    hiddenAt = document.hidden ? Date.now() : 0;
    if (!document.hidden) wake();
  });
  addEventListener("online", wake);
  addEventListener("pageshow", (event) => event.persisted && wake());
  root.addEventListener("refresh", refresh);
  connect();
  later();
}

function withNumber(url, number) {
  if (!number) return url;
  const found = new URL(url, location.href);
  found.searchParams.set("after", number);
  return found.href;
}

// Puts what the server rendered in the old one's place, unless it is the same. Focus, and what is open, stay.
function put(root, name, html) {
  const place = root.querySelector(`[data-part="${name}"]`);
  if (!place || place.lastHtml === html) return;
  place.lastHtml = html;
  const focus = place.contains(document.activeElement) ? document.activeElement : null;
  const open = new Set([...place.querySelectorAll("details[open][id]")].map((one) => one.id));
  place.innerHTML = html;
  for (const id of open) place.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  if (focus?.id) document.getElementById(focus.id)?.focus({ preventScroll: true });
}
