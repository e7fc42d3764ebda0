// Runs, and the training in progress: curve, time left, samples.

const chart = new Chart($("curve"), 200, [], "steps");
let curvesOf = "", runsKey = "";

function ago(left) {
  if (left === null || left === undefined) return "";
  return left < 90 ? `about ${Math.ceil(left)} s left` : `about ${Math.round(left / 60)} min left`;
}

function trainingText(training) {
  const steps = training.total_steps ? `step ${training.step} of ${training.total_steps}` : "";
  if (training.state === "starting") return `Preparing: ${training.line || "starting"}`;
  if (training.state === "running") return [`Training run ${training.run_id}`, steps, ago(training.left_s)].filter(Boolean).join(", ");
  if (training.state === "failed") return `The training failed: ${training.line}`;
  if (training.state === "ended" && !training.run_id) return "Stopped before the first step.";
  if (training.state === "ended") return `Run ${training.run_id}: ${training.status} at ${steps}.`;
  return "";
}

async function showTraining(training) {
  const busy = training.state === "starting" || training.state === "running";
  $("training-text").textContent = trainingText(training);
  $("training-text").dataset.state = training.state;
  $("train").disabled = busy || !state.choices.recordings;
  $("stop").hidden = !busy;
  $("progress").hidden = !busy;
  if (training.total_steps) $("progress").value = training.step / training.total_steps;
  else $("progress").removeAttribute("value");
  const key = `${training.state} ${training.run_id} ${training.status}`;
  if (key !== runsKey) {
    const ended = runsKey.startsWith("running") && !busy;
    runsKey = key;
    await showRuns(ended ? training.run_id : "");
  }
  const shown = training.run_id || $("run").value;
  const step = `${shown} ${training.state} ${training.step}`;
  if (shown && step !== curvesOf) {
    curvesOf = step;
    await showCurves(shown);
  }
}

async function showRuns(use = "") {
  const runs = await get("runs");
  const usable = runs.filter((run) => run.state !== "running" && run.steps > 0);
  options($("run"), usable.map((run) => [
    `${run.name || run.run_id} · ${run.model} · ${run.recordings || `${run.n_files} files`} · ${run.created}` +
    ` · ${run.steps} steps${run.state === "finished" ? "" : ` · ${run.state}`}`, run.run_id,
  ]), use || state.choices.run_id);
  $("run").disabled = !usable.length;
  $("no-run").hidden = usable.length > 0;
  if ($("run").value !== state.choices.run_id) await chooseRun();
  const chosen = usable.find((run) => run.run_id === $("run").value);
  $("resume").hidden = !chosen || chosen.state === "finished";
}
const chooseRun = () => ($("run").value ? post("choose", { run_id: $("run").value }) : null);
on("run", "change", async () => {
  await chooseRun();
  await showRuns($("run").value);
  await showCurves($("run").value);
});

async function showCurves(run_id) {
  const found = await get("curves", { run_id });
  const line = (name, given) => (found.curves[name] ? [{
    ...given, x: numbers(found.curves[name].x, Float32Array), y: numbers(found.curves[name].y, Float32Array),
  }] : []);
  chart.lines = [
    ...line("loss", { name: "training", colour: "recorded", faint: true }),
    ...line("val_loss", { name: "validation", colour: "predicted" }),
  ];
  $("curve-box").hidden = !chart.lines.length;
  $("curve").setAttribute("aria-label", `loss of run ${run_id}, lower is better`);
  $("samples").replaceChildren(...found.samples.map((name) => button(
    `▶ ${name.replace(".wav", "").replaceAll("_", " ")}`, () => hear(address("sample", { run_id, name })),
  )));
  $("samples-box").hidden = !found.samples.length;
  redrawAll();
}

on("train", "click", () => {
  const settings = { sample_every_epochs: 5, name: $("run-name").value.trim() };
  const minutes = Number($("minutes").value);
  if (minutes > 0) settings.max_time_s = 60 * minutes;
  return post("train", settings);
});
on("stop", "click", () => post("stop"));
on("resume", "click", () => post("resume", { run_id: $("run").value }));
