// The chosen take: its wave and units; a unit is heard, muted, louder, or replaced.

let page = null, units = { n: 0, layers: 1 }, unit = -1, names = [], others = [];
let edition = 0; // changes with every edit, so that no earlier sound is heard
const stack = new Timeline($("take-stack"), player);
player.listeners.push(() => { $("play").textContent = player.playing ? "Pause" : "Play"; });
const showTime = () => {
  $("time").textContent = `${clock(player.now)} / ${clock(player.end)}`;
  stack.moveHead();
};
follow(player, showTime);

async function showTake() {
  const take = takeOf(chosen);
  $("units-section").hidden = !take;
  if (!take) { player.pause(); page = null; return; }
  const number = chosen;
  const found = await get("take", takeKey(number));
  if (number !== chosen) return;
  const isOther = !page || page.number !== number;
  page = found;
  page.draw = drawWave(stack, { envelope: page.envelope, start: 0, end: page.seconds });
  take.sound_version = page.sound_version;
  player.use(soundOf(take), page.seconds, gainOf(take));
  if (isOther) { stack.low = 0; stack.high = page.seconds; unit = -1; others = []; }
  names = [...new Set(page.units.map((one) => one.source))];
  const column = (name) => page.units.map((one) => one[name]);
  units = {
    n: page.units.length, onset: column("onset"), length: column("length"), layer: column("layer"),
    gain: column("gain_db"), file: page.units.map((one) => names.indexOf(one.source)),
  };
  units.layers = 1 + Math.max(0, ...units.layer);
  $("take-title").textContent = `Take ${number}`;
  $("undo").disabled = !page.edits.length;
  $("undo").textContent = page.edits.length ? `Undo (${page.edits.length})` : "Undo";
  $("units").setAttribute("aria-valuemax", units.n);
  $("units").dataset.take = number;
  showTime();
  showUnit();
}

const unitWords = (one) => `${one.source} at ${clock(one.start)}, ${one.length.toFixed(2)} s` +
  (one.gain_db <= SILENT_DB ? ", muted" : one.gain_db ? `, ${one.gain_db > 0 ? "+" : "−"}${Math.abs(one.gain_db).toFixed(1)} dB` : "") +
  (one.semitones ? `, ${one.semitones > 0 ? "+" : "−"}${Math.abs(one.semitones).toFixed(1)} semitones` : "");

function unitAt(time, layer) {
  return page.units.findIndex((one) => one.layer === layer && time >= one.onset && time < one.onset + one.length);
}
const stripHeight = () => Math.min(44, 16 + 28 / units.layers) * units.layers;
const layerAt = (y) => clamp(Math.floor(y / stripHeight() * units.layers), 0, units.layers - 1);
const seek = act((time) => player.seek(time));
stack.addLane($("wave"), () => 90, (...given) => { if (page) page.draw(...given); },
  { tell: (time) => clock(time), click: seek });
stack.addLane($("units"), stripHeight, (...given) => { if (page) drawUnits(stack, units, (i) => i === unit)(...given); }, {
  tell: (time, y) => { const i = page ? unitAt(time, layerAt(y)) : -1; return i < 0 ? "" : unitWords(page.units[i]); },
  click: (time, y) => { if (page) act(pickUnit)(unitAt(time, layerAt(y))); },
});
stack.addLane($("ruler"), () => 20, (...given) => { if (page) stack.drawRuler(...given); },
  { tell: (time) => clock(time), click: seek });
on("closer", "click", () => stack.zoom(0.5));
on("wider", "click", () => stack.zoom(2));

const unitKey = (query = {}) => ({ ...takeKey(chosen), event: page.units[unit].event, ...query, v: `${page.edits.length} ${edition}` });
const hearUnit = (margin_s) => hear(address("unit", unitKey({ margin_s })));

async function pickUnit(i, play = true) {
  if (i < 0 || i >= units.n) return;
  unit = i;
  others = [];
  showUnit();
  const one = page.units[i];
  if (one.onset > stack.high || one.onset + one.length < stack.low) stack.show(one.onset);
  if (play) await hearUnit(0);
  if (one.is_recording) return;
  others = await get("alternatives", unitKey());
  if (i === unit) showUnit();
}

function showUnit() {
  const one = page && unit >= 0 ? page.units[unit] : null;
  $("unit-tools").hidden = !one;
  $("unit-text").textContent = one
    ? `Unit ${unit + 1} of ${units.n}: ${unitWords(one)}` : "Click a unit of the strip, or select the strip and press the arrow keys.";
  $("units").setAttribute("aria-valuenow", unit + 1);
  $("units").setAttribute("aria-valuetext", $("unit-text").textContent);
  if (one) {
    const muted = one.gain_db <= SILENT_DB;
    $("mute").textContent = muted ? "Sound again" : "Mute";
    $("gain").disabled = muted;
    $("gain").value = muted ? 0 : clamp(one.gain_db, -24, 12);
    $("gain-text").textContent = muted ? "muted" : `${one.gain_db.toFixed(1)} dB`;
  }
  $("others").replaceChildren(...others.map((other, i) => {
    const item = element("li");
    item.append(button(`${i + 1}  ${other.source} at ${clock(other.start_sample / page.sample_rate)}`, () => change("replace", { alternative: i })));
    return item;
  }));
  $("others-box").hidden = !others.length;
  redrawAll();
}

// Send an edit, and hear the unit among its neighbours; the whole take follows.
async function change(path, values = {}) {
  const began = performance.now();
  player.pause();
  await post(path, { ...takeKey(chosen), event: page.units[unit].event, ...values });
  edition = began;
  await hearUnit(0.5);
  document.body.dataset.swapMs = (performance.now() - began).toFixed(0);
  const kept = others;
  await showTakes();
  others = kept;
  showUnit();
}
on("unit-hear", "click", () => hearUnit(0));
on("unit-among", "click", () => hearUnit(1));
on("unit-source", "click", () => hear(address("source", unitKey())));
function mute() {
  const one = page.units[unit];
  if (one.gain_db > SILENT_DB) return change("edit", { gain_db: -200 });
  const gains = page.edits.filter((edit) => edit.event === one.event).map((edit) => edit.changes.gain_db);
  return change("edit", { gain_db: gains.filter((gain) => gain > SILENT_DB).pop() ?? one.own_gain_db });
}
on("mute", "click", mute);
$("gain").addEventListener("input", () => { $("gain-text").textContent = `${Number($("gain").value).toFixed(1)} dB`; });
on("gain", "change", () => change("edit", { gain_db: Number($("gain").value) }));
on("undo", "click", async () => {
  await post("undo", takeKey(chosen));
  edition = performance.now();
  await showTakes();
});
$("units").addEventListener("keydown", (event) => {
  if (!page || event.ctrlKey || event.metaKey || event.altKey) return;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 };
  if (event.key in moves) act(pickUnit)(clamp(unit + moves[event.key], 0, units.n - 1));
  else if (event.key === "Home") act(pickUnit)(0);
  else if (event.key === "End") act(pickUnit)(units.n - 1);
  else if (event.key === "Enter" && unit >= 0) act(hearUnit)(0);
  else if (event.key === "m" && unit >= 0) $("mute").click();
  else if (/^[1-8]$/.test(event.key) && others[event.key - 1]) act(change)("replace", { alternative: event.key - 1 });
  else return;
  event.preventDefault();
});
$("wave").addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: -1, ArrowRight: 1 };
  if (!(event.key in moves)) return;
  seek(player.now + moves[event.key]);
  event.preventDefault();
});
