// The page of a result.

const data = readData();
const player = new Player(data.sound.encoded, data.sound.start, data.sound.end);

const units = {};
for (const [name, packed] of Object.entries(data.units)) units[name] = numbers(packed, Float32Array);
units.n = units.onset.length;
units.layers = 1 + Math.max(0, ...units.layer);
let chosen = -1;

const signed = (x, unit) => (x ? `, ${x > 0 ? "+" : "−"}${Math.abs(x).toFixed(1)} ${unit}` : "");
function unitText(i) {
  const gain = units.gain[i] < SILENT_DB ? ", silent" : signed(units.gain[i], "dB");
  return `${data.files[units.file[i]]}\nat ${clock(units.start[i])}, ${units.length[i].toFixed(2)} s long\n` +
    `distance ${units.distance[i].toFixed(2)}${gain}${signed(units.semitones[i], "semitones")}`;
}

function unitAt(time, layer) {
  for (let i = 0; i < units.n; i++) {
    const within = time >= units.onset[i] && time < units.onset[i] + units.length[i];
    if (within && units.layer[i] === layer) return i;
  }
  return -1;
}

function complain(error) {
  const trouble = $("trouble");
  trouble.textContent = `This browser cannot play Ogg Vorbis: ${error.message || error}. ` +
    "Play prediction.wav in the folder of this page instead.";
  trouble.hidden = false;
}

const start = (from, to) => player.play(from, to).catch(complain);
const seek = (time) => player.seek(time).catch(complain);

function choose(i, { play = false } = {}) {
  if (i < 0 || i >= units.n) return;
  chosen = i;
  $("unit").textContent = `Unit ${i + 1} of ${units.n}: ${unitText(i).replaceAll("\n", " · ")}`;
  $("units").setAttribute("aria-valuenow", i + 1);
  $("units").setAttribute("aria-valuetext", $("unit").textContent);
  const end = units.onset[i] + units.length[i];
  if (units.onset[i] > timeline.high || end < timeline.low) timeline.show(units.onset[i]);
  if (play) start(units.onset[i], end);
  redrawAll();
}

// Text and tables.
$("title").textContent = data.recording;
$("lede").textContent = `Continued by run ${data.runId} with the sounds in ${data.corpus}`;
for (const note of data.notes) $("notes").append(element("p", note, "note"));
table($("figures"), data.figures.map((figure) => [
  element("th", figure.name), element("td", figure.value),
  element("td", figure.compared, "soft"), element("td", figure.meaning, "soft"),
]));
$("command").textContent = data.command;
table($("settings"), data.settings.map(([name, value]) => [element("th", name), element("td", value)]));
const counts = new Map();
for (const file of units.file) counts.set(file, (counts.get(file) || 0) + 1);
data.files.forEach((name, i) => {
  const cell = element("td", "");
  const swatch = element("span", "", "swatch");
  redraws.push(() => { swatch.style.background = fileColour(i); });
  cell.append(swatch, name);
  table($("files"), [[
    element("td", `${(100 * data.shares[i]).toFixed(1)} %`, "number"),
    element("td", String(counts.get(i) || 0), "number"), cell,
  ]]);
});

// Sound, units, descriptors.
const timeline = new Timeline($("stack"), player);
const lines = new DescriptorLines(timeline, data.descriptors);
const seekTo = { tell: (time) => clock(time), click: seek };
timeline.addLane($("wave"), () => 84, drawWave(timeline, data.sound), seekTo);
timeline.addLane($("spectrum"), () => 180, drawSpectrogram(timeline, data.sound), {
  tell: (time, y) => {
    const [low, high] = data.sound.hz;
    const hz = high * (low / high) ** clamp(y / 180, 0, 1);
    return `${clock(time)}, ${hz < 1000 ? hz.toFixed(0) : (hz / 1000).toFixed(1) + " k"}Hz`;
  },
  click: seek,
});
const stripHeight = () => Math.min(44, 16 + 28 / units.layers) * units.layers;
const layerAt = (y) => clamp(Math.floor(y / stripHeight() * units.layers), 0, units.layers - 1);
timeline.addLane($("units"), stripHeight, drawUnits(timeline, units, (i) => i === chosen), {
  tell: (time, y) => {
    const i = unitAt(time, layerAt(y));
    return i < 0 ? "" : unitText(i);
  },
  click: (time, y) => choose(unitAt(time, layerAt(y)), { play: true }),
});
timeline.addLane($("lines"), () => 170, (...given) => lines.draw(...given), {
  tell: (time) => lines.tell(time),
  click: seek,
});
timeline.addLane($("ruler"), () => 20, (...given) => timeline.drawRuler(...given), seekTo);
$("spectrum").setAttribute("aria-label",
  `spectrogram, ${data.sound.hz[0].toFixed(0)} Hz to ${(data.sound.hz[1] / 1000).toFixed(0)} kHz, logarithmic`);
$("wave").setAttribute("aria-valuemin", data.sound.start.toFixed(1));
$("wave").setAttribute("aria-valuemax", data.sound.end.toFixed(1));
$("units").setAttribute("aria-valuemin", 1);
$("units").setAttribute("aria-valuemax", units.n);
data.descriptors.names.forEach((name, i) => $("column").append(new Option(name, i)));
$("column").addEventListener("change", () => { lines.column = Number($("column").value); redrawAll(); });
$("closer").addEventListener("click", () => timeline.zoom(0.5));
$("wider").addEventListener("click", () => timeline.zoom(2));
$("pan").addEventListener("input", () => {
  const span = timeline.span, room = timeline.whole - span;
  timeline.low = player.start + Number($("pan").value) / 1000 * room;
  timeline.high = timeline.low + span;
  redrawAll();
});
timeline.onchange = () => {
  const room = timeline.whole - timeline.span;
  $("pan").disabled = room <= 0;
  $("pan").value = room > 0 ? Math.round(1000 * (timeline.low - player.start) / room) : 0;
};

// The map.
const map = new CorpusMap($("map"), data.map, data.files, player);
$("show-predicted").addEventListener("change", () => {
  map.showPredicted = $("show-predicted").checked;
  redrawAll();
});
const nPoints = map.points.length / 2;
$("map-text").textContent =
  `${nPoints} of ${data.map.nRows} corpus frames: ${data.map.caption}. Files that are played are in colour. ` +
  "The thin line is the path of the result, and the dot follows the sound. Click near the path to jump there.";
$("map").setAttribute("aria-label", `map of ${nPoints} corpus frames and the path of the result`);

// The player.
function showState() {
  const now = player.now;
  $("play").textContent = player.playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(player.playing));
  $("time").textContent = `${clock(now)} / ${clock(player.end)}`;
  $("wave").setAttribute("aria-valuenow", now.toFixed(1));
  $("wave").setAttribute("aria-valuetext", clock(now));
  timeline.moveHead();
  map.move();
}
let animated = false;
function animate() {
  showState();
  animated = player.playing;
  if (animated) requestAnimationFrame(animate);
}
player.listeners.push(() => { if (!animated) animate(); });
const toggle = () => (player.playing ? player.pause() : start());
$("play").addEventListener("click", toggle);
$("from-recording").disabled = player.start >= 0;
$("from-recording").addEventListener("click", () => start(player.start));
$("from-continuation").addEventListener("click", () => start(0));
$("volume").addEventListener("input", () => {
  player.setVolume(Number($("volume").value));
  $("volume").setAttribute("aria-valuetext", `${$("volume").value} dB`);
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (target.closest("input, select, textarea, summary")) return;
  const onStrip = target === $("units");
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 };
  if (event.key === " " && target.tagName !== "BUTTON") toggle();
  else if (event.key === "+") timeline.zoom(0.5);
  else if (event.key === "-") timeline.zoom(2);
  else if (onStrip && event.key in moves) choose(clamp(chosen + moves[event.key], 0, units.n - 1));
  else if (onStrip && event.key === "Home") choose(0);
  else if (onStrip && event.key === "End") choose(units.n - 1);
  else if (onStrip && event.key === "Enter") choose(Math.max(chosen, 0), { play: true });
  else if (event.key === "ArrowLeft") seek(player.now - 1);
  else if (event.key === "ArrowRight") seek(player.now + 1);
  else if (target === $("wave") && event.key === "Home") seek(player.start);
  else if (target === $("wave") && event.key === "End") seek(player.end);
  else return;
  event.preventDefault();
});
addEventListener("click", (event) => {
  // Space would press a button that was clicked, not pause.
  if (event.detail && event.target.tagName === "BUTTON") event.target.blur();
});
redrawAll();
showState();
