// The page of the map.

const data = readData();
const LISTED = 200;
const RATE = data.sampleRate;
let cloud = null, fileOf = null, centreOf = null, counts = null;
let column = null; // Uint8Array of the colour scale
let inside = null; // Uint8Array of the selection
let polygon = [];
let fileColours = [];

$("title").textContent = data.root.split(/[\\/]/).pop() || data.root;
$("lede").textContent =
  `${data.root}: ${data.n} of ${data.nRows} frames from ${data.files.length} files, by the first two ` +
  `principal components of their descriptors (${(100 * data.share).toFixed(0)} % of the variance)`;
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

async function load(path) {
  const answer = await fetch(path);
  if (answer.ok) return answer.arrayBuffer();
  const problem = await answer.json().catch(() => ({ error: answer.statusText }));
  throw new Error(problem.error);
}

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
  if (marked >= 0) {
    const [x, y] = cloud.toScreen(cloud.positions[2 * marked], cloud.positions[2 * marked + 1]);
    context.strokeStyle = colour("head");
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(x, y, 8, 0, 7);
    context.stroke();
  }
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

// Sound.
let audio = null, level = null, playing = null, marked = -1, asked = 0;
async function hear(i, ms = $("ms").value) {
  if (i < 0) return;
  marked = i;
  redrawAll();
  const call = ++asked;
  const words = `${data.files[fileOf[i]]} at ${clock(centreOf[i] / RATE)}`;
  try {
    if (!audio) {
      audio = new AudioContext();
      level = audio.createGain();
      level.connect(audio.destination);
      setVolume();
    }
    const query = `grain?file=${fileOf[i]}&centre=${Math.round(centreOf[i])}&ms=${ms}`;
    const buffer = await audio.decodeAudioData(await load(query));
    if (audio.state === "suspended") await audio.resume();
    if (call !== asked) return; // superseded by a later request
    if (playing) playing.stop();
    playing = audio.createBufferSource();
    playing.buffer = buffer;
    playing.connect(level);
    playing.start();
    $("heard").textContent = `Played: ${words}`;
    $("heard").dataset.seconds = buffer.duration;
  } catch (error) {
    $("heard").textContent = `Cannot play ${words}: ${error.message}`;
  }
}
function setVolume() {
  $("volume").setAttribute("aria-valuetext", `${$("volume").value} dB`);
  if (level) level.gain.value = 10 ** (Number($("volume").value) / 20);
}
$("volume").addEventListener("input", setVolume);

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
  if (drawing && moved > 8) choose();
  else if (single && moved <= 8) {
    if (drawing) polygon = [];
    hear(cloud.nearest(...at(event), 16));
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
  if (i !== pointed && i >= 0 && $("pointing").checked) hear(i);
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
  else if (event.key === "Enter") hear(cloud.nearest(canvas.clientWidth / 2, canvas.clientHeight / 2, 400));
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

// Files by name; a click plays five seconds from the middle.
const FILE_MS = 5000;
function middleOf(file) {
  const first = fileOf.indexOf(file);
  return first < 0 ? -1 : first + Math.floor(counts[file] / 2);
}
function search() {
  const words = $("search").value.trim().toLowerCase();
  const matching = data.files.map((name) => name.toLowerCase().includes(words));
  const found = [...matching.keys()].filter((i) => matching[i]);
  cloud.shown = words ? Uint8Array.from({ length: cloud.n }, (_, i) => (matching[fileOf[i]] ? 1 : 0)) : null;
  $("found").textContent = words
    ? `${found.length} of ${data.files.length} files; the others are grey`
    : `${data.files.length} files`;
  list($("names"), found, (i) => data.files[i]);
  redrawAll();
}
function list(place, files, wording) {
  place.replaceChildren(...files.slice(0, LISTED).map((i) => {
    const item = element("li"), name = element("button", wording(i)), swatch = element("span", "", "swatch");
    swatch.dataset.file = i;
    name.type = "button";
    name.title = "play its middle";
    name.prepend(swatch);
    name.addEventListener("click", () => hear(middleOf(i), FILE_MS));
    item.append(name);
    return item;
  }));
  if (files.length > LISTED) place.append(element("li", `… and ${files.length - LISTED} more`));
  colourNames();
}
$("search").addEventListener("input", search);

// Selected files as patterns for --include, with special characters in brackets.
const pattern = (name) => name.replace(/[[*?]/g, "[$&]");
let chosenFiles = [];
const quoted = (text) => `'${text.replaceAll("'", `'"'"'`)}'`;
function choose() {
  inside = cloud.inside(polygon);
  showChosen();
  colourPoints();
}
function showChosen() {
  const within = new Uint32Array(data.files.length);
  let n = 0;
  for (let i = 0; i < cloud.n; i++) if (inside && inside[i]) { within[fileOf[i]]++; n++; }
  const share = (i) => 100 * within[i] / counts[i];
  const least = Number($("least").value);
  const files = [...within.keys()].filter((i) => within[i] && share(i) >= least);
  files.sort((a, b) => share(b) - share(a));
  const touched = within.reduce((sum, count) => sum + (count > 0), 0);
  $("chosen").textContent = n
    ? `${n} points of ${touched} files; ${files.length} of the files are used`
    : "Empty. Press Lasso, then draw around points.";
  list($("chosen-files"), files, (i) => `${share(i).toFixed(0)} % of ${data.files[i]}`);
  $("include").value = files.length
    ? `--include ${files.map((i) => quoted(pattern(data.files[i]))).join(" ")}` : "";
  chosenFiles = files;
  $("copy").disabled = $("use").disabled = !files.length;
  $("moments").disabled = !n;
  $("forget").disabled = !n;
}
$("least").addEventListener("input", () => { if (cloud) showChosen(); });
$("forget").addEventListener("click", () => {
  inside = null;
  polygon = [];
  showChosen();
  colourPoints();
  redrawAll();
});
$("copy").addEventListener("click", async () => {
  $("include").select();
  try {
    await navigator.clipboard.writeText($("include").value);
    $("copied").textContent = "Copied.";
  } catch {
    $("copied").textContent = "Press Ctrl-C to copy.";
  }
});

// In the studio: go on with the selected files, or with the selected moments alone.
$("studio-row").hidden = $("back").hidden = !data.inStudio;
async function send(path, body) {
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await fetch(`../${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error((await answer.json()).error);
    location.href = "../";
  } catch (error) { $("sent").textContent = error.message; }
}
$("use").addEventListener("click", () => send("choose", { include: chosenFiles.map((i) => pattern(data.files[i])) }));
$("moments").addEventListener("click", () => {
  const bits = new Uint8Array(Math.ceil(cloud.n / 8));
  for (let i = 0; i < cloud.n; i++) if (inside[i]) bits[i >> 3] |= 128 >> (i & 7);
  let text = "";
  for (const byte of bits) text += String.fromCharCode(byte);
  $("sent").textContent = "Writing the moments …";
  send("moments", { selected: btoa(text) });
});

load("points").then((buffer) => {
  const n = data.n;
  cloud = new Cloud(canvas, new Uint16Array(buffer, 0, 2 * n));
  fileOf = new Uint32Array(buffer, 4 * n, n);
  centreOf = new Float64Array(buffer.slice(8 * n));
  counts = new Uint32Array(data.files.length);
  for (const file of fileOf) counts[file]++;
  $("colour").addEventListener("change", chooseColour);
  search();
  chooseColour();
  canvas.dataset.ready = "yes";
}).catch((error) => { $("heard").textContent = `Cannot load the points: ${error.message}`; });
