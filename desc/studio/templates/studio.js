// The studio: what the server tells, shown.

const state = { choices: { recordings: "", sounds: "", include: [], run_id: "", recording: "" } };
let finished = null; // jobs that have ended, when last looked at

async function update(status) {
  const before = JSON.stringify(state.choices);
  state.choices = status.choices;
  const hasFolders = Boolean(state.choices.recordings && state.choices.sounds);
  $("continue").disabled = !(hasFolders && state.choices.run_id && $("recording").value);
  $("open-map").disabled = !state.choices.sounds;
  showJobs(status.jobs);
  await showFolders();
  if (before !== JSON.stringify(state.choices)) showPatterns();
  await showTraining(status.training);
  showLive(status.live);
  const ended = status.jobs.filter((job) => job.state === "done");
  const news = finished === null ? [] : ended.filter((job) => !finished.has(job.number));
  finished = new Set(ended.map((job) => job.number));
  for (const job of news) {
    if (job.kind === "demo") await post("choose", job.result);
    if (job.kind === "continue" && job.result.status === "kept") {
      complain(new Error(`Take ${job.result.number} already has these settings; another seed makes another take.`));
    }
    if (job.kind === "open" && mapWanted) await openMap();
  }
  if (news.some((job) => job.kind === "continue" || job.kind === "render")) await showTakes();
  $("continue").disabled = !(hasFolders && state.choices.run_id && $("recording").value);
  document.body.dataset.ready = "yes";
}

// One event after the other; of those that wait only the last counts.
let working = false, waitingStatus = null;
async function take(status) {
  waitingStatus = status;
  if (working) return;
  working = true;
  while (waitingStatus) {
    const next = waitingStatus;
    waitingStatus = null;
    try { await update(next); } catch (error) { complain(error); }
  }
  working = false;
}
const events = new EventSource("events");
events.onmessage = (event) => take(JSON.parse(event.data));
events.onerror = () => complain(new Error("Failed to fetch"));
events.onopen = forgive;

// The stream that plays, a process with a page of its own.
function showLive(live) {
  const busy = ["starting", "playing", "ending"].includes(live.state);
  $("play-live").disabled = busy || !(state.choices.sounds && state.choices.run_id);
  $("end-live").hidden = !busy;
  $("end-live").disabled = live.state === "ending";
  $("live-page").hidden = live.state !== "playing";
  if (live.url) $("live-page").href = live.url;
  $("live-text").textContent = {
    starting: `starting: ${live.line}`, playing: "It plays.", ending: "It ends; what was played is being written.", kept: `Kept in ${live.folder}`, failed: live.line,
  }[live.state] || "";
  $("live-text").dataset.state = live.state;
}
on("play-live", "click", () => post("play"));
on("end-live", "click", () => {
  $("end-live").disabled = true;
  return post("end");
});

let mapWanted = false;
async function openMap() {
  mapWanted = true;
  const { ready } = await post("map");
  $("map-text").textContent = ready ? "" : "The map opens when the sounds are extracted.";
  if (ready) location.href = "map/";
}
on("open-map", "click", openMap);
$("folder").textContent = data.folder;
redrawAll();
