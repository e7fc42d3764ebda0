// Shared by all pages: data, numbers, colours, canvases, a tooltip.

const $ = (id) => document.getElementById(id);

function readData() {
  return JSON.parse($("data").textContent);
}

function bytes(text) {
  const raw = atob(text);
  const result = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) result[i] = raw.charCodeAt(i);
  return result;
}

const numbers = (text, Kind) => new Kind(bytes(text).buffer);

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  if (className) made.className = className;
  return made;
}

function clock(seconds) {
  const sign = seconds < -0.05 ? "−" : "";
  const tenths = Math.round(Math.abs(seconds) * 10);
  const minutes = Math.floor(tenths / 600);
  return `${sign}${minutes}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

// The theme's colours.
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(`--${name}`).trim();
const isDark = () => colour("ramp") === "dark";

const HUES = [264, 35, 150, 330, 95, 210, 10, 180, 300, 60];
function fileColour(index) {
  if (index >= HUES.length) return colour("point");
  const light = isDark() ? 0.74 : 0.58;
  return `oklch(${light} ${index < 5 ? 0.16 : 0.13} ${HUES[index]})`;
}

const redraws = [];
let waiting = false;
function redrawAll() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const redraw of redraws) redraw();
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
addEventListener("resize", redrawAll);

// Fit a canvas to its size on the screen; return its context, cleared, in CSS pixels.
function fitted(canvas, height) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.parentElement.clientWidth;
  canvas.style.height = `${height}px`;
  const [w, h] = [width, height].map((size) => Math.max(1, Math.round(size * scale)));
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

const tip = element("div", "", "tip");
tip.hidden = true;
document.body.append(tip);
function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = clamp(event.clientX + 14, 4, Math.max(4, innerWidth - box.width - 4));
  const below = event.clientY + 18;
  const y = below + box.height > innerHeight ? event.clientY - box.height - 12 : below;
  tip.style.left = `${x}px`;
  tip.style.top = `${Math.max(4, y)}px`;
}
function hideTip() { tip.hidden = true; }
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
addEventListener("scroll", hideTip, { passive: true });

function table(body, rows) {
  for (const cells of rows) {
    const row = element("tr");
    row.append(...cells);
    body.append(row);
  }
}
