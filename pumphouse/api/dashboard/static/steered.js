// A page whose buttons have something done over the API, some after a dialog that asks: each posts to the path
// that the page names, as an action, with what the dialog's form holds.
import { problem, say } from "./page.js";

export function steer(root) {
  async function act(action, button, choices) {
    button.disabled = true;
    try {
      const answer = await fetch(root.dataset.actions, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(action ? { action, ...choices } : {}),
      });
      if (!answer.ok) say(await problem(answer));
    } catch {
      say("The server cannot be reached: nothing was asked of it. Try again once it is back.");
    }
    button.disabled = false;
    root.dispatchEvent(new Event("refresh"));
  }

  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    if (!button) return;
    const dialog = document.getElementById(button.dataset.dialog ?? "");
    if (!dialog) { act(button.dataset.action, button, {}); return; }
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      // Buttons may have been put anew meanwhile.
      if (dialog.returnValue) act(dialog.returnValue, document.getElementById(button.id) ?? button, chosen(dialog));
    }, { once: true });
    dialog.showModal();
  });
}

function chosen(dialog) {
  const found = {};
  for (const one of dialog.querySelectorAll("input[name]")) {
    if (one.type === "checkbox" ? one.checked : one.value) found[one.name] = one.type === "checkbox" || Number(one.value);
  }
  return found;
}

for (const root of document.querySelectorAll("[data-actions]")) steer(root);
