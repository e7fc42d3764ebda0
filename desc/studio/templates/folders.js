// Folders of recordings and sounds: chosen in a dialog, or made of dropped files.

const KINDS = { recordings: "recordings to continue", sounds: "sounds to build from" };
let asked = "recordings", place = "";
const listed = {};

async function look(path) {
  const found = await get("folders", { path });
  place = found.path;
  $("place").value = place;
  const names = found.folders.map((name) => button(name, () => look(`${place}/${name}`)));
  if (found.above) names.unshift(button("↑ folder above", () => look(found.above)));
  $("subfolders").replaceChildren(...names.map((one) => {
    const item = element("li");
    item.append(one);
    return item;
  }));
  $("here").textContent = `${found.n_files} audio file${found.n_files === 1 ? "" : "s"} directly here`;
}

function openDialog(kind) {
  asked = kind;
  $("dialog-title").textContent = `Folder of ${KINDS[kind]}`;
  $("dialog").showModal();
  return look(state.choices[kind] || "");
}

// Open the folder that is written in the dialog; an error is shown there, and returned as false.
async function lookAtWritten() {
  try { await look($("place").value); } catch (error) {
    $("here").textContent = error.message;
    return false;
  }
  return true;
}

on("look", "click", lookAtWritten);
$("place").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  lookAtWritten();
});
on("use", "click", async () => {
  if ($("place").value !== place && !await lookAtWritten()) return;
  await post("choose", { [asked]: place });
  $("dialog").close();
});
$("close").addEventListener("click", () => $("dialog").close());

async function upload(kind, files) {
  try {
    for (const file of files) {
      $(`${kind}-text`).textContent = `Copying ${file.name} …`;
      if (!file.size) throw new Error(`${file.name} is empty or a folder; the button chooses folders.`);
      const path = address("upload", { kind, name: file.name });
      await checked(await fetch(path, { method: "POST", body: file }));
    }
  } finally {
    listed[kind] = "";
    await showFolders();
  }
}

for (const kind of Object.keys(KINDS)) {
  const box = $(`${kind}-box`);
  on(`${kind}-choose`, "click", () => openDialog(kind));
  on(`${kind}-files`, "change", () => upload(kind, $(`${kind}-files`).files));
  box.addEventListener("dragover", (event) => { event.preventDefault(); box.classList.add("over"); });
  box.addEventListener("dragleave", () => box.classList.remove("over"));
  box.addEventListener("drop", (event) => {
    event.preventDefault();
    box.classList.remove("over");
    act(upload)(kind, event.dataTransfer.files);
  });
}
on("demo", "click", () => post("demo"));

// What is in the chosen folders; the recordings go into their menu.
async function showFolders() {
  for (const kind of Object.keys(KINDS)) {
    const folder = state.choices[kind], key = folder + state.choices.include.join();
    if (listed[kind] === key) continue;
    listed[kind] = key;
    if (!folder) { $(`${kind}-text`).textContent = "No folder yet."; continue; }
    const found = await get("listing", { kind });
    const total = found.files.reduce((sum, file) => sum + file.seconds, 0);
    const n = found.files.length;
    $(`${kind}-text`).textContent = `${folder}: ${n} file${n === 1 ? "" : "s"}, ${clock(total)}` +
      (found.bad.length ? `; ${found.bad.length} cannot be read (${found.bad[0]})` : "");
    if (kind === "recordings") showRecordings(found.files);
    else showPatterns();
  }
}

function showPatterns() {
  const chosen = state.choices.include.length;
  $("include-row").hidden = !chosen;
  $("include-text").textContent = `Only the ${chosen} file${chosen === 1 ? "" : "s"} selected on the map are used.`;
}
on("include-forget", "click", () => post("choose", { include: [] }));
