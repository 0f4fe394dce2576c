// A local stand-in for https://assets.crowd.aws/crowd-html-elements.js, which exists only on AWS: the elements
// crowd-form and crowd-classifier with the attributes and children of the SageMaker developer guide ("Crowd HTML
// Elements"). It runs in a sandboxed frame without an origin and talks to the page around it by messages:
//   frame -> page  {type: "ready" | "height" | "submit" | "skip" | "say", ...}
//   page -> frame  {type: "key", key}
// More than twelve categories have a search: type to filter, arrows to move, Enter to choose. Their order never changes.
"use strict";

const MOST_AT_A_GLANCE = 12;
const MOST_KEYS = 9;

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

// Without case and accents, so that "ecole" finds "École".
const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

const isAltS = (event) => event.altKey && !event.ctrlKey && !event.metaKey && event.code === "KeyS";

// The search of one classifier: an input that filters its options, and one active option that Enter chooses.
class Search {
  constructor(classifier, number, heading) {
    this.classifier = classifier;
    this.active = null;
    classifier.group.id = `options-${number}`;
    this.input = make("input", {
      type: "text", class: "search", role: "combobox", "aria-expanded": "true", "aria-autocomplete": "list", "aria-controls": classifier.group.id,
      "aria-labelledby": heading.id, autocomplete: "off", autocapitalize: "off", spellcheck: "false", dir: "auto",
      placeholder: `Type to search ${classifier.options.length} labels`,
    });
    this.nothing = make("p", { class: "nothing", hidden: "" }, "No label has this in its name.");
    this.name = make("bdi");
    this.chosen = make("p", { class: "chosen", hidden: "" }, "Chosen: ", this.name);
    this.texts = new Map(classifier.options.map((option) => [option, folded(option.dataset.label)]));
    classifier.options.forEach((option, index) => { option.id = `option-${number}-${index}`; });
    this.input.addEventListener("input", () => this.filter());
    classifier.group.before(this.input);
    classifier.group.after(this.nothing, this.chosen);
  }

  // A frame without the focus still has an active element; the page around it then hands over the keys.
  get focused() {
    return document.hasFocus() && document.activeElement === this.input;
  }

  filter() {
    const words = folded(this.input.value).split(/\s+/).filter(Boolean);
    const { options } = this.classifier;
    for (const option of options) option.hidden = !words.every((word) => this.texts.get(option).includes(word));
    const { visible } = this.classifier;
    this.nothing.hidden = visible.length > 0;
    this.classifier.group.scrollTop = 0;
    this.classifier.numberKeys();
    // Without a search nothing is active: Enter alone must not choose the first label.
    this.activate(words.length ? visible[0] ?? null : null);
    tell("say", { text: `${visible.length} of ${options.length} labels${this.active ? `, first: ${this.active.dataset.label}` : ""}.` });
  }

  activate(option) {
    this.active?.classList.remove("active");
    this.active = option;
    option?.classList.add("active");
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  move(step) {
    const { visible } = this.classifier;
    if (!visible.length) return;
    const at = visible.indexOf(this.active);
    this.activate(visible[at < 0 ? (step > 0 ? 0 : visible.length - 1) : (at + step + visible.length) % visible.length]);
  }

  write(text) {
    this.input.value = text;
    this.input.focus();
    this.filter();
  }

  // True when the key meant something to the search; what is typed into the input itself is left to the browser.
  key(key) {
    const elsewhere = document.hasFocus() && document.activeElement !== this.input && document.activeElement !== document.body;
    if (!elsewhere && (key === "ArrowDown" || key === "ArrowUp")) this.move(key === "ArrowDown" ? 1 : -1);
    else if (key === "Enter" && this.active && this.active.dataset.label !== this.classifier.label) this.classifier.pick(this.active);
    else if (key === "Escape" && this.input.value) this.write("");
    else if (this.focused || (key.length > 1 && key !== "Backspace")) return false;
    else if (this.classifier.hasKeys && /^[1-9]$/.test(key)) return false;
    else this.write(key === "Backspace" ? this.input.value.slice(0, -1) : this.input.value + key);
    return true;
  }

  show(label) {
    this.chosen.hidden = label === null;
    this.name.textContent = label ?? "";
  }
}

class Classifier {
  constructor(element, number) {
    this.element = element;
    this.name = element.getAttribute("name");
    this.label = null;
    const heading = make("h2", { class: "question", id: `question-${number}` }, element.getAttribute("header") ?? "Choose one");
    const categories = readCategories(element.getAttribute("categories"));
    const many = categories.length > MOST_AT_A_GLANCE;
    // Where names have digits, digits are for the search.
    this.hasKeys = !many || !categories.some((category) => /[0-9]/.test(category));
    this.options = categories.map((category) => this.option(category, many ? "option" : "radio"));
    const roles = many ? { class: "categories many", role: "listbox" } : { class: "categories", role: "radiogroup", "aria-required": "true" };
    const group = make("div", { ...roles, "aria-labelledby": heading.id }, ...this.options);
    if (!many) group.addEventListener("keydown", (event) => this.move(event));
    const target = element.querySelector("classification-target");
    if (target) this.trim(target);
    element.prepend(heading, ...(target ? [target] : []), group);
    this.group = group;
    this.target = target;
    this.search = many ? new Search(this, number, heading) : null;
    this.numberKeys();
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

  option(category, role) {
    const button = make("button", { type: "button", role, class: "category", "data-label": category }, make("span", { dir: "auto" }, category));
    button.addEventListener("click", () => {
      this.choose(category);
      this.search?.input.focus();
    });
    return button;
  }

  get visible() {
    return this.options.filter((option) => !option.hidden);
  }

  // Digits choose among the first nine that are to be seen.
  numberKeys() {
    for (const option of this.options) {
      option.querySelector("kbd")?.remove();
      option.removeAttribute("aria-keyshortcuts");
    }
    if (!this.hasKeys) return;
    this.visible.slice(0, MOST_KEYS).forEach((option, index) => {
      option.prepend(make("kbd", { "aria-hidden": "true" }, String(index + 1)));
      option.setAttribute("aria-keyshortcuts", String(index + 1));
    });
  }

  pick(option) {
    this.choose(option.dataset.label);
    if (!this.search) option.focus();
    tell("say", { text: `${option.dataset.label} chosen. Press Enter to submit, Escape to undo.` });
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
      option.setAttribute(this.search ? "aria-selected" : "aria-checked", String(chosen));
      option.tabIndex = this.search ? -1 : chosen || (this.label === null && option === this.options[0]) ? 0 : -1;
    }
    this.search?.show(this.label);
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
    if (classifiers.length === 1) (classifiers[0].search?.chosen ?? classifiers[0].group).after(actions);
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
    const option = this.current?.visible[number - 1];
    if (!option) return tell("say", { text: `There is no category ${number}.` });
    this.current.pick(option);
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
    const { search, hasKeys } = this.current ?? { search: null, hasKeys: true };
    if (search?.key(key)) return true;
    if (hasKeys && /^[1-9]$/.test(key)) this.pick(Number(key));
    else if (key === "Enter") this.submit();
    else if (key === "Escape") this.undo();
    else if (!search && (key === "s" || key === "S")) tell("skip");
    else return false;
    return true;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const classifiers = [...document.querySelectorAll("crowd-classifier")].map((element, index) => new Classifier(element, index));
  const taskForm = new TaskForm(document.querySelector("crowd-form") ?? document.body, classifiers);
  const ownEnter = (element) => element.closest?.("summary, a, textarea, .actions button");
  document.addEventListener("keydown", (event) => {
    if (isAltS(event)) {
      event.preventDefault();
      tell("skip");
    }
    // A held arrow goes on through a long list; other keys that repeat would choose or submit twice.
    const goesOn = event.target.matches?.(".search") && event.key.startsWith("Arrow");
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || (event.repeat && !goesOn)) return;
    if (event.target.closest?.("input:not(.search), textarea, select") || ((event.key === "Enter" || event.key === " ") && ownEnter(event.target))) return;
    if (taskForm.key(event.key)) event.preventDefault();
  });
  window.addEventListener("message", (event) => {
    if (event.source === parent && event.data?.type === "key") taskForm.key(event.data.key);
  });
  const height = () => tell("height", { height: Math.ceil(document.body.getBoundingClientRect().height) });
  new ResizeObserver(height).observe(document.body);
  classifiers.forEach((classifier) => classifier.letScroll());
  height();
  const search = classifiers.find((classifier) => classifier.search)?.search;
  // The page around gives the frame the focus. On a telephone the keyboard would hide the text.
  if (search && !matchMedia("(pointer: coarse)").matches) {
    window.addEventListener("focus", () => {
      if (document.activeElement === document.body) search.input.focus({ preventScroll: true });
    });
  }
  tell("ready", {
    categories: classifiers.flatMap((classifier) => classifier.options.map((option) => option.dataset.label)),
    search: search !== undefined,
    keys: classifiers.some((classifier) => classifier.hasKeys),
  });
});
