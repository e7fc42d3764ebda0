// The page of a stream that plays: its units on the map, its figures, and its settings.

const HELD_MS = 400; // what was set here counts until the stream has taken it
const MUTED_DB = -200;
const LAYER_COLOURS = ["head", "accent", "matched", "wave"];
let now = null; // the newest state
const heldUntil = {}; // name → time

$("title").textContent = data.root.split(/[\\/]/).pop() || data.root;
$("lede").textContent = `${data.files.length} files, ${data.n} of ${data.nRows} frames`;

// Settings: each is sent when it is changed, and shown as the stream has it.
const unsent = {};
let sending = false;
async function changed(name, value = settingOf[name].get()) {
  unsent[name] = value;
  heldUntil[name] = performance.now() + HELD_MS;
  if (sending) return;
  sending = true;
  forgive();
  while (Object.keys(unsent).length) {
    const values = { ...unsent };
    for (const key of Object.keys(values)) delete unsent[key];
    try { await post("set", values); } catch (error) {
      complain(error);
      for (const key of Object.keys(values)) delete heldUntil[key];
    }
  }
  sending = false;
}

function modes(control) {
  const made = Object.entries(control.words).map(([mode, words]) => {
    const one = button("", () => changed("mode", mode));
    one.append(element("span", mode), element("span", words, "soft"));
    one.dataset.mode = mode;
    return one;
  });
  $("modes").append(...made);
  $("modes").title = control.help;
  settingOf.mode = {
    set: (value) => { for (const one of made) one.setAttribute("aria-pressed", String(one.dataset.mode === value)); },
  };
}

// Patterns of files, one in each line.
function patterns(control) {
  const row = element("div", "", "control"), area = element("textarea"), title = element("label", control.label);
  area.id = title.htmlFor = "set-files";
  area.placeholder = "all; or patterns, one in each line";
  area.spellcheck = false;
  row.title = control.help;
  row.append(title, area);
  area.addEventListener("change", () => changed("files"));
  settingOf.files = {
    get: () => area.value.split("\n").map((line) => line.trim()).filter(Boolean),
    set: (value) => { if (document.activeElement !== area) area.value = value.join("\n"); },
  };
  return row;
}

function rowOf(control) {
  const { name, label, help, words } = control;
  if (name === "files") return patterns(control);
  const pairs = Object.keys(words).map((value) => [value, value]);
  if (control.value === null && pairs.length) pairs.unshift(["default", null]);
  if (pairs.length) return choice(name, label, pairs, help, words);
  const row = slider(control);
  const reset = button("Default", () => { settingOf[name].set(control.value); changed(name, null); }, "default");
  reset.setAttribute("aria-label", `${label}: default`);
  row.querySelector("output").before(reset);
  return row;
}

const AT_BEGINNING = ["sampling", "seed", "replay_block"];
for (const control of data.controls) {
  if (control.name === "mode") modes(control);
  else $(AT_BEGINNING.includes(control.name) ? "beginning" : "controls").append(rowOf(control));
}
on("jump", "click", () => post("jump"));
$("end").hidden = data.endless;
on("end", "click", () => {
  $("end").disabled = true;
  return post("end");
});

function showSettings(settings) {
  const time = performance.now();
  for (const [name, value] of Object.entries(settings)) {
    if (!(time < heldUntil[name])) settingOf[name].set(value);
  }
}

// Levels from −60 to 0 dB, the load of a core, the beat.
function meter(name, share, text, isHigh) {
  const bar = $(`${name}-bar`);
  bar.style.width = `${100 * clamp(share, 0, 1)}%`;
  bar.classList.toggle("high", isHigh);
  $(`${name}-text`).textContent = text;
}
const decibels = (level) => (level <= -100 ? "silent" : `${level.toFixed(0).replace("-", "−")} dB`);
function showFigures(state) {
  meter("heard", (state.heard_db + 60) / 60, decibels(state.heard_db), state.heard_db > -1);
  meter("played", (state.played_db + 60) / 60, decibels(state.played_db), state.played_db > -1);
  meter("load", state.load, `${(100 * state.load).toFixed(0)} %`, state.load > 0.8);
  const nearness = Math.max(0, Math.cos(2 * Math.PI * state.phase)) ** 2;
  document.querySelector("#beat i").style.opacity = (nearness * clamp(2 * state.pulse, 0, 1)).toFixed(2);
  const skipped = state.skipped_s ? `, ${seconds(state.skipped_s)} not heard` : "";
  $("faults").textContent = `${clock(state.seconds)}, late blocks: ${state.underruns}${skipped}`;
}

function showUnits(playing) {
  $("units").replaceChildren(...[...playing].sort((a, b) => a.layer - b.layer).map((unit) => {
    const gain = unit.gain_db <= MUTED_DB ? "muted" : `${unit.gain_db < 0 ? "−" : "+"}${Math.abs(unit.gain_db).toFixed(1)} dB`;
    const place = clock(unit.start_s + unit.length_s);
    const item = element("li", `${unit.file} at ${place}, ${gain}`), swatch = element("span", "", "swatch");
    swatch.style.background = colour(LAYER_COLOURS[unit.layer]);
    item.prepend(swatch);
    return item;
  }));
}

// On the map: a line through the last units of each layer, and where it is in the one that plays.
function drawMarks(context) {
  if (!now) return;
  context.lineWidth = 2;
  LAYER_COLOURS.forEach((name, layer) => {
    const points = now.trail.filter(([, own]) => own === layer).map(([i]) => i);
    const places = [...points, ...now.playing.filter((unit) => unit.layer === layer).map((unit) => unit.point)]
      .map((i) => cloud.place(i));
    context.strokeStyle = context.fillStyle = colour(name);
    places.forEach(([x, y], k) => {
      context.globalAlpha = ((k + 1) / places.length) ** 2;
      context.beginPath();
      if (k) {
        context.moveTo(...places[k - 1]);
        context.lineTo(x, y);
        context.stroke();
        context.beginPath();
      }
      context.arc(x, y, 3, 0, 7);
      context.fill();
    });
  });
  for (const unit of now.playing) {
    const [x, y] = cloud.place(unit.point);
    context.fillStyle = colour(LAYER_COLOURS[unit.layer]);
    for (const [radius, alpha] of [[18, 0.2], [11, 0.35], [6, 1]]) {
      context.globalAlpha = alpha;
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.fill();
    }
    context.strokeStyle = colour("ink");
    context.stroke();
  }
  context.globalAlpha = 1;
}

function ready() {}
function press() {}
function pointAt() {}

// The lasso chooses files.
function encircled() {
  const within = countInside(), least = Number($("least").value);
  const files = data.files.filter((_, i) => within[i] && 100 * within[i] >= least * counts[i]);
  $("heard").textContent = files.length
    ? `${files.length} of ${data.files.length} files` : `No file has ${least} % of its points there.`;
  if (!files.length) return;
  settingOf.files.set(files);
  changed("files", files); // the text area would lose spaces around a name
}
on("forget", "click", () => {
  if (cloud) clearLasso();
  $("heard").textContent = `All ${data.files.length} files`;
  settingOf.files.set([]);
  changed("files", []);
});

const events = new EventSource("events");
events.onmessage = (event) => {
  now = JSON.parse(event.data);
  showSettings(now.settings);
  showFigures(now);
  showUnits(now.playing);
  if (cloud && !document.hidden) requestAnimationFrame(drawOver);
  document.body.dataset.ready = "yes";
};
events.onerror = () => {
  now = null;
  showUnits([]);
  redrawAll();
  complain(new Error("Failed to fetch"));
};
events.onopen = forgive;
