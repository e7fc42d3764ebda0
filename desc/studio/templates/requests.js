// Requests to the studio's server, and the line that shows what went wrong.

const data = readData();

const address = (path, query = {}) => {
  const words = new URLSearchParams(query).toString();
  return words ? `${path}?${words}` : path;
};

async function checked(response) {
  if (response.ok) return response;
  const found = await response.json().catch(() => ({ error: `${response.status} ${response.statusText}` }));
  throw new Error(found.error);
}

const get = async (path, query) => (await checked(await fetch(address(path, query)))).json();

async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return (await checked(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }))).json();
}

function complain(error) {
  $("problem").textContent = error.message === "Failed to fetch"
    ? `There is no answer. Start it again with ${data.command}.` : error.message || String(error);
  $("problem").hidden = false;
}

function forgive() { $("problem").hidden = true; }

// A handler whose failure appears on the page.
const act = (what) => async (...given) => {
  forgive();
  try { return await what(...given); } catch (error) { complain(error); return null; }
};

const on = (id, event, what) => $(id).addEventListener(event, act(what));

function button(text, what, name = "") {
  const made = element("button", text, name);
  made.type = "button";
  made.addEventListener("click", act(what));
  return made;
}

function options(select, pairs, value) {
  select.replaceChildren(...pairs.map(([text, key]) => new Option(text, key)));
  if (pairs.some(([, key]) => key === value)) select.value = value;
}

const seconds = (x) => `${x.toFixed(1)} s`;
