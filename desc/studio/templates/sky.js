// The map of a database: coloured points, pan, zoom, lasso. A page with a map has these functions:
// `ready` is called when the points are there, `press` when one is clicked (-1: none is near),
// `pointAt` when the mouse is over another one, `encircled` after the lasso, `drawMarks` at each drawing.

const RATE = data.sampleRate;
let cloud = null, fileOf = null, centreOf = null, counts = null;
let column = null; // Uint8Array of the colour scale
let inside = null; // Uint8Array of the points in the lasso
let polygon = [];
let fileColours = [];

$("colour").append(new Option("file", "file"), new Option("time in the file", "time"));
// What columns mean to the ear, and at their low and high ends.
const WORDS = {
  mfcc0: ["loudness", "soft", "loud"], rms: ["loudness", "soft", "loud"],
  mfcc1: ["brightness", "bright", "dark"], centroid: ["brightness", "dark", "bright"],
  f0: ["pitch", "low", "high"],
};
const heardAs = data.columns.filter((name) => name in WORDS);
for (const name of heardAs) $("colour").append(new Option(`${WORDS[name][0]} (${name})`, name));
for (const name of data.columns) if (!(name in WORDS)) $("colour").append(new Option(name, name));

const load = async (path) => (await checked(await fetch(path))).arrayBuffer();

// Colours of the points.
function colourPoints() {
  const kind = $("colour").value;
  const light = isDark() ? 0.66 : 0.45;
  // The golden angle keeps neighbours in the list apart.
  fileColours = data.files.map((_, i) => hueColour(i * 137.508 % 360, light + (i % 3 - 1) * 0.07));
  if (kind === "file") {
    for (let i = 0; i < cloud.n; i++) cloud.colours[i] = fileColours[fileOf[i]];
  } else {
    const table = Uint32Array.from({ length: 256 }, (_, level) => pixel(...levelColour(level / 255)));
    for (let i = 0; i < cloud.n; i++) {
      cloud.colours[i] = table[column ? column[i] : 0];
    }
  }
  if (inside) {
    const lit = isDark() ? pixel(1, 1, 1) : pixel(0, 0, 0);
    for (let i = 0; i < cloud.n; i++) if (inside[i]) cloud.colours[i] = lit;
  }
  colourNames();
}

// The swatches before file names, when points have the colour of their file.
function colourNames() {
  const byFile = $("colour").value === "file";
  for (const swatch of document.querySelectorAll(".list .swatch")) {
    const rgb = fileColours[swatch.dataset.file];
    swatch.hidden = !byFile;
    swatch.style.background = `rgb(${rgb & 255} ${rgb >> 8 & 255} ${rgb >> 16 & 255})`;
  }
}

async function chooseColour() {
  const kind = $("colour").value;
  $("ramp-row").hidden = kind === "file";
  column = null;
  let range = ["start", "end"];
  if (kind === "time") {
    const ends = new Float64Array(data.files.length);
    for (let i = 0; i < cloud.n; i++) ends[fileOf[i]] = Math.max(ends[fileOf[i]], centreOf[i]);
    column = Uint8Array.from({ length: cloud.n }, (_, i) => 255 * centreOf[i] / (ends[fileOf[i]] || 1));
  } else if (kind !== "file") {
    const buffer = await load(`column?name=${encodeURIComponent(kind)}`);
    if ($("colour").value !== kind) return; // superseded by a later choice
    range = Array.from(new Float64Array(buffer, 0, 2), (x) => x.toPrecision(3));
    column = new Uint8Array(buffer, 16);
  }
  [$("ramp-low").textContent, $("ramp-high").textContent] = range;
  const words = WORDS[kind] || ["", "", ""];
  [$("ramp-from").textContent, $("ramp-to").textContent] = words.slice(1);
  const stops = LEVELS.map((c) => `rgb(${c.map((x) => Math.round(255 * x)).join(" ")})`);
  $("ramp").style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
  colourPoints();
  redrawAll();
}

// Drawing.
function draw() {
  if (!cloud) return;
  cloud.draw(isDark() ? pixel(0.17, 0.16, 0.2) : pixel(0.87, 0.86, 0.89));
  drawOver();
}

function drawOver() {
  const over = $("over");
  const { context, width, height } = fitted(over, $("sky").clientHeight);
  if (polygon.length) {
    context.strokeStyle = context.fillStyle = colour("accent");
    context.lineWidth = 2;
    context.beginPath();
    for (const [x, y] of polygon) context.lineTo(...cloud.toScreen(x, y));
    context.closePath();
    context.stroke();
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
  }
  drawMarks(context);
  if (document.activeElement === $("cloud")) {
    context.fillStyle = colour("ink");
    context.fillRect(width / 2 - 8, height / 2, 17, 1);
    context.fillRect(width / 2, height / 2 - 8, 1, 17);
  }
}
redraws.push(draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (cloud) colourPoints();
});

// Pan, zoom, hover, lasso.
const canvas = $("cloud");
const pointers = new Map();
let moved = 0, drawing = false, pointed = -1;
const at = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
canvas.addEventListener("pointerdown", (event) => {
  if (!cloud) return;
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  moved = 0;
  hideTip();
  if ($("lasso").getAttribute("aria-pressed") === "true" && pointers.size === 1) {
    drawing = true;
    polygon = [cloud.toMap(...at(event))];
  } else drawing = false;
});
canvas.addEventListener("pointermove", (event) => {
  if (!cloud) return;
  const here = at(event), before = pointers.get(event.pointerId);
  if (!before) { point(event, here); return; }
  moved += Math.hypot(here[0] - before[0], here[1] - before[1]);
  if (drawing) polygon.push(cloud.toMap(...here));
  else if (pointers.size === 2) pinch(event.pointerId, before, here);
  else cloud.moveBy(here[0] - before[0], here[1] - before[1]);
  pointers.set(event.pointerId, here);
  redrawAll();
});
function pinch(id, before, here) {
  const [other] = [...pointers].filter(([key]) => key !== id).map(([, place]) => place);
  const far = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
  cloud.zoomAt(far(here) / far(before), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
}
canvas.addEventListener("pointerup", (event) => {
  const single = pointers.size === 1;
  pointers.delete(event.pointerId);
  if (!cloud) return;
  if (drawing && moved > 8) {
    inside = cloud.inside(polygon);
    encircled();
    colourPoints();
  } else if (single && moved <= 8) {
    if (drawing) polygon = [];
    press(cloud.nearest(...at(event), 16));
  }
  drawing = false;
  redrawAll();
});
canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
canvas.addEventListener("pointerleave", hideTip);
canvas.addEventListener("wheel", (event) => {
  if (!cloud) return;
  event.preventDefault();
  cloud.zoomAt(2 ** (-event.deltaY / 300), ...at(event));
  redrawAll();
}, { passive: false });
function point(event, here) {
  const i = cloud.nearest(...here, 10);
  if (i < 0) hideTip();
  else showTip(event, `${data.files[fileOf[i]]}\nat ${clock(centreOf[i] / RATE)}`);
  if (i !== pointed && i >= 0) pointAt(i);
  pointed = i;
}
canvas.addEventListener("focus", redrawAll);
canvas.addEventListener("blur", redrawAll);
canvas.addEventListener("keydown", (event) => {
  if (!cloud || event.ctrlKey || event.metaKey || event.altKey) return;
  const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  if (event.key in moves) cloud.moveBy(...moves[event.key]);
  else if (event.key === "+") cloud.zoomAt(1.5);
  else if (event.key === "-") cloud.zoomAt(1 / 1.5);
  else if (event.key === "Enter") press(cloud.nearest(canvas.clientWidth / 2, canvas.clientHeight / 2, 400));
  else return;
  event.preventDefault();
  redrawAll();
});
const zoomBy = (factor) => { if (cloud) { cloud.zoomAt(factor); redrawAll(); } };
$("closer").addEventListener("click", () => zoomBy(2));
$("wider").addEventListener("click", () => zoomBy(0.5));
$("whole").addEventListener("click", () => {
  cloud.zoom = 1;
  cloud.moveTo(STEPS / 2, STEPS / 2);
  redrawAll();
});
$("lasso").addEventListener("click", () => {
  const on = $("lasso").getAttribute("aria-pressed") !== "true";
  $("lasso").setAttribute("aria-pressed", String(on));
});

// Points in the lasso, by file.
function countInside() {
  const within = new Uint32Array(data.files.length);
  for (let i = 0; i < cloud.n; i++) if (inside && inside[i]) within[fileOf[i]]++;
  return within;
}
function clearLasso() {
  inside = null;
  polygon = [];
  colourPoints();
  redrawAll();
}

load("points").then((buffer) => {
  const n = data.n;
  cloud = new Cloud(canvas, new Uint16Array(buffer, 0, 2 * n));
  fileOf = new Uint32Array(buffer, 4 * n, n);
  centreOf = new Float64Array(buffer.slice(8 * n));
  counts = new Uint32Array(data.files.length);
  for (const file of fileOf) counts[file]++;
  $("colour").addEventListener("change", chooseColour);
  ready();
  chooseColour();
  canvas.dataset.ready = "yes";
}).catch((error) => { $("heard").textContent = `Cannot load the points: ${error.message}`; });
