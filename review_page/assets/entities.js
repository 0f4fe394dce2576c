// crowd-entity-annotation: passages of a text get labels. By mouse: select a passage, then choose its label. By keyboard, with the focus on
// the text: arrows move from word to word, with Shift they select more of them, a digit labels, Delete removes the label at the cursor.
"use strict";

// Offsets of answers count code points; those of JavaScript count units of UTF-16.
const codePoints = (text, units) => [...text.slice(0, units)].length;
const unitsOf = (text, points) => [...text].slice(0, points).join("").length;

class Entities {
  constructor(element) {
    this.element = element;
    this.name = element.getAttribute("name");
    this.names = [this.name];
    this.text = element.getAttribute("text") ?? "";
    this.labels = readList(element.getAttribute("labels")).map((one) => (typeof one === "string" ? { label: one } : one));
    this.entities = [];
    this.selected = null;
    this.words = [...this.text.matchAll(/\S+/gu)].map((found) => [found.index, found.index + found[0].length]);
    this.cursor = { anchor: 0, at: 0 };
    const heading = make("h2", { class: "question", id: newId("question") }, element.getAttribute("header") ?? "Mark passages of the text");
    this.shown = make("div", { class: "entity-text", tabindex: "0", role: "group", "aria-labelledby": heading.id, dir: "auto" });
    this.shown.addEventListener("keydown", (event) => this.move(event));
    document.addEventListener("selectionchange", () => this.readSelection());
    this.options = this.labels.map((one) => this.option(one));
    const group = make("div", { class: "categories", role: "group", "aria-label": "Labels" }, ...this.options);
    element.prepend(heading, isBlank(this.text) ? blankNote() : this.shown, group);
    this.initial = this.read(element.hasAttribute("initial-value") ? readList(element.getAttribute("initial-value")) : []);
    this.clear();
  }

  option({ label, fullDisplayName }) {
    const button = make("button", { type: "button", class: "category", "data-label": label }, make("span", { dir: "auto" }, fullDisplayName ?? label));
    // The click must not end the selection that it is for.
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", () => this.mark(label));
    return button;
  }

  numberKeys(on) {
    this.options.forEach((option, index) => {
      option.querySelector("kbd")?.remove();
      if (on && index < MOST_AT_A_GLANCE) option.prepend(make("kbd", { "aria-hidden": "true" }, String(index + 1)));
    });
  }

  pickNumber(number) {
    const label = this.labels[number - 1]?.label;
    if (label === undefined) say(`There is no label ${number}.`);
    else this.mark(label);
  }

  // Of what the answer's form says, what fits this text and these labels, in units.
  read(entities) {
    const known = new Set(this.labels.map((one) => one.label));
    const length = [...this.text].length;
    const fits = ({ startOffset, endOffset, label }) => known.has(label) && startOffset >= 0 && startOffset < endOffset && endOffset <= length;
    return entities.filter(fits).map(({ startOffset, endOffset, label }) => ({ start: unitsOf(this.text, startOffset), end: unitsOf(this.text, endOffset), label }));
  }

  readSelection() {
    const selection = document.getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return;
    const range = selection.getRangeAt(0);
    if (!this.shown.contains(range.commonAncestorContainer)) return;
    const [start, end] = [[range.startContainer, range.startOffset], [range.endContainer, range.endOffset]].map(([node, offset]) => {
      const before = document.createRange();
      before.selectNodeContents(this.shown);
      before.setEnd(node, offset);
      return before.toString().length;
    });
    const text = this.text.slice(start, end);
    const left = text.length - text.trimStart().length;
    this.selected = text.trim() ? [start + left, start + text.trimEnd().length] : null;
  }

  mark(label) {
    if (taskLocked) return;
    if (!this.selected) return say("Select a passage of the text first.");
    const [start, end] = this.selected;
    const overlapping = this.entities.filter((one) => one.start < end && start < one.end);
    if (overlapping.some((one) => one.start < start || one.end > end)) return say("A part of this is labelled already: remove that label first.");
    this.entities = [...this.entities.filter((one) => !overlapping.includes(one)), { start, end, label }].sort((one, other) => one.start - other.start);
    this.selected = null;
    document.getSelection().removeAllRanges();
    this.changed(`${this.text.slice(start, end)}: ${label}.`);
  }

  remove(entity) {
    if (taskLocked) return;
    this.entities = this.entities.filter((one) => one !== entity);
    this.changed(`The label of ${this.text.slice(entity.start, entity.end)} is removed.`);
  }

  changed(said) {
    this.show();
    this.element.dispatchEvent(new Event("choice", { bubbles: true }));
    say(said);
  }

  move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey || !this.words.length) return;
    if (event.key === "Delete" || event.key === "Backspace") {
      const [start, end] = this.words[this.cursor.at];
      const at = this.entities.find((one) => one.start < end && start < one.end);
      if (at) this.remove(at);
      event.preventDefault();
    } else if (step) {
      event.preventDefault();
      this.cursor.at = Math.min(Math.max(this.cursor.at + (this.selected || event.shiftKey ? step : 0), 0), this.words.length - 1);
      if (!event.shiftKey) this.cursor.anchor = this.cursor.at;
      const [first, last] = [this.cursor.anchor, this.cursor.at].sort((one, other) => one - other);
      this.selected = [this.words[first][0], this.words[last][1]];
      this.show();
      say(this.text.slice(...this.selected));
    }
  }

  // The text's own characters are the only text in it, so offsets into it are offsets into the text. Names of labels come from attributes.
  show() {
    const nodes = [];
    const [from, to] = this.selected ?? [-1, -1];
    const cuts = [...new Set([0, this.text.length, ...(this.selected ?? []), ...this.entities.flatMap((one) => [one.start, one.end])])].sort((one, other) => one - other);
    cuts.slice(0, -1).forEach((start, index) => {
      const end = cuts[index + 1];
      const piece = withMarks(this.text.slice(start, end));
      const entity = this.entities.find((one) => one.start <= start && end <= one.end);
      const inside = from <= start && end <= to ? [make("span", { class: "cursor" }, ...piece)] : piece;
      if (!entity) return nodes.push(...inside);
      const mark = make("mark", { class: "entity" }, ...inside);
      if (entity.end === end) mark.append(this.removal(entity));
      nodes.push(mark);
    });
    const held = document.activeElement !== this.shown && this.shown.contains(document.activeElement);
    this.shown.replaceChildren(...nodes);
    if (held) this.shown.focus();
  }

  removal(entity) {
    const named = this.labels.find((one) => one.label === entity.label);
    const button = make("button", {
      type: "button", class: "entity-label", "data-short": named.shortDisplayName ?? entity.label,
      "aria-label": `Remove the label ${named.fullDisplayName ?? entity.label} of ${this.text.slice(entity.start, entity.end)}`,
    });
    button.addEventListener("click", () => this.remove(entity));
    return button;
  }

  get value() {
    const entities = this.entities.map(({ start, end, label }) => ({ startOffset: codePoints(this.text, start), endOffset: codePoints(this.text, end), label }));
    return { [this.name]: { entities } };
  }

  set(content) {
    const given = content[this.name]?.entities;
    this.entities = Array.isArray(given) ? this.read(given) : this.initial;
    this.show();
  }

  clear() {
    this.selected = null;
    this.entities = this.initial;
    this.show();
  }

  get problem() {
    return null;
  }

  focus() {
    this.shown.focus();
  }
}
