// A local stand-in for https://assets.crowd.aws/crowd-html-elements.js, which exists only on AWS: the elements
// crowd-form and crowd-classifier with the attributes and children of the SageMaker developer guide ("Crowd HTML
// Elements"). It runs in a sandboxed frame without an origin and talks to the page around it by messages:
//   frame -> page  {type: "ready" | "height" | "submit" | "skip" | "say", ...}
//   page -> frame  {type: "key", key}
"use strict";

const tell = (type, more = {}) => parent.postMessage({ type, ...more }, "*");

const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

const readCategories = (text) => {
  const parsed = JSON.parse(text.includes('"') ? text : text.replaceAll("'", '"'));
  return parsed.map(String);
};

class Classifier {
  constructor(element, number) {
    this.element = element;
    this.name = element.getAttribute("name");
    this.label = null;
    const heading = make("h2", { class: "question", id: `question-${number}` }, element.getAttribute("header") ?? "Choose one");
    this.options = readCategories(element.getAttribute("categories")).map((category, index) => this.option(category, index));
    const group = make("div", { class: "categories", role: "radiogroup", "aria-labelledby": heading.id, "aria-required": "true" }, ...this.options);
    group.addEventListener("keydown", (event) => this.move(event));
    const target = element.querySelector("classification-target");
    if (target) this.trim(target);
    element.prepend(heading, ...(target ? [target] : []), group);
    this.group = group;
    this.target = target;
    this.foldInstructions();
    this.refresh();
  }

  // white-space: pre-wrap shows a text's own line breaks, but not the template's indentation around it.
  trim(target) {
    const first = target.firstChild, last = target.lastChild;
    if (first?.nodeType === Node.TEXT_NODE) first.data = first.data.trimStart();
    if (last?.nodeType === Node.TEXT_NODE) last.data = last.data.trimEnd();
  }

  // A long text scrolls in its own place, with keys too, so that the categories stay in sight.
  letScroll() {
    if (this.target && this.target.scrollHeight > this.target.clientHeight + 1) this.target.tabIndex = 0;
  }

  option(category, index) {
    const button = make("button", { type: "button", role: "radio", class: "category", "data-label": category }, make("span", {}, category));
    if (index < 9) {
      button.prepend(make("kbd", { "aria-hidden": "true" }, String(index + 1)));
      button.setAttribute("aria-keyshortcuts", String(index + 1));
    }
    button.addEventListener("click", () => this.choose(category));
    return button;
  }

  move(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = this.options[(this.options.indexOf(document.activeElement) + step + this.options.length) % this.options.length];
    next.focus();
    this.choose(next.dataset.label);
  }

  foldInstructions() {
    const full = this.element.querySelector("full-instructions");
    if (!full) return;
    const details = make("details", {}, make("summary", {}, full.getAttribute("header") ?? "Full instructions"));
    full.replaceWith(details);
    details.append(full);
  }

  choose(label) {
    this.label = label;
    this.refresh();
    this.element.dispatchEvent(new Event("choice", { bubbles: true }));
  }

  refresh() {
    for (const option of this.options) {
      const chosen = option.dataset.label === this.label;
      option.setAttribute("aria-checked", String(chosen));
      option.tabIndex = chosen || (this.label === null && option === this.options[0]) ? 0 : -1;
    }
  }
}

class TaskForm {
  constructor(form, classifiers) {
    this.classifiers = classifiers;
    this.submitButton = make("button", { type: "button", class: "submit", "aria-keyshortcuts": "Enter" }, "Submit", make("kbd", { "aria-hidden": "true" }, "Enter"));
    this.undoButton = make("button", { type: "button", "aria-keyshortcuts": "Escape" }, "Undo choice", make("kbd", { "aria-hidden": "true" }, "Esc"));
    this.submitButton.addEventListener("click", () => this.submit());
    this.undoButton.addEventListener("click", () => this.undo());
    const actions = make("div", { class: "actions" }, this.submitButton, this.undoButton);
    // Beside a single question they stand before its instructions, where the hand is; after the last of several otherwise.
    if (classifiers.length === 1) classifiers[0].group.after(actions);
    else form.append(actions);
    form.addEventListener("choice", () => this.changed());
    this.changed();
  }

  get complete() {
    return this.classifiers.every((classifier) => classifier.label !== null);
  }

  // The classifier that digits act on: the one with the focus, else the first without a choice, else the last.
  get current() {
    return (
      this.classifiers.find((classifier) => classifier.element.contains(document.activeElement)) ??
      this.classifiers.find((classifier) => classifier.label === null) ??
      this.classifiers.at(-1)
    );
  }

  changed() {
    this.submitButton.setAttribute("aria-disabled", String(!this.complete));
    this.undoButton.setAttribute("aria-disabled", String(this.classifiers.every((classifier) => classifier.label === null)));
  }

  pick(number) {
    const option = this.current?.options[number - 1];
    if (!option) return tell("say", { text: `There is no category ${number}.` });
    this.current.choose(option.dataset.label);
    option.focus();
    tell("say", { text: `${option.dataset.label} chosen. Press Enter to submit, Escape to undo.` });
  }

  undo() {
    for (const classifier of this.classifiers) {
      classifier.label = null;
      classifier.refresh();
    }
    this.changed();
    tell("say", { text: "The choice is undone." });
  }

  submit() {
    if (this.sent) return;
    if (!this.complete) return tell("say", { text: "Choose a category first." });
    this.sent = true;
    this.submitButton.setAttribute("aria-disabled", "true");
    tell("submit", { answer: Object.fromEntries(this.classifiers.map((classifier) => [classifier.name, { label: classifier.label }])) });
  }

  // True when the key meant something here.
  key(key) {
    if (/^[1-9]$/.test(key)) this.pick(Number(key));
    else if (key === "Enter") this.submit();
    else if (key === "Escape") this.undo();
    else if (key === "s" || key === "S") tell("skip");
    else return false;
    return true;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const classifiers = [...document.querySelectorAll("crowd-classifier")].map((element, index) => new Classifier(element, index));
  const taskForm = new TaskForm(document.querySelector("crowd-form") ?? document.body, classifiers);
  const ownEnter = (element) => element.closest?.("summary, a, textarea, .actions button");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest?.("input, textarea, select") || (event.key === "Enter" && ownEnter(event.target))) return;
    if (taskForm.key(event.key)) event.preventDefault();
  });
  window.addEventListener("message", (event) => {
    if (event.source === parent && event.data?.type === "key") taskForm.key(event.data.key);
  });
  const height = () => tell("height", { height: Math.ceil(document.body.getBoundingClientRect().height) });
  new ResizeObserver(height).observe(document.body);
  classifiers.forEach((classifier) => classifier.letScroll());
  height();
  tell("ready", { categories: classifiers.flatMap((classifier) => classifier.options.map((option) => option.dataset.label)) });
});
