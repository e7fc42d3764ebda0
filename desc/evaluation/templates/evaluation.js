// The page of an evaluation: its tables, and excerpts to listen to.

const data = readData();
$("title").textContent = data.title;
$("lede").textContent = data.lede;
for (const text of data.verdicts) $("verdicts").append(element("p", text, "note"));
for (const text of data.notes) $("notes").append(element("li", text));

for (const { title, headings, better, rows } of data.tables) {
  const section = element("section");
  const holder = element("div", "", "scroll");
  const shown = element("table", "", "metrics");
  const head = element("thead");
  const body = element("tbody");
  const cells = (name, texts) => texts.map((text) => element(name, text));
  table(head, [
    [element("th"), ...cells("th", headings)], [element("th", "better"), ...cells("th", better)],
  ]);
  table(body, rows.map((row) => [
    element("th", row.name),
    ...row.cells.map(([text, best]) => element("td", text, best ? "best" : "")),
  ]));
  rows.forEach((row, i) => { body.rows[i].className = row.kind; });
  shown.append(head, body);
  holder.append(shown);
  section.append(element("h2", title), holder);
  $("tables").append(section);
}

// Listening: one sound is decoded at a time.
$("listen").hidden = data.examples.length === 0;
data.examples.forEach(({ source, at }, i) => $("excerpt").append(new Option(`${source}, ${at}`, i)));
const orders = data.examples.map(({ sounds }) => sounds.map((_, i) => i));
const chosen = new Map();
const revealed = new Set();
let blind = false;
let current = 0;
let heard = null;
let player = null;

const example = () => data.examples[current];
const hides = () => blind && !revealed.has(current);
const label = (place) => hides()
  ? `Sound ${String.fromCharCode(65 + place)}`
  : example().sounds[orders[current][place]].name;

function shuffle(order) {
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
}

// Take up another sound at the position and in the state of the one before.
function listen(number, playing) {
  const from = player ? player.now : -data.before;
  if (player) {
    player.pause();
    if (player.context) player.context.close();
  }
  heard = number;
  player = new Player(example().sounds[number].ogg, -data.before, example().seconds);
  player.position = from;
  player.listeners.push(show);
  if (playing) start();
  show();
}

async function start() {
  try {
    await player.play();
    $("trouble").hidden = true;
  } catch (error) {
    $("trouble").hidden = false;
    $("trouble").textContent = `The sound cannot be played: ${error.message}`;
  }
}

function show() {
  $("play").textContent = player.playing ? "Pause" : "Play";
  $("time").textContent = `${clock(player.now)} / ${clock(example().seconds)}`;
  $("position").value = player.now;
  for (const button of $("sounds").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.number) === heard));
  }
}

function list() {
  const body = $("sounds").tBodies[0];
  body.replaceChildren();
  table(body, orders[current].map((number, place) => {
    const cell = element("td");
    const button = element("button", label(place));
    button.type = "button";
    button.dataset.number = number;
    button.addEventListener("click", () => listen(number, true));
    cell.append(button);
    if (!blind) return [cell];
    const best = element("td");
    const mark = element("label", "the best");
    const radio = element("input");
    Object.assign(radio, { type: "radio", name: "best", disabled: revealed.has(current) });
    radio.checked = chosen.get(current) === number;
    radio.addEventListener("change", () => { chosen.set(current, number); });
    mark.prepend(radio);
    best.append(mark);
    return [cell, best];
  }));
  $("test").hidden = !blind;
  $("reveal").disabled = revealed.has(current);
  const counts = new Map();
  for (const i of revealed) {
    if (!chosen.has(i)) continue;
    const { name } = data.examples[i].sounds[chosen.get(i)];
    counts.set(name, (counts.get(name) || 0) + 1);
  }
  const said = [...counts].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name}: ${n}`);
  $("choices").textContent = said.length ? `Chosen as best: ${said.join(" · ")}` : "";
}

function open(number) {
  current = number;
  $("position").min = -data.before;
  $("position").max = example().seconds;
  if (player) player.position = player.stopAt = player.start;
  list();
  listen(orders[current][0], false);
}

$("excerpt").addEventListener("change", (event) => open(Number(event.target.value)));
$("play").addEventListener("click", () => { if (player.playing) player.pause(); else start(); });
$("position").addEventListener("input", (event) => player.seek(Number(event.target.value)));
$("blind").addEventListener("click", () => {
  blind = !blind;
  $("blind").setAttribute("aria-pressed", String(blind));
  revealed.clear();
  chosen.clear();
  orders.forEach((order) => { if (blind) shuffle(order); else order.sort((a, b) => a - b); });
  open(current);
});
$("reveal").addEventListener("click", () => { revealed.add(current); list(); show(); });
if (data.examples.length) {
  open(0);
  setInterval(() => { if (player.playing) show(); }, 100);
}
