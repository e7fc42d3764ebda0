// The recording's waveform, and the point from which it is continued.

const recording = new Sound();
let picture = null, point = null; // point: seconds, null: the end of the music
const wave = new Timeline($("point-stack"), recording);
wave.head.remove(); // the point is the mark here

function showRecordings(files) {
  options($("recording"), files.map((file) => [`${file.source} (${clock(file.seconds)})`, file.source]), state.choices.recording);
  $("recording").disabled = !files.length;
  return loadRecording();
}

async function loadRecording() {
  const source = $("recording").value;
  if (source !== state.choices.recording) await post("choose", { recording: source });
  picture = null;
  point = null;
  forgetBase();
  if (source) {
    const found = await get("waveform", { recording: source });
    if ($("recording").value !== source) return; // another one was chosen meanwhile
    picture = { envelope: found.envelope, start: 0, end: found.seconds, musicEnd: found.music_end };
    recording.position = 0;
    recording.use("", found.seconds);
    wave.low = 0;
    wave.high = found.seconds;
    picture.draw = drawWave(wave, picture);
  }
  showPoint();
  await showTakes();
}
on("recording", "change", loadRecording);

function setPoint(time) {
  point = time === null ? null : Math.round(clamp(time, 0.5, picture.end) * 100) / 100;
  touched.add("from_s");
  showPoint();
}

const marked = () => (point === null ? picture.musicEnd : point);

function showPoint() {
  $("point-text").textContent = point === null
    ? "Continues from the end of the music." : `Continues from ${clock(point)}.`;
  $("point").setAttribute("aria-valuenow", picture ? marked() : 0);
  $("point").setAttribute("aria-valuetext", $("point-text").textContent);
  if (picture) $("point").setAttribute("aria-valuemax", picture.end.toFixed(2));
  redrawAll();
}

wave.addLane($("point"), () => 110, (context, width, height) => {
  if (!picture) return;
  picture.draw(context, width, height);
  const x = wave.x(marked());
  context.globalAlpha = 0.72;
  context.fillStyle = colour("back");
  context.fillRect(x, 0, width - x, height);
  context.globalAlpha = 1;
  context.fillStyle = colour("accent");
  context.fillRect(clamp(x - 1.5, 0, width - 3), 0, 3, height);
}, { tell: (time) => (picture ? clock(time) : ""), click: (time) => { if (picture) setPoint(time); } });
wave.addLane($("point-ruler"), () => 20, (...given) => { if (picture) wave.drawRuler(...given); },
  { tell: () => "", click: (time) => { if (picture) setPoint(time); } });

$("point").addEventListener("keydown", (event) => {
  if (!picture) return;
  const now = marked();
  const moves = { ArrowLeft: -0.5, ArrowRight: 0.5, ArrowDown: -0.5, ArrowUp: 0.5, PageDown: -5, PageUp: 5 };
  if (event.key in moves) setPoint(now + moves[event.key]);
  else if (event.key === "Home") setPoint(0.5);
  else if (event.key === "End") setPoint(null);
  else if (event.key === "Enter") act(hearPoint)();
  else return;
  event.preventDefault();
});
on("point-end", "click", () => setPoint(null));

// The five seconds before the point.
async function hearPoint() {
  if (!picture) return;
  const end = marked(), start = Math.max(0, end - 5);
  await hear(address("excerpt", { recording: $("recording").value, start, seconds: end - start }));
}
on("point-hear", "click", hearPoint);
