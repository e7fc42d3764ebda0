// The page of a run.

const data = readData();
$("title").textContent = `Run ${data.runId}`;
$("lede").textContent = `${data.model}, ${data.created} UTC, ${data.status}`;

function curve(name, given) {
  const found = data.curves[name];
  if (!found) return [];
  return [{ ...given, x: numbers(found.x, Float32Array), y: numbers(found.y, Float32Array) }];
}

const losses = [
  ...curve("loss", { name: "training", colour: "recorded", faint: false }),
  ...curve("val_loss", { name: "validation", colour: "predicted" }),
];
const lastStep = Math.max(1, ...losses.map((line) => line.x[line.x.length - 1] || 0));
const figures = Object.fromEntries(data.figures.map((figure) => [figure.name, figure]));
function level(value, given) {
  const known = value !== null && value !== undefined;
  return known ? [{ ...given, dashed: true, x: [0, lastStep], y: [value, value] }] : [];
}
const baseline = level(figures.val_loss?.var, { name: "linear baseline", colour: "matched" });
$("baseline-key").hidden = !baseline.length;
losses.push(...baseline);
new Chart($("loss"), 280, losses, "steps");
new Chart($("rate"), 140, curve("learning_rate", { name: "learning rate", colour: "wave" }), "steps");
$("loss-text").textContent = data.bestStep === null
  ? "Lower is better."
  : `Lower is better. The checkpoint of step ${data.bestStep} is used for prediction.`;
$("loss").setAttribute("aria-label", "training and validation loss over steps");
function cell(value, label) {
  const known = value !== null && value !== undefined;
  const found = element("td", known ? +value.toPrecision(6) : "", "number");
  if (known) found.dataset.label = label;
  return found;
}
table($("figures"), data.figures.map(({ name, value, real, var: linear, meaning }) => [
  element("th", name), cell(value, "this model"), cell(real, "real music"),
  cell(linear, "baseline"), element("td", meaning, "soft"),
]));

// One small chart for each measure of realism.
const others = ["val_loss", "val_beats"]; // shown above; a count
const measured = Object.keys(data.curves).filter((name) => name.startsWith("val_") && !others.includes(name));
$("realism").hidden = !measured.length;
for (const name of measured) {
  const figure = element("figure");
  const holder = element("div", "", "map");
  const canvas = element("canvas");
  const { real, var: linear, meaning = "" } = figures[name] || {};
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name} over steps: ${meaning}`);
  holder.append(canvas);
  figure.append(holder, element("figcaption", `${name}: ${meaning}`));
  $("curves").append(figure);
  new Chart(canvas, 150, [
    ...curve(name, { name, colour: "predicted" }),
    ...level(real, { name: "real music", colour: "recorded" }),
    ...level(linear, { name: "linear baseline", colour: "matched" }),
  ], "steps");
}
table($("settings"), data.settings.map(([name, value]) => [element("th", name), element("td", value)]));
for (const kind of ["training", "validation"]) {
  const n = data[kind].length;
  $(`${kind}-count`).textContent = `${n} ${kind} recording${n === 1 ? "" : "s"}`;
  for (const name of data[kind]) $(kind).append(element("li", name));
}

// Examples: one chart per recording, showing one descriptor at a time.
$("examples-text").textContent = data.examples.length
  ? "The model continues recordings from their middle, time 0. The lines of a good model move like the grey " +
    "line of the recording. They need not follow it."
  : "The descriptors of this run's recordings are not in the cache.";
const F = data.names.length;
data.names.forEach((name, i) => $("column").append(new Option(name, i)));
const charts = data.examples.map((example) => {
  const figure = element("figure");
  const canvas = element("canvas");
  const holder = element("div", "", "map");
  const part = example.isTraining ? "training" : "validation";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `continuations of ${example.source}`);
  holder.append(canvas);
  figure.append(element("figcaption", `${example.source} (${part} set)`), holder);
  $("examples").append(figure);
  const arrays = {
    before: numbers(example.before, Float32Array),
    real: numbers(example.real, Float32Array),
    drawn: example.drawn.map((drawn) => numbers(drawn, Float32Array)),
  };
  return { arrays, chart: new Chart(canvas, 200, [], "seconds") };
});
function line(values, column, first, given) {
  const n = values.length / F;
  const x = Float32Array.from({ length: n }, (_, i) => (first(n) + i) / data.frameRate);
  return { ...given, x, y: values.subarray(column * n, (column + 1) * n) };
}
function showColumn() {
  const column = Number($("column").value);
  for (const { arrays, chart } of charts) {
    chart.lines = [
      ...arrays.drawn.map((drawn, i) => line(drawn, column, () => 0,
        { name: `continuation ${i + 1}`, colour: "predicted", faint: i > 0 })),
      line(arrays.before, column, (n) => -n, { name: "recording", colour: "recorded" }),
      line(arrays.real, column, () => 0, { name: "recording", colour: "recorded" }),
    ];
  }
  redrawAll();
}
$("column").addEventListener("change", showColumn);
showColumn();
