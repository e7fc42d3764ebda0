// Takes: heard side by side at one loudness, starred, compared, made again or longer.

const player = new Sound();
const SILENT_LUFS = -60; // softer takes do not count
let takes = [], differing = {}, chosen = null, before = null; // before: the take heard before
const takeKey = (number) => ({ recording: $("recording").value, number });
const takeOf = (number) => takes.find((take) => take.number === number);

// Every take is as loud as the softest one, so that none clips.
function gainOf(take) {
  if (!$("match").checked) return 1;
  const softest = Math.min(...takes.map((one) => one.lufs).filter((lufs) => lufs > SILENT_LUFS));
  return Math.min(1, 10 ** ((softest - take.lufs) / 20));
}
const soundOf = (take) => address("sound", { ...takeKey(take.number), v: take.sound_version });

async function showTakes() {
  if (!$("recording").value) { takes = []; chosen = null; drawTakes(); return; }
  const found = await get("takes", { recording: $("recording").value });
  const known = takes.map((take) => take.number);
  takes = found.takes;
  differing = found.differing;
  const added = takes.filter((take) => !known.includes(take.number));
  if (chosen !== null && !takeOf(chosen)) chosen = null;
  if (!takeOf(before)) before = null;
  if (takes.length && (chosen === null || (known.length && added.length))) {
    before = chosen;
    chosen = takes[takes.length - 1].number;
  }
  drawTakes();
  await showTake();
}

const sayValue = (value) => (value === null || value === undefined ? "none"
  : typeof value === "number" ? String(Number.isInteger(value) ? value : +value.toPrecision(4)) : Array.isArray(value) ? value.join(" ") || "none" : String(value));
function differenceOf(take) {
  const at = takes.indexOf(take);
  return Object.entries(differing).filter(([name]) => !name.endsWith("_digest"))
    .map(([name, values]) => `${name} ${sayValue(values[at])}`).join(" · ");
}

function takeRow(take) {
  const item = element("li", "", "take");
  const head = element("div", "", "row");
  const pick = button(`Take ${take.number}`, () => choose(take.number), "pick");
  pick.setAttribute("aria-pressed", String(take.number === chosen));
  const star = button(take.starred ? "★" : "☆", async () => {
    await post("mark", { ...takeKey(take.number), starred: !take.starred });
    await showTakes();
  }, "star");
  star.setAttribute("aria-label", `star take ${take.number}`);
  star.setAttribute("aria-pressed", String(take.starred));
  const words = `${seconds(take.seconds)}, ${take.n_units} unit${take.n_units === 1 ? "" : "s"} of ` +
    `${take.n_files} file${take.n_files === 1 ? "" : "s"}, ${seconds(take.unit_s)} each on average` +
    (take.n_edits ? `, ${take.n_edits} edit${take.n_edits === 1 ? "" : "s"}` : "");
  head.append(pick, star, element("span", words, "figures"));
  const tools = element("div", "", "row"), report = element("a", "Report");
  report.href = address("report", takeKey(take.number));
  report.target = "_blank";
  const remove = button("Delete", async () => {
    if (!window.confirm(`Delete take ${take.number}? Its files are removed.`)) return;
    await post("delete", takeKey(take.number));
    await showTakes();
  });
  tools.append(
    button("Again with …", () => again(take)),
    button(`Longer (${Math.round(2 * take.continued_s)} s)`, () => post("continue", { ...takeKey(take.number), longer: 2 })),
    remove, report,
  );
  item.append(head, element("p", differenceOf(take), "soft"), tools);
  item.dataset.number = take.number;
  return item;
}

function drawTakes() {
  $("takes").replaceChildren(...[...takes].reverse().map(takeRow));
  $("no-takes").hidden = takes.length > 0;
  $("take-player").hidden = !takes.length;
  $("ab").disabled = before === null;
  $("ab").textContent = before === null ? "A/B" : `A/B: take ${before}`;
}

async function choose(number) {
  const was = player.playing;
  if (number !== chosen) before = chosen;
  chosen = number;
  drawTakes();
  await showTake();
  if (was) await player.play(player.now);
}

// A/B goes back and forth between the two takes heard last, at the same place.
const toggle = act(async () => (player.playing ? player.pause() : player.play()));
on("play", "click", toggle);
const step = (by) => {
  const at = takes.findIndex((take) => take.number === chosen);
  const next = takes[clamp(at + by, 0, takes.length - 1)];
  return next && next.number !== chosen ? choose(next.number) : null;
};
on("previous", "click", () => step(-1));
on("next", "click", () => step(1));
const flip = () => (before === null ? null : choose(before));
on("ab", "click", flip);
on("transition", "click", () => {
  player.pause();
  return hear(address("transition", { ...takeKey(chosen), v: takeOf(chosen).sound_version }));
});
on("match", "change", () => showTake());
on("export", "click", () => {
  const link = element("a");
  link.href = address("export", { ...takeKey(chosen), format: $("format").value });
  return fetch(link.href).then(checked).then(async (response) => {
    const named = /filename\*=UTF-8''(.*)/.exec(response.headers.get("Content-Disposition"));
    const blob = URL.createObjectURL(await response.blob());
    link.href = blob;
    link.download = decodeURIComponent(named[1]);
    link.click();
    $("exported").textContent = `Saved ${link.download}.`;
    setTimeout(() => URL.revokeObjectURL(blob), 60000);
  });
});
options($("format"), data.formats.map(([name, title]) => [title, name]));
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
  if (event.target.closest("input, select, textarea, summary, button, a")) return;
  if (event.key === " ") toggle();
  else if (event.key === "b") act(flip)();
  else if (event.key === "n") act(step)(1);
  else if (event.key === "p") act(step)(-1);
  else return;
  event.preventDefault();
});
