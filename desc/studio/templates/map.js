// The page of the map.

const LISTED = 200;

$("title").textContent = data.root.split(/[\\/]/).pop() || data.root;
$("lede").textContent =
  `${data.root}: ${data.n} of ${data.nRows} frames from ${data.files.length} files, by the first two ` +
  `principal components of their descriptors (${(100 * data.share).toFixed(0)} % of the variance)`;

canvas.ariaLabel += ", Enter plays the sound in the middle";
const ready = search;
const press = (i) => hear(i);
const pointAt = (i) => { if ($("pointing").checked) hear(i); };
const encircled = () => showChosen();
function drawMarks(context) {
  if (marked < 0) return;
  context.strokeStyle = colour("head");
  context.lineWidth = 2.5;
  context.beginPath();
  context.arc(...cloud.place(marked), 8, 0, 7);
  context.stroke();
}

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

// Selected files as patterns for --include.
let chosenFiles = [];
const quoted = (text) => `'${text.replaceAll("'", `'"'"'`)}'`;
function showChosen() {
  const within = countInside(), n = within.reduce((sum, count) => sum + count, 0);
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
    ? `--include ${files.map((i) => quoted(data.files[i])).join(" ")}` : "";
  chosenFiles = files;
  $("copy").disabled = $("use").disabled = !files.length;
  $("moments").disabled = !n;
  $("forget").disabled = !n;
}
$("least").addEventListener("input", () => { if (cloud) showChosen(); });
$("forget").addEventListener("click", () => {
  clearLasso();
  showChosen();
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
  try {
    await post(`../${path}`, body);
    location.href = "../";
  } catch (error) { $("sent").textContent = error.message; }
}
$("use").addEventListener("click", () => send("choose", { include: chosenFiles.map((i) => data.files[i]) }));
$("moments").addEventListener("click", () => {
  const bits = new Uint8Array(Math.ceil(cloud.n / 8));
  for (let i = 0; i < cloud.n; i++) if (inside[i]) bits[i >> 3] |= 128 >> (i & 7);
  let text = "";
  for (const byte of bits) text += String.fromCharCode(byte);
  $("sent").textContent = "Writing the moments …";
  send("moments", { selected: btoa(text) });
});
