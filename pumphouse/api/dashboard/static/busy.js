// A form that takes a moment says so on its button.
import { busy } from "./page.js";

for (const form of document.querySelectorAll("form:has([data-busy])")) {
  form.addEventListener("submit", () => busy(form.querySelector("[data-busy]")));
}
addEventListener("pageshow", (event) => event.persisted && location.reload());
