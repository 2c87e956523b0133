// Draws a graph whose places the server has computed, and lets it be moved by mouse, touch and keyboard.

const NS = "http://www.w3.org/2000/svg";
const NAMES_FROM = 0.45, WORDS_FROM = 0.3, MOST = 4, STEP = 1.25;

function make(name, attributes = {}, parent = null) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

export class Graph {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector(".canvas");
    this.detail = root.querySelector(".detail");
    this.tools = root.parentElement.querySelector(".graphtools");
    this.nodes = [];
    this.chosen = null;
    this.view = { x: 0, y: 0, scale: 1 };
  }

  async load(url = this.root.dataset.layout) {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    this.data = await answer.json();
    this.draw();
    this.colour(this.root.dataset.letters);
    this.fit();
    if (!this.listening) this.listen();
  }

  draw() {
    const { nodes, edges, types, box } = this.data;
    this.svg = make("svg", { "aria-hidden": "true" });
    this.world = make("g", {}, this.svg);
    const line = (from, to) => {
      const [x1, y1] = [nodes[from][2] + box[0], nodes[from][3] + box[1] / 2];
      const [x2, y2] = [nodes[to][2], nodes[to][3] + box[1] / 2];
      const bend = Math.max(24, (x2 - x1) / 2);
      return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
    };
    this.line = line;
    this.near = nodes.map(() => []);
    for (const [from, to] of edges) {
      this.near[from].push([from, to]);
      this.near[to].push([from, to]);
    }
    make("path", { class: "edges", d: edges.map(([from, to]) => line(from, to)).join("") }, this.world);
    this.marked = make("path", { class: "marked" }, this.world);
    this.nodes = nodes.map(([type, name, x, y], number) => {
      const group = make("g", { transform: `translate(${x} ${y})`, "data-number": number });
      make("rect", { width: box[0], height: box[1], rx: 8 }, group);
      const icon = make("path", { class: "sign", transform: "translate(7 9) scale(.83)" }, group);
      make("text", { class: "type", x: 32, y: 15 }, group).textContent = types[type];
      make("text", { class: "name", x: 32, y: 30 }, group).textContent = name;
      return { group, icon, letter: "" };
    });
    this.world.append(...this.nodes.map((one) => one.group));
    this.canvas.replaceChildren(this.svg);
    this.tools.hidden = false;
  }

  colour(letters) {
    const counts = {};
    for (const letter of letters) counts[letter] = (counts[letter] ?? 0) + 1;
    this.nodes.forEach((node, number) => {
      const letter = letters[number];
      if (letter === node.letter || !(letter in this.data.legend)) return;
      const look = this.data.legend[letter];
      node.letter = letter;
      node.group.setAttribute("class", `node ${look.tone}`);
      node.icon.setAttribute("d", look.icon);
    });
    const legend = this.root.querySelector(".legend");
    legend.replaceChildren(
      ...Object.entries(this.data.legend).filter(([letter]) => counts[letter]).map(([letter, look]) => {
        const item = document.createElement("span");
        item.className = `badge ${look.tone}`;
        const icon = make("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" });
        make("path", { d: look.icon }, icon);
        item.append(icon, `${look.word} ${counts[letter]}`);
        return item;
      }),
    );
  }

  // -- the view

  place() {
    const { x, y, scale } = this.view;
    this.world.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
    this.svg.classList.toggle("no-words", scale < WORDS_FROM);
    this.svg.classList.toggle("no-types", scale < NAMES_FROM);
    this.canvas.dataset.scale = scale.toFixed(4);
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const [wide, high] = this.data.size;
    const scale = Math.min((width - 24) / (wide || 1), (height - 24) / (high || 1), 1.2);
    this.least = Math.min(scale, 0.3) / 2;
    this.view = { scale, x: (width - wide * scale) / 2, y: (height - high * scale) / 2 };
    this.place();
  }

  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const scale = Math.min(MOST, Math.max(this.least, this.view.scale * factor));
    const by = scale / this.view.scale;
    this.view = { scale, x: x - (x - this.view.x) * by, y: y - (y - this.view.y) * by };
    this.place();
  }

  move(x, y) {
    this.view.x += x;
    this.view.y += y;
    this.place();
  }

  // -- one resource

  async choose(number, { centre = false } = {}) {
    if (!this.nodes[number]) return;
    this.nodes[this.chosen]?.group.classList.remove("chosen");
    this.chosen = number;
    this.nodes[number].group.classList.add("chosen");
    this.marked.setAttribute("d", this.near[number].map(([from, to]) => this.line(from, to)).join(""));
    if (centre) {
      const [, , x, y] = this.data.nodes[number];
      const scale = Math.max(this.view.scale, 0.8);
      const { clientWidth: width, clientHeight: height } = this.canvas;
      const [wide, high] = this.data.box;
      this.view = { scale, x: width / 2 - (x + wide / 2) * scale, y: height / 2 - (y + high / 2) * scale };
      this.place();
    }
    await this.tell();
  }

  async tell() {
    if (this.chosen === null || !this.root.dataset.about) return;
    // What cannot be told now is told when the state changes next, or when it is chosen again.
    const url = this.root.dataset.about.replace(/0$/, this.chosen);
    const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
    const found = answer?.ok ? await answer.json().catch(() => null) : null;
    if (found === null) return;
    if (this.detail.lastHtml === found.html) return;
    this.detail.lastHtml = this.detail.innerHTML = found.html;
    this.detail.hidden = false;
  }

  leave() {
    this.nodes[this.chosen]?.group.classList.remove("chosen");
    this.chosen = null;
    this.marked.setAttribute("d", "");
    this.detail.hidden = true;
    this.detail.lastHtml = null;
  }

  // The boxes have room for the beginning of a name only, so the server looks.
  async find(text) {
    if (!text.trim()) return;
    const query = new URLSearchParams({ text, after: this.chosen ?? -1 });
    const answer = await fetch(`/plans/${this.data.plan}/find?${query}`, { headers: { Accept: "application/json" } });
    const number = answer.ok ? (await answer.json()).number : null;
    if (number === null) this.leave();
    else await this.choose(number, { centre: true });
  }

  // -- mouse, touch, keyboard

  listen() {
    this.listening = true;
    const fingers = new Map();
    let moved = 0, apart = 0;
    this.canvas.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      moved = apart = 0;
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      fingers.set(event.pointerId, event);
      const by = [event.clientX - before.clientX, event.clientY - before.clientY];
      moved += Math.hypot(...by);
      if (moved > 4) this.canvas.setPointerCapture(event.pointerId);
      if (fingers.size === 1) this.move(...by);
      else if (fingers.size === 2) {
        const [one, other] = [...fingers.values()];
        const now = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        const edge = this.canvas.getBoundingClientRect();
        this.move(by[0] / 2, by[1] / 2);
        if (apart) this.zoom(now / apart, (one.clientX + other.clientX) / 2 - edge.x, (one.clientY + other.clientY) / 2 - edge.y);
        apart = now;
      }
    });
    const up = (event) => {
      if (fingers.delete(event.pointerId) && event.type === "pointerup" && moved <= 4) {
        const number = event.target.closest?.("[data-number]")?.dataset.number;
        if (number === undefined) this.leave();
        else this.choose(Number(number));
      }
    };
    this.canvas.addEventListener("pointerup", up);
    this.canvas.addEventListener("pointercancel", up);
    this.canvas.addEventListener("wheel", (event) => {
      // Turning the wheel scrolls the page, as everywhere; with Ctrl, or two fingers, it zooms.
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.canvas) return;
      event.preventDefault();
      const edge = this.canvas.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY / 300), event.clientX - edge.x, event.clientY - edge.y);
    }, { passive: false });
    this.canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const next = (by) => this.choose(((this.chosen ?? (by > 0 ? -1 : 0)) + by + this.nodes.length) % this.nodes.length, { centre: true });
      const act = {
        ArrowLeft: () => this.move(60, 0), ArrowRight: () => this.move(-60, 0),
        ArrowUp: () => this.move(0, 60), ArrowDown: () => this.move(0, -60),
        "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP),
        0: () => this.fit(), n: () => next(1), p: () => next(-1), Escape: () => this.leave(),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
    this.tools.addEventListener("click", (event) => {
      const act = event.target.closest("[data-graph]")?.dataset.graph;
      if (act) ({ in: () => this.zoom(STEP), out: () => this.zoom(1 / STEP), fit: () => this.fit() })[act]();
    });
    this.tools.querySelector("input").addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); this.find(event.target.value); }
    });
    let wide = this.canvas.clientWidth;
    new ResizeObserver(() => {
      if (this.canvas.clientWidth !== wide) { wide = this.canvas.clientWidth; this.fit(); }
    }).observe(this.canvas);
  }
}
