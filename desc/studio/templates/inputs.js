// Sliders and choices for settings. A page with them has `changed`, which is called with a name.

const settingOf = {}; // name → { get, set }
const UNITS = { seconds: " s", dB: " dB" };

// A value of null is the default of a setting that has no number of its own.
function slider(control) {
  const row = element("div", "", "control");
  const input = element("input");
  Object.assign(input, { type: "range", id: `set-${control.name}`, min: control.low, max: control.high, step: control.step });
  const shown = element("output");
  const title = element("label", control.label);
  title.htmlFor = input.id;
  const head = element("div", "", "row");
  head.append(title, shown);
  const ends = element("div", "", "ends soft");
  ends.append(element("span", control.ends[0]), element("span", control.ends[1]));
  row.append(head, input, ends);
  row.title = control.help;
  let value = null;
  const set = (given) => {
    value = given;
    input.value = given ?? control.low;
    input.classList.toggle("unset", given === null);
    shown.textContent = given === null ? "default" : `${Math.round(100 * given) / 100}${UNITS[control.unit] || ""}`;
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => { set(Number(input.value)); changed(control.name); });
  settingOf[control.name] = { get: () => value, set };
  return row;
}

// Pairs of a text and a value; words are said below, by the text.
function choice(name, text, pairs, help = "", words = {}) {
  const row = element("div", "", "control");
  const select = element("select");
  select.id = `set-${name}`;
  const title = element("label", text);
  title.htmlFor = select.id;
  options(select, pairs.map(([shown], i) => [shown, String(i)]));
  const said = element("div", "", "ends soft");
  const say = () => { said.textContent = words[pairs[Number(select.value)][0]] || ""; };
  say();
  row.append(title, select, said);
  row.title = help;
  select.addEventListener("change", () => { say(); changed(name); });
  settingOf[name] = {
    get: () => pairs[Number(select.value)][1],
    set: (value) => {
      const same = pairs.findIndex((pair) => JSON.stringify(pair[1]) === JSON.stringify(value));
      if (same >= 0) select.value = String(same);
      say();
    },
  };
  return row;
}
