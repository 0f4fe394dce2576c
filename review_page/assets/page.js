// What the reviewers' page and their lead's share: requests, and refusals that stay until they are dismissed.
"use strict";

const csrf = document.querySelector('meta[name="csrf-token"]').content;
const at = (id) => document.getElementById(id);

const say = (text) => { at("status").textContent = text; };

// A refusal stays until it is dismissed. That the server does not answer is over once it answers.
const problem = (text, passing = false) => {
  at("problem-text").textContent = text;
  at("problem").hidden = !text;
  at("problem").dataset.passing = String(passing);
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
    throw new Refused(response && response.status >= 400 ? response.status : 0, "There is no connection to the server. Please try again.");
  }
  if (response.status === 401) location.assign("/worker");
  if (response.status === 429) throw new Refused(429, "Too many people are working at this moment. Please try again.");
  if (!response.ok) throw new Refused(response.status, answer.message ?? "The request was refused.");
  return answer;
}

at("dismiss").addEventListener("click", () => problem(""));
