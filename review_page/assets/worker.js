// The page around a task: shows it in a sandboxed frame, loads the next one meanwhile, sends the answer, goes on by itself.
// What is chosen is kept in this tab until its answer has arrived: through a reload, and while there is no network.
"use strict";

const POLL_MS = 3000;
// A frame that says nothing after this time is loaded again; sooner if the browser has ended its loading, as it does where there is no network.
const SILENT_MS = 20_000;
// Of a frame, in pixels; of what a frame has the page say, in characters.
const MOST_HEIGHT = 100_000;
const MOST_SAID = 2000;
const user = document.querySelector('meta[name="user"]').content;
let state = null;
let current = null;
let ahead = null;
let busy = false;

// -- what is kept in this tab, and on this machine ----------------------------------------------------

const kept = {
  read(store, name) {
    try {
      const found = JSON.parse(store.getItem(name));
      return found?.user === user ? found.value : null;
    } catch {
      return null;
    }
  },
  write(store, name, value) {
    try {
      if (value === null) store.removeItem(name);
      else store.setItem(name, JSON.stringify({ user, value }));
    } catch { /* Without storage nothing is kept; the page works all the same. */ }
  },
};
const draft = { get: () => kept.read(sessionStorage, "draft"), set: (value) => kept.write(sessionStorage, "draft", value) };
const pending = { get: () => kept.read(sessionStorage, "pending"), set: (value) => kept.write(sessionStorage, "pending", value) };
let keys = keysOf(kept.read(localStorage, "keys"));

// -- the frames: the task in work, and the one ahead ---------------------------------------------------

class TaskFrame {
  constructor(task) {
    this.task = task;
    this.ready = null;
    this.element = document.createElement("iframe");
    this.element.title = `Task: ${task.title}`;
    this.element.setAttribute("sandbox", "allow-scripts");
    this.element.addEventListener("load", () => { this.silentFrom = Date.now() + POLL_MS; });
    this.load();
  }

  load() {
    this.silentFrom = Date.now() + SILENT_MS;
    this.element.src = `/worker/tasks/${this.task.id}`;
  }

  // What the network has kept from loading would stay empty for good.
  loadIfSilent() {
    if (this.ready || Date.now() < this.silentFrom) return;
    if (this === current) problem("The task could not be loaded. It is loaded again by itself.", true);
    this.load();
  }

  post(message) {
    this.element.contentWindow?.postMessage(message, "*");
  }

  start() {
    const own = draft.get();
    const answer = own?.task === this.task.id ? own.answer : this.task.earlier;
    this.post({ type: "start", answer, suggestion: this.task.suggestion, keys, height: innerHeight });
    this.element.dataset.ready = "true";
    if (!document.querySelector("dialog[open]")) this.element.focus();
    showHints(this.ready);
    const listed = this.ready.categories.map((name, index) => `${index + 1} ${name}`).join(", ");
    const choice = this.ready.search ? `${this.ready.categories.length} labels: type to search.` : listed ? `Labels: ${listed}.` : "";
    say(`${at("position").textContent}. ${at("counts").textContent}. ${this.ready.text ? `Text: ${this.ready.text.slice(0, 2000)}. ` : ""}${choice}`);
    loadAhead();
  }
}

async function loadAhead() {
  if (!current || ahead || state.ahead === null) return;
  try {
    holdAhead((await request("/worker/ahead")).task);
  } catch { /* It is loaded when its turn comes. */ }
}

function holdAhead(task) {
  if (!task || ahead || !current || task.id === current.task.id) return;
  ahead = new TaskFrame(task);
  ahead.element.hidden = true;
  at("frame").append(ahead.element);
}

function show(next) {
  state = next;
  showCounts();
  showRecent();
  const { task } = state;
  at("task").hidden = task === null;
  at("nothing").hidden = task !== null;
  at("show-skipped").hidden = state.skipped === 0;
  at("show-skipped").textContent = state.skipped === 1 ? "Show the task that you skipped" : `Show the ${state.skipped} tasks that you skipped`;
  if (task === null) {
    if (current !== null) say("Nothing left to review.");
    current = ahead = null;
    at("frame").replaceChildren();
    return;
  }
  deadline = Date.now() + task.seconds_left * 1000;
  showTime();
  if (task.id === current?.task.id) return;
  at("task-title").textContent = task.title;
  at("task-description").textContent = task.description;
  if (draft.get()?.task !== task.id) draft.set(null);
  // A new element for each task: no history entry, and nothing of the last task stays.
  const taken = ahead?.task.id === task.id ? ahead : new TaskFrame(task);
  taken.task = task;
  for (const frame of [current, ahead]) if (frame && frame !== taken) frame.element.remove();
  current = taken;
  ahead = null;
  current.element.hidden = false;
  if (!current.element.isConnected) at("frame").append(current.element);
  holdAhead(state.ahead);
  if (current.ready) current.start();
}

function showCounts() {
  const { answered, waiting, skipped, more } = state;
  const total = answered + waiting;
  at("counts").textContent = `${answered} answered, ${waiting}${more ? " or more" : ""} to go${skipped ? `, ${skipped} skipped` : ""}`;
  at("pace").textContent = state.seconds_per_answer === null ? "" : `${shortTime(state.seconds_per_answer)} per answer`;
  at("position").textContent = more ? `Task ${answered + 1}` : `Task ${answered + 1} of ${total}`;
  at("done-count").textContent = answered ? `You have answered ${answered} today. Thank you.` : "";
  showProgress(answered, more ? null : total);
}

// Of a queue that is not counted to its end nobody knows how much is done. The words say what is known, and there is no bar.
function showProgress(answered, total) {
  const bar = at("progress");
  bar.hidden = total === null;
  if (bar.hidden) return;
  bar.setAttribute("aria-valuemax", String(total));
  bar.setAttribute("aria-valuenow", String(answered));
  bar.setAttribute("aria-valuetext", at("counts").textContent);
  at("progress-fill").style.transform = `scaleX(${total ? answered / total : 0})`;
}

const shortTime = (seconds) => (seconds < 90 ? `${Math.max(Math.round(seconds), 1)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`);

function showRecent() {
  at("undo").disabled = state.recent.length === 0;
  at("recent").hidden = state.recent.length === 0;
  renew(at("recent-list"), ...state.recent.map((one) => {
    const row = document.createElement("li");
    row.dataset.task = one.id;
    const about = document.createElement("span");
    const name = document.createElement("bdi");
    name.textContent = one.title;
    about.append(name, `, ${new Date(one.submitted_at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`);
    row.append(about);
    if (one.fixed) {
      const why = document.createElement("span");
      why.className = "muted";
      why.textContent = one.fixed;
      row.append(why);
    } else {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = "Undo";
      button.setAttribute("aria-label", `Undo the answer to ${about.textContent}`);
      button.addEventListener("click", () => undo(one));
      row.append(button);
    }
    return row;
  }));
}

// -- time ----------------------------------------------------------------------------------------------

let deadline = 0;
let warned = null;

function showTime() {
  if (!current && !state?.task) return;
  const left = (deadline - Date.now()) / 1000;
  at("time-left").textContent = left > 0 ? `${shortTime(left)} left` : "time is up";
  at("time-left").classList.toggle("soon", left < 120);
  if (left < 120 && left > 0 && warned !== state.task.id) {
    warned = state.task.id;
    say(`${shortTime(left)} are left for this task.`);
  }
  if (left <= 0 && !pending.get()) next();
}

// -- what a person does --------------------------------------------------------------------------------

const midnight = () => new Date().setHours(0, 0, 0, 0) / 1000;
const from = (path, more = "") => `${path}?since=${midnight()}${more}`;

async function act(work) {
  if (busy) return;
  busy = true;
  try {
    show(await work());
    notice("");
    reached();
  } catch (error) {
    problem(error.message, error.passing);
    if (!error.passing) await reload();
  } finally {
    busy = false;
  }
}

async function reload() {
  try {
    current?.element.remove();
    current = null;
    show(await request(from("/worker/next")));
  } catch {
    say("The next task could not be loaded.");
  }
}

const notice = (text) => {
  at("notice").textContent = text;
  at("notice").hidden = !text;
};

const next = (skipped = false) => act(() => request(from("/worker/next", skipped ? "&skipped=1" : "")));

// The answer is kept until the server has it. The server takes the same answer twice, so it may be sent again when nothing came back.
async function send() {
  const sending = pending.get();
  if (!sending || busy) return;
  busy = true;
  try {
    const answered = await request(from("/worker/answers", "&ahead=1"), sending);
    pending.set(null);
    if (draft.get()?.task === sending.task) draft.set(null);
    notice("");
    problem("");
    show(answered);
  } catch (error) {
    if (error.passing) notice("There is no connection. Your answer is kept and is sent again by itself.");
    else {
      pending.set(null);
      notice("");
      problem(error.message);
      if (error.status === 400) current?.post({ type: "unlock" });
      else await reload();
    }
  } finally {
    busy = false;
  }
}

// One answer waits for the network at a time. Until it has arrived, no other task may take its place.
const unsent = () => {
  if (!pending.get()) return false;
  problem("Your last answer is not sent yet. It is sent by itself; then you can go on.", true);
  return true;
};

function submit(answer) {
  if (!current) return;
  if (unsent()) return current.post({ type: "unlock" });
  pending.set({ task: current.task.id, answer });
  send();
}

function undo(one = state?.recent[0]) {
  if (!one) return say("There is no answer to undo.");
  if (one.fixed) return problem(one.fixed);
  if (unsent()) return;
  problem("");
  act(async () => {
    const undone = await request(from("/worker/undos"), { task: one.id });
    draft.set(null);
    ahead?.element.remove();
    ahead = null;
    say("Your answer is undone. This is its task again.");
    return undone;
  });
}

// The task that a dialog is about: while it is open, the time of its task may be up, and another one takes its place.
let asked = null;

const openDialog = (id) => {
  if (!current || document.querySelector("dialog[open]")) return;
  asked = current.task.id;
  at(id).returnValue = "";
  at(id).querySelector("form").reset();
  at(id).showModal();
};
const skip = () => {
  if (!unsent()) openDialog("skip-dialog");
};
const flag = () => openDialog("flag-dialog");

at("skip-dialog").addEventListener("close", () => {
  current?.element.focus();
  if (at("skip-dialog").returnValue !== "send" || !current || unsent()) return;
  const reason = at("skip-dialog").querySelector("input:checked").value;
  problem("");
  act(() => request(from("/worker/skips"), { task: asked, reason, note: at("skip-note").value }));
});

at("flag-dialog").addEventListener("close", async () => {
  current?.element.focus();
  if (at("flag-dialog").returnValue !== "send" || !current) return;
  try {
    await request("/worker/flags", { task: asked, note: at("flag-note").value });
    say("The task is flagged for your lead.");
    notice("The task is flagged for your lead. You can still answer it.");
    reached();
  } catch (error) {
    problem(error.message, error.passing);
  }
});

// -- keys ----------------------------------------------------------------------------------------------

const ACTIONS = { skip, flag, undo: () => undo(), guidelines: () => current?.post({ type: "guidelines" }) };

function showHints({ categories, search, keys: digits, cannotTell, guidelines }) {
  document.body.dataset.search = String(search);
  at("to-last-key").hidden = categories.length < 2;
  at("last-key").textContent = String(Math.min(categories.length, 9));
  at("keys-hint").hidden = !digits || !keys.on || !categories.length;
  at("search-hint").hidden = !search;
  at("unsure-hint").hidden = !cannotTell;
  at("guidelines-hint").hidden = !guidelines;
  const alt = search || !keys.on ? "Alt+" : "";
  for (const key of document.querySelectorAll("kbd[data-key]")) key.textContent = `${alt}${keys[key.dataset.key].toUpperCase()}`;
  for (const id of ["skip", "undo", "flag"]) at(id).setAttribute("aria-keyshortcuts", `${alt}${keys[id].toUpperCase()}`);
}

at("open-keys").addEventListener("click", () => {
  fillKeys(keys);
  at("keys-dialog").showModal();
});

function fillKeys(shown) {
  at("keys-on").checked = shown.on;
  at("keys-problem").hidden = true;
  for (const field of document.querySelectorAll("[data-action]")) field.value = shown[field.dataset.action].toUpperCase();
}

at("keys-default").addEventListener("click", () => fillKeys(DEFAULT_KEYS));
at("save-keys").addEventListener("click", () => {
  const chosen = { on: at("keys-on").checked };
  for (const field of document.querySelectorAll("[data-action]")) chosen[field.dataset.action] = field.value.trim().toLowerCase();
  const used = KEY_ACTIONS.map((name) => chosen[name]);
  const wrong = used.some((key) => !/^[a-z0]$/.test(key)) ? "Each key must be a letter from A to Z, or 0. The digits 1 to 9 choose labels." : "";
  const twice = new Set(used).size < used.length ? "Each key can do one thing only." : "";
  at("keys-problem").textContent = wrong || twice;
  at("keys-problem").hidden = !(wrong || twice);
  if (wrong || twice) return;
  keys = chosen;
  kept.write(localStorage, "keys", keys);
  at("keys-dialog").close();
  for (const frame of [current, ahead]) frame?.post({ type: "keys", keys });
  if (current?.ready) showHints(current.ready);
  say("The keys are saved.");
});

// Keys work wherever the focus is, except on this page's own controls and in its dialogs.
document.addEventListener("keydown", (event) => {
  if (!current?.ready || event.isComposing || event.repeat || document.querySelector("dialog[open]")) return;
  if ((event.key === "Enter" || event.key === " ") && event.target.closest("button, a, input, summary")) return;
  const search = document.body.dataset.search === "true";
  const meaning = meaningOf(event, keys, search);
  const searched = search && !event.altKey && !event.ctrlKey && !event.metaKey && /^(.|Backspace|ArrowUp|ArrowDown)$/u.test(event.key);
  if (!meaning && !searched) return;
  event.preventDefault();
  if (meaning && ACTIONS[meaning.action]) ACTIONS[meaning.action]();
  else current.post({ type: "key", key: event.key, code: event.code, altKey: event.altKey, ctrlKey: false, metaKey: false, isComposing: false });
});

window.addEventListener("message", (event) => {
  const frame = [current, ahead].find((one) => one && event.source === one.element.contentWindow);
  const message = event.data;
  if (!frame || typeof message !== "object" || message === null) return;
  if (message.type === "height" && Number.isFinite(message.height)) frame.element.style.height = `${Math.min(Math.max(message.height, 0), MOST_HEIGHT)}px`;
  else if (message.type === "ready") {
    frame.ready = readyOf(message);
    if (frame === current) {
      reached();
      frame.start();
    }
  } else if (frame !== current) return;
  else if (message.type === "say") say(String(message.text).slice(0, MOST_SAID));
  else if (message.type === "draft") draft.set({ task: frame.task.id, answer: message.answer });
  // A template's own script may write messages too. It neither answers nor acts before the person has touched the task or pressed a key.
  else if (frame.task.scripts && navigator.userActivation && !navigator.userActivation.isActive) frame.post({ type: "unlock" });
  else if (message.type === "submit") submit(message.answer);
  else if (message.type === "action" && Object.hasOwn(ACTIONS, message.action)) ACTIONS[message.action]();
});

// What a frame says of itself, in the form that this page works with, whatever the message holds.
const readyOf = ({ categories, search, keys: digits, cannotTell, guidelines, text }) => ({
  categories: Array.isArray(categories) ? categories.map(String) : [],
  search: search === true,
  keys: digits === true,
  cannotTell: cannotTell === true,
  guidelines: guidelines === true,
  text: typeof text === "string" ? text : "",
});

at("skip").addEventListener("click", skip);
at("flag").addEventListener("click", flag);
at("undo").addEventListener("click", () => undo());
at("show-skipped").addEventListener("click", () => {
  if (!unsent()) next(true);
});
window.addEventListener("online", send);
window.addEventListener("resize", () => current?.post({ type: "room", height: innerHeight }));
setInterval(() => {
  if (document.hidden) return;
  for (const frame of [current, ahead]) frame?.loadIfSilent();
  if (pending.get()) send();
  else if (current === null) next();
  else showTime();
}, POLL_MS);
if (pending.get()) send().then(() => { if (state === null) next(); });
else next();
