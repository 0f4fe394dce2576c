// The lead's page: what waits and for how long, who does how much, what was flagged. It looks again every few seconds.
"use strict";

const POLL_MS = 5000;
// The queue is listed up to here; counting all of a long one would read all of it.
const MOST_LISTED = 200;
let disputed = null;

const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const time = (seconds) => {
  if (seconds < 90) return `${Math.max(Math.round(seconds), 0)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
};
const share = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} % of ${whole}` : "-");

const button = (text, about, work) => {
  const made = make("button", { type: "button", class: "quiet", "aria-label": `${text}: ${about}` }, text);
  made.addEventListener("click", work);
  return made;
};

// The new nodes take the focus of those that they replace: the same button of the same row, else the table, else the heading.
function place(id, made) {
  const held = at(id).contains(document.activeElement) ? document.activeElement : null;
  const scrolled = at(id).querySelector(".table");
  const [left, top] = [scrolled?.scrollLeft, scrolled?.scrollTop];
  const row = held?.closest("tr")?.dataset.row;
  if (!renew(at(id), made)) return;
  const now = at(id).querySelector(".table");
  if (now && scrolled) now.scrollTo(left, top);
  if (!held) return;
  const same = [...at(id).querySelectorAll("tr")].find((one) => row !== undefined && one.dataset.row === row);
  focusOn([...(same?.querySelectorAll("button") ?? [])].find((one) => one.textContent === held.textContent) ?? now ?? at(`${id}-heading`));
}

// Headings that begin with "#" are over numbers. A row begins with its id.
function table(id, headings, rows, nothing) {
  if (!rows.length) return place(id, make("p", { class: "muted" }, nothing));
  const head = headings.map((heading) => make("th", { scope: "col", role: "columnheader", ...(heading.startsWith("#") ? { class: "number" } : {}) }, heading.replace("#", "")));
  // On a phone a row is a block, which is no row any more without its role, and each cell says what it is.
  const cellOf = (heading, cell) => make("td", { role: "cell", "data-of": heading.replace("#", ""), ...(heading.startsWith("#") ? { class: "number" } : {}) }, make("div", {}, ...[cell].flat()));
  const body = rows.map(([row, ...cells]) => make("tr", { role: "row", "data-row": row }, ...cells.map((cell, index) => cellOf(headings[index], cell))));
  // The section around is the landmark.
  const scrolled = make("div", { class: "table", tabindex: "0", role: "group", "aria-labelledby": `${id}-heading` });
  scrolled.append(make("table", { role: "table" }, make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...head)), make("tbody", { role: "rowgroup" }, ...body)));
  place(id, scrolled);
}

async function change(path, body, said) {
  try {
    show(await request(path, body));
    problem("");
    say(said);
  } catch (error) {
    problem(error.message, error.passing);
  }
}

function dispute(id, title) {
  disputed = id;
  at("dispute-about").textContent = title;
  at("dispute-dialog").returnValue = "";
  at("dispute-dialog").querySelector("form").reset();
  at("dispute-dialog").showModal();
}

at("dispute-dialog").addEventListener("close", () => {
  if (at("dispute-dialog").returnValue === "send") change("/worker/lead/disputes", { task: disputed, note: at("dispute-note").value }, "The dispute is open.");
});

const remarkRow = (one, canDispute) => [
  one.id, make("bdi", {}, one.title), make("bdi", {}, one.note), one.by, new Date(one.made_at * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" }),
  [
    button("Close", one.title, () => change("/worker/lead/closed", { remark: one.id }, "It is closed.")),
    ...(canDispute ? [button("Dispute", one.title, () => dispute(one.task, one.title))] : []),
  ],
];

function show(seen) {
  const answered = seen.people.reduce((sum, one) => sum + one.answered, 0);
  const [agreed, compared] = ["agreed", "compared"].map((key) => seen.people.reduce((sum, one) => sum + one[key], 0));
  const tiles = [
    ["Tasks waiting", seen.open < MOST_LISTED ? String(seen.open) : `${MOST_LISTED} or more`], ["Oldest waits for", seen.queue.length ? time(seen.queue[0].age) : "-"], ["Answers to ended tasks", String(answered)],
    ["Agreement", compared ? `${Math.round((100 * agreed) / compared)} %` : "-"], ["Open flags", String(seen.flags.length)],
  ];
  renew(at("tiles"), ...tiles.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  table("flags", ["Task", "Note", "By", "When", "Actions"], seen.flags.map((one) => remarkRow(one, true)), "There is no open flag.");
  table("disputes", ["Task", "Note", "By", "When", "Actions"], seen.disputes.map((one) => remarkRow(one, false)), "There is no open dispute.");
  table("queue", ["Task", "#Age", "#Answers", "Held by", "Skipped because", "Actions"], seen.queue.map((one) => [
    one.id, make("bdi", {}, one.title), time(one.age), `${one.answers} of ${one.wanted}`, one.holders.map(([name, left]) => `${name}, ${time(left)} left`).join("; ") || "-",
    Object.entries(one.skips).map(([reason, count]) => `${count} ${reason}`).join(", ") || "-",
    [
      ...(one.holders.length ? [button("Release", one.title, () => change("/worker/lead/released", { task: one.id }, "Others can take the task now."))] : []),
      button("Dispute", one.title, () => dispute(one.id, one.title)),
    ],
  ]), "No task waits.");
  table("people", ["Name", "#Answers", "#Time per answer", "#Agree with most", "#Gold tasks right", "#Cannot tell", "#Skipped"], seen.people.map((one) => [
    one.name, one.name, String(one.answered), one.seconds_per_answer === null ? "-" : time(one.seconds_per_answer), share(one.agreed, one.compared),
    share(one.gold_right, one.gold_answered), String(one.cannot_tell), String(one.skipped),
  ]), "Nobody has answered yet.");
}

async function look() {
  // Not under somebody's hands: a table that is made anew loses the focus.
  if (document.hidden || document.querySelector("dialog[open]") || document.activeElement?.closest("td")) return;
  try {
    show(await request("/worker/lead/overview"));
    reached();
  } catch (error) {
    problem(error.message, error.passing);
  }
}

setInterval(look, POLL_MS);
look();
