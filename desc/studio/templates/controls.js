// Settings of the next take, as sliders and choices.

let base = null; // settings of the take that is made again, if one is
const touched = new Set(); // names of the settings changed since

function changed(name) { touched.add(name); }

const rows = data.controls.map((control) => (control.choices
  ? choice(control.name, control.label, control.choices.map((name) => [name, name]), control.help, control.words)
  : slider(control)));
rows.splice(3, 0, choice("style", "style", Object.keys(data.styles).map((name) => [name, name]), "", data.styleWords));
rows.push(choice("speeds", "speeds", Object.entries(data.speeds)));
$("controls").append(...rows);
const defaults = Object.fromEntries(data.controls.map((control) => [control.name, control.value]));
function setAll(values) {
  for (const [name, value] of Object.entries(values)) if (name in settingOf) settingOf[name].set(value);
}
function forgetBase() {
  base = null;
  touched.clear();
  $("again").hidden = true;
}
function startAnew() {
  forgetBase();
  setAll({ ...defaults, style: "phrases", speeds: [] });
}
startAnew();
$("set-style").addEventListener("change", () => {
  const style = data.styles[settingOf.style.get()];
  settingOf.continuity.set("continuity" in style ? style.continuity : defaults.continuity);
  touched.add("continuity");
});

// The style of a take's settings, and all settings that a style may set.
const styled = [...new Set(Object.values(data.styles).flatMap(Object.keys))];
const styleOf = (values) => Object.keys(data.styles).find((name) => Object.keys(data.styles[name]).length &&
  Object.entries(data.styles[name]).every(([key, value]) => values[key] === value)) || "phrases";

// Settings to send: all that the page shows, or those of a take with what was changed.
function settings() {
  const found = { ...base };
  if (touched.has("style")) for (const name of styled) delete found[name];
  for (const name of Object.keys(settingOf)) {
    if (base === null || touched.has(name)) found[name] = settingOf[name].get();
  }
  if ("duration_s" in found) delete found.prediction_length;
  if (base === null || touched.has("from_s")) {
    delete found.from_s;
    if (point !== null) found.from_s = point;
  }
  return found;
}

// Take the settings of a take into the form.
function again(take) {
  base = take.settings;
  setAll({ ...base, style: styleOf(base), duration_s: Math.round(take.continued_s) });
  touched.clear();
  point = base.from_s ?? null;
  showPoint();
  $("again").hidden = false;
  $("again-text").textContent = `The settings are those of take ${take.number}. Change what should differ.`;
  $("controls").scrollIntoView({ block: "center" });
  $("set-seed").focus();
}
on("again-forget", "click", startAnew);
on("continue", "click", () => post("continue", { recording: $("recording").value, settings: settings() }));

// Jobs that wait or run, and the last line of one that failed.
const STAGES = { extract: "extracting descriptors", identify: "checking the sounds", predict: "predicting", rendering: "rendering", compose: "making the demo sounds" };
const KIND = { continue: "Take", demo: "Demo sounds", open: "Map", render: "Edited take" };
let toldFailure = null; // number of the last failure that was told
function showJobs(jobs) {
  if (toldFailure === null) toldFailure = Math.max(0, ...jobs.filter((job) => job.state === "done").map((job) => job.number));
  const busy = jobs.filter((job) => job.state === "waiting" || job.state === "running");
  $("jobs").replaceChildren(...busy.filter((job) => job.kind !== "render").map((job) => {
    const item = element("li", "", "row");
    const stage = STAGES[job.stage] || job.stage || "starting";
    const words = job.state === "waiting" ? "waits" : `${stage}${job.total ? ` ${Math.round(100 * job.done / job.total)} %` : ""}`;
    item.append(element("span", `${KIND[job.kind]}: ${words}`), button("Cancel", () => post("cancel", { number: job.number })));
    return item;
  }));
  const failed = jobs.filter((job) => job.state === "failed").pop();
  if (failed && failed.number > toldFailure) {
    toldFailure = failed.number;
    complain(new Error(failed.result));
  }
}
