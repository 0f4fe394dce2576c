// A stand-in for https://assets.crowd.aws/crowd-html-elements.js, which exists only on AWS: the crowd elements of the SageMaker developer guide
// for text tasks, as far as review_page/elements.py names them. This is the form: its fields, its keys, its answer.
"use strict";

let taskKeys = DEFAULT_KEYS;
let taskLocked = false;

class TaskForm {
  constructor() {
    const page = document.querySelector("main");
    const root = document.querySelector("crowd-form") ?? page;
    this.root = root;
    for (const [name, build] of Object.entries(BUILDERS)) document.querySelectorAll(name).forEach((element) => build(element));
    for (const [name, build] of Object.entries(LAYOUTS)) document.querySelectorAll(name).forEach((element) => build(element));
    const classified = [...document.querySelectorAll("crowd-classifier, crowd-classifier-multi-select")].map((element) => new Classifier(element));
    const marked = [...document.querySelectorAll("crowd-entity-annotation")].map((element) => new Entities(element));
    this.fields = [...classified, ...marked, ...controlsIn(document.body)];
    this.classifiers = classified;
    this.addActions(root);
    this.addGuidelines(page);
    for (const event of ["choice", "input", "change"]) document.body.addEventListener(event, () => this.changed());
    document.body.addEventListener("reset", (event) => event.preventDefault());
    this.refresh();
  }

  addActions(root) {
    this.submitButton = make("button", { type: "button", class: "submit", "aria-keyshortcuts": "Enter" }, "Submit", make("kbd", { "aria-hidden": "true" }, "Enter"));
    this.clearButton = make("button", { type: "button", "aria-keyshortcuts": "Escape" }, "Clear choice", make("kbd", { "aria-hidden": "true" }, "Esc"));
    this.submitButton.addEventListener("click", () => this.submit());
    this.clearButton.addEventListener("click", () => this.clear());
    this.refusal = make("p", { class: "refusal", role: "alert", hidden: "" });
    const actions = make("div", { class: "actions" }, this.submitButton, this.clearButton);
    const only = this.fields.length === 1 ? this.classifiers[0] : null;
    // Beside a single question they stand before its instructions, where the hand is; after the last of several otherwise.
    if (only) (only.search?.chosen ?? only.group).after(this.refusal, actions);
    else root.append(this.refusal, actions);
    for (const { unsure, search, group } of this.classifiers) {
      if (unsure?.isConnected === false && only) actions.append(unsure);
      else if (unsure?.isConnected === false) (search?.chosen ?? group).after(unsure);
    }
    for (const button of document.querySelectorAll('crowd-button, button[type="submit"], input[type="submit"]')) this.useButton(button);
  }

  // A template's own button: it submits, clears, or does nothing.
  useButton(button) {
    const action = button.localName === "crowd-button" ? button.getAttribute("form-action") : "submit";
    const native = button.localName === "crowd-button" ? make("button", { type: "button", class: "own" }, ...button.childNodes) : button;
    if (native !== button) button.replaceWith(native);
    native.addEventListener("click", (event) => {
      event.preventDefault();
      if (action === "submit") this.submit();
      else if (action === "reset") this.clear();
    });
  }

  addGuidelines(page) {
    this.guidelines = guidelinesPane();
    if (!this.guidelines) return;
    page.classList.add("with-guidelines");
    page.append(this.guidelines);
    const wide = matchMedia("(min-width: 56rem)");
    const follow = () => { this.guidelines.open = wide.matches; };
    wide.addEventListener("change", follow);
    follow();
  }

  get problems() {
    return this.fields.map((field) => field.problem).filter(Boolean);
  }

  get answer() {
    return Object.assign({}, ...this.fields.map((field) => field.value));
  }

  // The field that digits act on: the one with the focus, else the first that is open, else the last.
  get current() {
    const chosen = this.fields.filter((field) => field.pickNumber);
    const focused = document.activeElement;
    return (
      chosen.find((field) => field.element?.contains(focused) || field.controls?.includes(focused)) ?? chosen.find((field) => field.problem) ?? chosen.at(-1)
    );
  }

  get search() {
    return this.current?.search ?? null;
  }

  changed() {
    if (taskLocked) return;
    this.refusal.hidden = true;
    this.refresh();
    tell("draft", { answer: this.answer });
  }

  refresh() {
    this.submitButton.setAttribute("aria-disabled", String(taskLocked || this.problems.length > 0));
    this.clearButton.setAttribute("aria-disabled", String(taskLocked || Object.keys(this.answer).length === 0));
  }

  clear() {
    if (taskLocked) return;
    for (const field of this.fields) field.clear();
    this.changed();
    say("The choice is cleared.");
  }

  set(answer) {
    for (const field of this.fields) field.set(answer);
    this.refresh();
  }

  submit() {
    if (taskLocked) return;
    const [problem] = this.problems.length ? this.problems : Object.keys(this.answer).length ? [] : ["Answer at least one question first."];
    if (problem) return this.refuse(problem);
    if (!this.root.dispatchEvent(new Event("submit", { bubbles: true, cancelable: true }))) return;
    this.lock(true);
    tell("submit", { answer: this.answer });
  }

  refuse(problem) {
    const open = this.fields.find((field) => field.problem);
    const place = open?.control ?? open?.controls?.[0];
    place?.closest("crowd-tab")?.dispatchEvent(new Event("reveal"));
    this.refusal.textContent = problem;
    this.refusal.hidden = false;
    open?.focus?.();
    say(problem);
  }

  // Once sent, an answer stays as it is until the page says that it was not taken.
  lock(locked) {
    taskLocked = locked;
    if (locked) this.held = document.activeElement;
    document.body.classList.toggle("locked", locked);
    for (const control of document.querySelectorAll("input, textarea, select")) {
      if (locked) control.dataset.wasDisabled = String(control.disabled);
      control.disabled = locked || control.dataset.wasDisabled === "true";
    }
    // A control that is disabled loses the focus.
    if (!locked && document.hasFocus() && document.activeElement === document.body) this.held?.focus();
    this.refresh();
  }

  useKeys(keys) {
    taskKeys = keys;
    for (const field of this.fields) field.numberKeys?.(keys.on);
    document.body.classList.toggle("without-keys", !keys.on);
  }

  // True when the key meant something here.
  key(event) {
    const { search } = this;
    if (search && !event.altKey && !event.ctrlKey && !event.metaKey && search.key(event)) return true;
    const digits = search && this.current.hasKeys && !event.altKey && taskKeys.on && /^[1-9]$/.test(plainKey(event) ?? "");
    const meaning = digits ? { action: "choose", number: Number(plainKey(event)) } : meaningOf(event, taskKeys, search !== null);
    if (!meaning) return false;
    if (meaning.action === "submit") this.submit();
    else if (meaning.action === "clear") this.clear();
    else if (meaning.action === "choose") this.current?.pickNumber(meaning.number);
    else if (meaning.action === "cannotTell") (this.classifiers.find((one) => one === this.current) ?? this.classifiers[0])?.cannotTell();
    else if (meaning.action === "guidelines") this.showGuidelines();
    else tell("action", { action: meaning.action });
    return true;
  }

  showGuidelines() {
    if (!this.guidelines) return say("This task has no guidelines.");
    this.guidelines.open = !this.guidelines.open;
    if (this.guidelines.open) this.guidelines.querySelector("summary").focus();
  }
}

const LOW = 520;
const TEXT_ENTRY = 'textarea, select, input:not(.search):not([type="checkbox"]):not([type="radio"]):not([type="range"]):not([type="submit"])';

// Keys of an input method are for its own window. Safari ends a composition before the key that ended it, which has then this code only.
const composes = (event) => event.isComposing || event.keyCode === 229;

// With Option, a Mac types letters such as "ś". Elsewhere Alt types nothing; there "é" or "ы" says which place of the keyboard was pressed.
const optionTypes = (event) =>
  event.altKey && /^(Mac|iP)/.test(navigator.platform) && /^[^a-z0-9]$/iu.test(event.key) && event.target.closest?.(TEXT_ENTRY) !== null;

// Enter presses these. Options of a classifier are pressed by the space bar and digits, so that Enter submits what is chosen.
const OWN_ENTER = "summary, a, textarea, audio, video, button:not([role=radio], [role=checkbox], [role=option]), input:is([type=button], [type=reset], [type=image])";

document.addEventListener("DOMContentLoaded", () => {
  const form = new TaskForm();
  // A template's own scripts wait for this event of SageMaker's, and may hold an answer back when crowd-form is submitted.
  document.dispatchEvent(new Event("all-crowd-elements-ready"));
  const ownEnter = (element) => element.closest?.(OWN_ENTER);
  document.addEventListener("keydown", (event) => {
    if (composes(event) || optionTypes(event)) return;
    // A held arrow goes on through a long list; other keys that repeat would choose or submit twice.
    const goesOn = event.target.matches?.(".search") && event.key.startsWith("Arrow");
    if (event.repeat && !goesOn) return;
    if (event.target.closest?.(TEXT_ENTRY) && !event.altKey && !(event.key === "Enter" && event.target.localName === "input")) return;
    if ((event.key === "Enter" || event.key === " ") && ownEnter(event.target)) return;
    if (form.key(event)) event.preventDefault();
  });
  window.addEventListener("message", (event) => {
    if (event.source !== parent) return;
    const message = event.data;
    if (message?.type === "key") form.key(message);
    else if (message?.type === "keys") form.useKeys(message.keys);
    else if (message?.type === "guidelines") form.showGuidelines();
    else if (message?.type === "unlock") form.lock(false);
    else if (message?.type === "room") document.body.classList.toggle("low", message.height < LOW);
    else if (message?.type === "start") {
      document.body.classList.toggle("low", message.height < LOW);
      form.classifiers.forEach((classifier) => classifier.letScroll());
      form.useKeys(message.keys);
      if (message.answer) form.set(message.answer);
      for (const classifier of form.classifiers) {
        const suggested = message.suggestion?.[classifier.name];
        if (suggested) classifier.suggest(suggested);
      }
    }
  });
  const height = () => tell("height", { height: Math.ceil(document.body.getBoundingClientRect().height) });
  new ResizeObserver(height).observe(document.body);
  height();
  const search = form.classifiers.find((classifier) => classifier.search)?.search;
  // The page around gives the frame the focus. On a telephone the keyboard would hide the text.
  if (search && !matchMedia("(pointer: coarse)").matches) {
    window.addEventListener("focus", () => {
      if (document.activeElement === document.body) search.input.focus({ preventScroll: true });
    });
  }
  const texts = [...form.classifiers.map((one) => one.target?.textContent ?? ""), ...form.fields.filter((one) => one instanceof Entities).map((one) => one.text)];
  tell("ready", {
    categories: form.classifiers.flatMap((classifier) => classifier.categories),
    search: search !== undefined,
    keys: form.fields.some((field) => field.pickNumber && field.hasKeys !== false),
    cannotTell: form.classifiers.some((classifier) => classifier.unsure),
    guidelines: form.guidelines !== null,
    text: texts.join(" ").trim(),
  });
});
