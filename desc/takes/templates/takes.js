// The page of the takes of a recording.

const data = readData();
const takes = data.takes;
const byNumber = (number) => takes.find((take) => take.number === number);
const chosen = { A: takes[takes.length - 1], B: takes[Math.max(0, takes.length - 2)] };
let heard = "A";
const player = new Player("", 0, 0);
const name = (take) => (take.number ? `Take ${take.number}` : "The take without a number");

// Levels: all as loud as the softest that is no silence, so that nothing clips.
const SILENT_LUFS = -60;
const audible = takes.map((take) => take.sound.lufs).filter((lufs) => lufs > SILENT_LUFS);
const softest = Math.min(...audible);
const gainOf = (take) =>
  ($("match").checked ? Math.min(1, 10 ** ((softest - take.sound.lufs) / 20)) : 1);

function complain(error) {
  const trouble = $("trouble");
  trouble.textContent = `This browser cannot play Ogg Vorbis: ${error.message || error}. ` +
    "Play the WAV files instead.";
  trouble.hidden = false;
}
const start = (from) => player.play(from).catch(complain);
const seek = (time) => player.seek(time).catch(complain);

// Stars: those of the folder, and those set in this page, which the browser keeps.
const stars = new Map(takes.map((take) => [take, take.starred]));
const keyOf = (take) => `desc-star:${take.digest}`;
function stored(take) {
  try { return localStorage.getItem(keyOf(take)); } catch { return null; }
}
for (const take of takes) if (stored(take) !== null) stars.set(take, stored(take) === "1");
function star(take) {
  stars.set(take, !stars.get(take));
  try { localStorage.setItem(keyOf(take), stars.get(take) ? "1" : "0"); } catch { /* private mode */ }
  show();
}
function offerStars() {
  const changed = takes.some((take) => stars.get(take) !== take.starred);
  $("save").hidden = $("save-text").hidden = !changed;
  if (!changed) return;
  const marks = {};
  for (const take of takes) {
    if (stars.get(take) || take.note) marks[take.number] = { starred: stars.get(take), note: take.note };
  }
  const text = JSON.stringify(marks, null, 2);
  $("save").href = `data:application/json,${encodeURIComponent(text)}`;
  $("save").download = data.marks;
}

// Choose the take of a side, and which side is heard.
function put(side, take) {
  const other = side === "A" ? "B" : "A";
  if (chosen[other] === take && chosen.A !== chosen.B) chosen[other] = chosen[side];
  chosen[side] = take;
  hear(side);
}
function hear(side) {
  heard = side;
  const take = chosen[side];
  player.use(take.sound, gainOf(take)).catch(complain);
  timeline.low = Math.min(chosen.A.sound.start, chosen.B.sound.start);
  timeline.high = Math.max(chosen.A.sound.end, chosen.B.sound.end);
  show();
}

// Cards, one for each take, the newest first.
const cards = new Map();
const settingsOf = (take) => {
  const at = takes.indexOf(take);
  const own = data.differing.filter(([setting, values]) => !setting.endsWith("_digest"));
  return own.map(([setting, values]) => `${setting} ${values[at] || "none"}`).join(" · ");
};
for (const take of [...takes].reverse()) {
  const card = element("article", "", "card take");
  const row = element("div", "", "row");
  const buttons = {};
  for (const side of ["A", "B"]) {
    buttons[side] = element("button", side);
    buttons[side].setAttribute("aria-label", `${name(take)} as ${side}`);
    buttons[side].addEventListener("click", () => put(side, take));
  }
  const starButton = element("button", "☆");
  starButton.addEventListener("click", () => star(take));
  row.append(element("h3", name(take)), buttons.A, buttons.B, starButton);
  const links = element("p", "", "soft");
  const named = [[take.report, "report"], [take.wav, "WAV"]].filter(([target]) => target);
  named.forEach(([target, text], i) => {
    const link = element("a", text);
    link.href = target;
    links.append(i ? " · " : "", link);
  });
  const again = element("details");
  again.append(element("summary", "again"), element("pre", take.command));
  card.append(row);
  if (settingsOf(take)) card.append(element("p", settingsOf(take)));
  if (take.note) card.append(element("p", take.note));
  card.append(element("p", take.figures, "soft"), links, again);
  $("takes").append(card);
  cards.set(take, { card, buttons, starButton });
}

// The settings in which A and B differ.
function compare() {
  const [a, b] = [chosen.A, chosen.B].map((take) => takes.indexOf(take));
  const rows = data.differing.filter(([, values]) => values[a] !== values[b]);
  const box = $("compared");
  box.replaceChildren();
  if (a === b) return;
  if (!rows.length) { box.append(element("p", "A and B have the same settings.", "soft")); return; }
  const made = element("table", "", "compared");
  const head = element("thead"), body = element("tbody");
  table(head, [["setting", `A: ${name(chosen.A)}`, `B: ${name(chosen.B)}`].map((text) => element("th", text))]);
  table(body, rows.map(([setting, values]) => [
    element("th", setting), element("td", values[a] || "none"), element("td", values[b] || "none"),
  ]));
  made.append(head, body);
  box.append(made);
}

// Waveforms.
const timeline = new Timeline($("stack"), player);
const waves = new Map(takes.map((take) => [take, drawWave(timeline, take.sound)]));
const drawSide = (side) => (context, width, height) => {
  context.globalAlpha = side === heard ? 1 : 0.4;
  waves.get(chosen[side])(context, width, height);
  context.globalAlpha = 1;
  label(context, `${side}: ${name(chosen[side])}`, 10);
};
for (const side of ["A", "B"]) {
  timeline.addLane($(`wave-${side.toLowerCase()}`), () => 72, drawSide(side), {
    tell: (time) => clock(time),
    click: (time) => { if (heard !== side) hear(side); seek(time); },
  });
}
timeline.addLane($("ruler"), () => 20, (...given) => timeline.drawRuler(...given), {
  tell: (time) => clock(time), click: seek,
});

// State.
function show() {
  const take = chosen[heard];
  const changed = gainOf(take) < 0.995 ? `, ${(-20 * Math.log10(gainOf(take))).toFixed(1)} dB softer` : "";
  $("heard").textContent = `Heard: ${heard}, ${name(take)}${stars.get(take) ? " ★" : ""}${changed}.`;
  $("swap").disabled = chosen.A === chosen.B;
  $("wave-b").hidden = chosen.A === chosen.B;
  $("wave-b").setAttribute("aria-label", `waveform of B, ${name(chosen.B)}`);
  $("wave-a").setAttribute("aria-valuemin", player.start.toFixed(1));
  $("wave-a").setAttribute("aria-valuemax", player.end.toFixed(1));
  for (const [each, { card, buttons, starButton }] of cards) {
    card.classList.toggle("heard", each === take);
    for (const side of ["A", "B"]) {
      buttons[side].setAttribute("aria-pressed", String(chosen[side] === each));
    }
    starButton.textContent = stars.get(each) ? "★" : "☆";
    starButton.setAttribute("aria-pressed", String(stars.get(each)));
    starButton.setAttribute("aria-label", `star ${name(each)}`);
    card.hidden = $("only-starred").checked && !stars.get(each);
  }
  compare();
  offerStars();
  showTime();
  redrawAll();
}
function showTime() {
  const now = player.now;
  $("play").textContent = player.playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(player.playing));
  $("time").textContent = `${clock(now)} / ${clock(player.end)}`;
  $("wave-a").setAttribute("aria-valuenow", now.toFixed(1));
  $("wave-a").setAttribute("aria-valuetext", clock(now));
  timeline.moveHead();
}
let animated = false;
function animate() {
  showTime();
  animated = player.playing;
  if (animated) requestAnimationFrame(animate);
}
player.listeners.push(() => { if (!animated) animate(); });

const toggle = () => (player.playing ? player.pause() : start());
const swap = () => { if (chosen.A !== chosen.B) hear(heard === "A" ? "B" : "A"); };
$("play").addEventListener("click", toggle);
$("swap").addEventListener("click", swap);
$("match").addEventListener("change", () => hear(heard));
$("only-starred").addEventListener("change", show);
$("volume").addEventListener("input", () => {
  player.setVolume(Number($("volume").value));
  $("volume").setAttribute("aria-valuetext", `${$("volume").value} dB`);
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target, key = event.key.toLowerCase();
  if (target.closest("input:not([type=checkbox]), select, textarea")) return;
  const onButton = target.closest("button, summary, input");
  const take = key >= "1" && key <= "9" ? byNumber(Number(key)) : undefined;
  if (key === " " && !onButton) toggle();
  else if (key === "x") swap();
  else if (key === "s") star(chosen[heard]);
  else if (take) { put(heard, take); if (!player.playing) start(); }
  else if (key === "arrowleft") seek(player.now - 1);
  else if (key === "arrowright") seek(player.now + 1);
  else if (target === $("wave-a") && key === "home") seek(player.start);
  else if (target === $("wave-a") && key === "end") seek(player.end);
  else return;
  event.preventDefault();
});

$("title").textContent = data.recording;
const left = data.left ? `, ${data.left} more in this folder` : "";
$("lede").textContent = `${takes.length} take${takes.length === 1 ? "" : "s"}${left}`;
$("save-text").textContent =
  `The stars are kept in this browser. ${data.marks} in the folder of this page keeps them with the takes.`;
player.position = Math.max(-2, chosen.A.sound.start);
hear("A");
