// What the reviewers' page and their lead's share: requests, and refusals that stay until they are dismissed.
"use strict";

let csrf = document.querySelector('meta[name="csrf-token"]').content;
const at = (id) => document.getElementById(id);

const say = (text) => { at("status").textContent = text; };

// Who works with keys or a screen reader must not be thrown to the page's begin when what had the focus goes.
const focusOn = (element) => {
  if (element && element.tabIndex < 0) element.tabIndex = -1;
  element?.focus();
};

// What has not changed stays, with its focus and its place in a scrolled list. True when the nodes have taken their place.
const renew = (place, ...nodes) => {
  const [old, fresh] = [[...place.children], nodes].map((elements) => elements.map((element) => element.outerHTML).join(""));
  if (old === fresh) return false;
  place.replaceChildren(...nodes);
  return true;
};

// A refusal stays until it is dismissed. That the server does not answer is over once it answers.
const problem = (text, passing = false) => {
  const focused = !text && at("problem").contains(document.activeElement);
  at("problem-text").textContent = text;
  at("problem").hidden = !text;
  at("problem").dataset.passing = String(passing);
  if (focused) focusOn(document.querySelector("iframe[data-ready]:not([hidden])") ?? [...document.querySelectorAll("main h1")].find((one) => one.offsetParent));
};
const reached = () => {
  if (at("problem").dataset.passing === "true") problem("");
};

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  // Nothing has answered, or something that is no answer: the same request may succeed later.
  get passing() {
    return this.status === 0 || this.status >= 500 || this.status === 429;
  }
}

// Another tab may have signed in anew: then this browser has another session, and this tab goes on with its token. True: if it has changed.
async function renewed() {
  const page = new DOMParser().parseFromString(await (await fetch("/worker/")).text(), "text/html");
  const [now, before] = [page, document].map((one) => one.querySelector('input[name="csrf"]'));
  const name = (one) => one.querySelector('meta[name="user"]')?.content;
  if (!now || now.value === csrf || name(page) !== name(document)) return false;
  csrf = before.value = now.value;
  return true;
}

function sent(path, body) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  return fetch(path, body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) });
}

async function request(path, body) {
  let response, answer;
  try {
    response = await sent(path, body);
    if (response.status === 403 && body !== undefined && (await renewed().catch(() => false))) response = await sent(path, body);
    answer = await response.json();
  } catch {
    throw new Refused(response && response.status >= 400 ? response.status : 0, "There is no connection to the server. Please try again.");
  }
  if (response.status === 401) location.assign("/worker");
  if (response.status === 429) throw new Refused(429, "Too many people are working at this moment. Please try again.");
  if (!response.ok) throw new Refused(response.status, answer.message ?? "The request was refused.");
  return answer;
}

at("dismiss").addEventListener("click", () => problem(""));
