// crowd-classifier and crowd-classifier-multi-select: options to choose from. More than nine have a search: type to filter, arrows to move,
// Enter to choose. Their order never changes. The category "cannot-tell" stands apart.
"use strict";

const MOST_AT_A_GLANCE = 9;
const CANNOT_TELL = "cannot-tell";

// The search of one classifier: an input that filters its options, and one active option that Enter chooses.
class Search {
  constructor(classifier, heading) {
    this.classifier = classifier;
    this.active = null;
    classifier.group.id = newId("options");
    this.input = make("input", {
      type: "text", class: "search", role: "combobox", "aria-expanded": "true", "aria-autocomplete": "list", "aria-controls": classifier.group.id,
      "aria-labelledby": heading.id, autocomplete: "off", autocapitalize: "off", spellcheck: "false", dir: "auto", "data-own": "",
      placeholder: `Type to search ${classifier.options.length} labels`,
    });
    this.nothing = make("p", { class: "nothing", hidden: "" }, "No label has this in its name.");
    this.name = make("bdi");
    this.chosen = make("p", { class: "chosen", hidden: "" }, "Chosen: ", this.name);
    this.texts = new Map(classifier.options.map((option) => [option, folded(option.dataset.label)]));
    for (const option of classifier.options) option.id = newId("option");
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
    say(`${visible.length} of ${options.length} labels${this.active ? `, first: ${this.active.dataset.label}` : ""}.`);
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
  key(event) {
    const { key } = event;
    const elsewhere = document.hasFocus() && document.activeElement !== this.input && document.activeElement !== document.body;
    if (event.altKey) return false;
    if (!elsewhere && (key === "ArrowDown" || key === "ArrowUp")) this.move(key === "ArrowDown" ? 1 : -1);
    else if (key === "Enter" && this.active && (this.classifier.multiple || !this.classifier.has(this.active.dataset.label))) {
      this.classifier.pick(this.active);
      if (this.classifier.multiple) this.write("");
    } else if (key === "Escape" && this.input.value) this.write("");
    else if (this.classifier.hasKeys && /^[1-9]$/.test(plainKey(event) ?? "")) return false;
    else if (this.focused || elsewhere || (key.length > 1 && key !== "Backspace")) return false;
    else this.write(key === "Backspace" ? this.input.value.slice(0, -1) : this.input.value + key);
    return true;
  }

  show(labels) {
    this.chosen.hidden = labels.length === 0;
    this.name.textContent = labels.join(", ");
  }
}

class Classifier {
  constructor(element) {
    this.element = element;
    this.multiple = element.localName === "crowd-classifier-multi-select";
    this.name = element.getAttribute("name");
    this.labels = [];
    const heading = make("h2", { class: "question", id: newId("question") }, element.getAttribute("header") ?? "Choose one");
    const every = readList(element.getAttribute("categories")).map(String);
    const categories = every.filter((category) => category !== CANNOT_TELL);
    const exclusion = /text['"]?\s*:\s*(?:"([^"]+)"|'([^']+)')/.exec(element.getAttribute("exclusion-category") ?? "");
    this.exclusion = exclusion ? exclusion[1] ?? exclusion[2] : null;
    this.categories = this.exclusion ? [...categories, this.exclusion] : categories;
    const many = this.categories.length > MOST_AT_A_GLANCE;
    // Where names have digits, digits are for the search.
    this.hasKeys = !many || !this.categories.some((category) => /[0-9]/.test(category));
    this.role = many ? "option" : this.multiple ? "checkbox" : "radio";
    this.options = this.categories.map((category) => this.option(category, category, this.role));
    const group = make("div", { class: many ? "categories many" : "categories", ...this.groupRole(many), "aria-labelledby": heading.id }, ...this.options);
    if (!many) group.addEventListener("keydown", (event) => this.move(event));
    this.target = element.querySelector("classification-target");
    if (this.target) this.prepareTarget(group);
    element.prepend(heading, ...(this.target ? [this.target] : []), group);
    this.group = group;
    this.search = many ? new Search(this, heading) : null;
    this.unsure = every.includes(CANNOT_TELL) ? this.option(CANNOT_TELL, "Cannot tell", many || this.multiple ? "button" : "radio") : null;
    if (this.unsure && !many && !this.multiple) group.append(this.unsure);
    this.unsure?.classList.add("unsure");
    this.suggestion = make("p", { class: "suggestion", hidden: "" });
    group.before(this.suggestion);
    this.numberKeys();
    this.refresh();
  }

  groupRole(many) {
    if (many) return { role: "listbox", ...(this.multiple ? { "aria-multiselectable": "true" } : {}) };
    return this.multiple ? { role: "group" } : { role: "radiogroup", "aria-required": "true" };
  }

  // white-space: pre-wrap shows a text's own line breaks, but not the template's indentation around it.
  prepareTarget(group) {
    const { target } = this;
    const first = target.firstChild, last = target.lastChild;
    if (first?.nodeType === Node.TEXT_NODE) first.data = first.data.trimStart();
    if (last?.nodeType === Node.TEXT_NODE) last.data = last.data.trimEnd();
    if (isBlank(target.textContent) && !target.querySelector("img, audio, video")) target.append(blankNote());
    markUnseen(target);
    target.id ||= newId("text");
    group.setAttribute("aria-describedby", target.id);
  }

  // A long text scrolls in its own place, with keys too, so that the categories stay in sight.
  letScroll() {
    if (!this.target || this.target.scrollHeight <= this.target.clientHeight + 1) return;
    this.target.tabIndex = 0;
    this.target.setAttribute("role", "region");
    this.target.setAttribute("aria-label", "The text");
  }

  option(category, shown, role) {
    const button = make("button", { type: "button", class: "category", "data-label": category }, make("span", { dir: "auto" }, ...withMarks(shown)));
    if (role !== "button") button.setAttribute("role", role);
    button.addEventListener("click", () => {
      this.choose(category);
      if (category !== CANNOT_TELL) this.search?.input.focus();
    });
    return button;
  }

  get names() {
    return [this.name];
  }

  get every() {
    return this.unsure ? [...this.options, this.unsure] : this.options;
  }

  get visible() {
    return this.options.filter((option) => !option.hidden);
  }

  has(label) {
    return this.labels.includes(label);
  }

  // Digits choose among the first nine that are to be seen.
  numberKeys(on = this.keysOn ?? true) {
    this.keysOn = on;
    for (const option of this.every) {
      option.querySelector("kbd")?.remove();
      option.removeAttribute("aria-keyshortcuts");
    }
    const number = (option, digit) => {
      option.prepend(make("kbd", { "aria-hidden": "true" }, digit));
      option.setAttribute("aria-keyshortcuts", digit);
    };
    if (!on) return;
    if (this.hasKeys) this.visible.slice(0, MOST_AT_A_GLANCE).forEach((option, index) => number(option, String(index + 1)));
    if (this.unsure) number(this.unsure, this.search ? `Alt+${taskKeys.cannotTell.toUpperCase()}` : taskKeys.cannotTell.toUpperCase());
  }

  pick(option) {
    this.choose(option.dataset.label);
    // Enter then submits: it would press the button "Cannot tell" again.
    if (!this.search && option.hasAttribute("role")) option.focus();
    const shown = option === this.unsure ? "Cannot tell" : option.dataset.label;
    say(`${shown} ${this.has(option.dataset.label) ? "chosen" : "no longer chosen"}. Press Enter to submit, Escape to clear.`);
  }

  pickNumber(number) {
    const option = this.visible[number - 1];
    if (option) this.pick(option);
    else say(`There is no label ${number}.`);
  }

  cannotTell() {
    if (this.unsure) this.pick(this.unsure);
    else say("This task has no answer \"cannot tell\". If you cannot tell, skip it.");
  }

  move(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || event.altKey) return;
    event.preventDefault();
    const radios = this.multiple ? this.options : this.every;
    const next = radios[(radios.indexOf(document.activeElement) + step + radios.length) % radios.length];
    next.focus();
    if (!this.multiple) this.choose(next.dataset.label);
  }

  choose(label) {
    if (taskLocked) return;
    // Enter is then for the choice just made, not for what the search had at hand.
    if (this.search?.active?.dataset.label !== label) this.search?.activate(null);
    const alone = [CANNOT_TELL, this.exclusion];
    if (!this.multiple) this.labels = [label];
    else if (this.has(label)) this.labels = this.labels.filter((one) => one !== label);
    else if (alone.includes(label)) this.labels = [label];
    else this.labels = [...this.labels.filter((one) => !alone.includes(one)), label];
    this.refresh();
    this.element.dispatchEvent(new Event("choice", { bubbles: true }));
  }

  get value() {
    if (!this.labels.length) return {};
    if (!this.multiple) return { [this.name]: { label: this.labels[0] } };
    const order = [...this.categories, CANNOT_TELL];
    return { [this.name]: { labels: [...this.labels].sort((one, other) => order.indexOf(one) - order.indexOf(other)) } };
  }

  set(content) {
    const given = content[this.name] ?? {};
    const known = this.every.map((option) => option.dataset.label);
    const labels = this.multiple ? given.labels : [given.label];
    this.labels = Array.isArray(labels) ? labels.filter((label) => known.includes(label)) : [];
    this.refresh();
  }

  suggest(label) {
    this.suggestion.hidden = false;
    this.suggestion.replaceChildren("The model's suggestion: ", make("bdi", {}, label));
  }

  clear() {
    this.labels = [];
    this.refresh();
  }

  get problem() {
    return this.labels.length ? null : this.multiple ? "Choose at least one label first." : "Choose a label first.";
  }

  refresh() {
    for (const option of this.every) {
      const chosen = this.has(option.dataset.label);
      const role = option.getAttribute("role");
      option.setAttribute(role === "option" ? "aria-selected" : role === null ? "aria-pressed" : "aria-checked", String(chosen));
      const first = !this.labels.length && option === this.options[0];
      option.tabIndex = role === "option" ? -1 : role === "radio" && !chosen && !first ? -1 : 0;
    }
    this.search?.show(this.labels.map((label) => (label === CANNOT_TELL ? "Cannot tell" : label)));
  }
}
