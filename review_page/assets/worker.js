// The page around a task: fetches the next task, shows it in a sandboxed frame, sends the answer, goes on by itself.
"use strict";

const POLL_MS = 3000;
const csrf = document.querySelector('meta[name="csrf-token"]').content;
const at = (id) => document.getElementById(id);
let current = null;
let frame = null;
let busy = false;

const say = (text) => { at("status").textContent = text; };

const problem = (text) => {
  at("problem").hidden = !text;
  at("problem").textContent = text;
};

async function request(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer: is it still running? This page tries again by itself.");
  }
  const answer = await response.json();
  if (response.status === 401) location.assign("/worker");
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

function showCounts(state) {
  const total = state.answered + state.waiting;
  at("counts").textContent = `${state.answered} answered, ${state.waiting} to go${state.skipped ? `, ${state.skipped} skipped` : ""}`;
  at("position").textContent = `Task ${state.answered + 1} of ${total}`;
  at("done-count").textContent = state.answered ? `${state.answered} answered: thank you.` : "";
  at("progress").setAttribute("aria-valuemax", String(total));
  at("progress").setAttribute("aria-valuenow", String(state.answered));
  at("progress-fill").style.transform = `scaleX(${total ? state.answered / total : 0})`;
}

function show(state) {
  showCounts(state);
  at("task").hidden = state.task === null;
  at("nothing").hidden = state.task !== null;
  at("show-skipped").hidden = state.skipped === 0;
  at("show-skipped").textContent = state.skipped === 1 ? "Show the task that you skipped" : `Show the ${state.skipped} tasks that you skipped`;
  if (state.task === null) {
    if (current !== null) say("Nothing left to review.");
    current = frame = null;
    at("frame").replaceChildren();
    return;
  }
  if (state.task.id === current) return;
  current = state.task.id;
  at("task-title").textContent = state.task.title;
  at("task-description").textContent = state.task.description;
  // A new element a task: no history entry, and nothing of the last task stays.
  frame = document.createElement("iframe");
  frame.title = `Task: ${state.task.title}`;
  frame.setAttribute("sandbox", "allow-scripts");
  frame.src = `/worker/tasks/${current}`;
  at("frame").replaceChildren(frame);
}

async function act(work) {
  if (busy) return;
  busy = true;
  try {
    problem("");
    show(await work());
  } catch (error) {
    problem(error.message);
    current = null;
    try { show(await request("/worker/next")); } catch { say("The next task could not be loaded."); }
  } finally {
    busy = false;
  }
}

const next = (skipped = false) => act(() => request(skipped ? "/worker/next?skipped=1" : "/worker/next"));
const skip = () => { if (current) act(() => request("/worker/skips", { task: current, reason: "other" })); };
const submit = (answer) => { if (current) act(() => request("/worker/answers", { task: current, answer })); };

// With a search, letters are for it, so skipping needs Alt.
function showKeys({ categories, search, keys }) {
  frame.dataset.search = String(search);
  at("to-last-key").hidden = categories.length < 2;
  at("last-key").textContent = String(Math.min(categories.length, 9));
  at("keys-hint").hidden = !keys;
  at("search-hint").hidden = !search;
  at("skip").setAttribute("aria-keyshortcuts", search ? "Alt+S" : "S");
  for (const key of document.querySelectorAll(".skip-key")) key.textContent = search ? "Alt+S" : "S";
}

window.addEventListener("message", (event) => {
  if (!frame || event.source !== frame.contentWindow) return;
  const message = event.data;
  if (message.type === "height" && Number.isFinite(message.height)) frame.style.height = `${message.height}px`;
  else if (message.type === "ready") {
    frame.dataset.ready = "true";
    frame.focus();
    showKeys(message);
    const listed = message.categories.map((name, index) => `${index + 1} ${name}`).join(", ");
    const choice = message.search ? `${message.categories.length} labels: type to search.` : `Categories: ${listed}.`;
    say(`${at("position").textContent}. ${at("counts").textContent}. ${choice}`);
  } else if (message.type === "say") say(String(message.text));
  else if (message.type === "submit") submit(message.answer);
  else if (message.type === "skip") skip();
});

// Keys work wherever the focus is, except on this page's own controls.
document.addEventListener("keydown", (event) => {
  if (!frame || event.isComposing) return;
  if (event.altKey && !event.ctrlKey && !event.metaKey && event.code === "KeyS") {
    event.preventDefault();
    skip();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if ((event.key === "Enter" || event.key === " ") && event.target.closest("button, a, input")) return;
  const searched = frame.dataset.search === "true" && /^(.|Backspace|ArrowUp|ArrowDown)$/u.test(event.key);
  if (searched || /^([1-9]|Enter|Escape|s|S)$/.test(event.key)) {
    event.preventDefault();
    frame.contentWindow.postMessage({ type: "key", key: event.key }, "*");
  }
});

at("skip").addEventListener("click", skip);
at("show-skipped").addEventListener("click", () => next(true));
setInterval(() => { if (current === null && !document.hidden) next(); }, POLL_MS);
next();
