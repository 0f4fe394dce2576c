// What the reviewers' page and their lead's share: requests, and refusals that stay until they are dismissed.
"use strict";

const csrf = document.querySelector('meta[name="csrf-token"]').content;
const at = (id) => document.getElementById(id);

const say = (text) => { at("status").textContent = text; };

const problem = (text) => {
  at("problem-text").textContent = text;
  at("problem").hidden = !text;
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

async function request(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  };
  let response, answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch {
    throw new Refused(response && response.status >= 400 ? response.status : 0, "The server does not answer: is it still running? This page tries again by itself.");
  }
  if (response.status === 401) location.assign("/worker");
  if (!response.ok) throw new Refused(response.status, answer.message ?? "The request was refused.");
  return answer;
}

at("dismiss").addEventListener("click", () => problem(""));
