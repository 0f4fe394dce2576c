// Text fields, boxes, radio buttons, sliders, selects and marked passages. The crowd elements become native controls, which their answer is
// read from; native controls of a template are read as they are.
"use strict";

const words = (element, names) => Object.fromEntries(names.filter((name) => element.hasAttribute(name)).map((name) => [name, element.getAttribute(name)]));

const labelled = (control, text, after = false) => {
  const caption = make("span", { class: "caption" }, text);
  return make("label", { class: after ? "beside" : "field" }, ...(after ? [control, caption] : [caption, control]));
};

// A template's script asks the crowd element, as on SageMaker, for what its control holds.
const passOn = (element, control, ...names) => {
  for (const name of names) {
    const set = (value) => {
      control[name] = value;
      control.dispatchEvent(new Event("input", { bubbles: true }));
    };
    Object.defineProperty(element, name, { get: () => control[name], set, configurable: true });
  }
};

const buildText = (element) => {
  const long = element.localName === "crowd-text-area";
  const given = words(element, ["name", "placeholder", "required", "disabled", "rows", ...(long ? [] : ["type", "min", "max", "step", "pattern"])]);
  const control = make(long ? "textarea" : "input", { dir: "auto", ...given });
  for (const [attribute, property] of [["max-length", "maxlength"], ["min-length", "minlength"]]) {
    if (element.hasAttribute(attribute)) control.setAttribute(property, element.getAttribute(attribute));
  }
  control.value = element.getAttribute("value") ?? "";
  control.dataset.message = element.getAttribute("error-message") ?? "";
  const field = labelled(control, element.getAttribute("label") || element.getAttribute("placeholder") || element.getAttribute("name"));
  if (element.hasAttribute("char-counter")) {
    const counter = make("span", { class: "counter" });
    const count = () => { counter.textContent = `${control.value.length}${control.maxLength > 0 ? ` of ${control.maxLength}` : ""} characters`; };
    control.addEventListener("input", count);
    count();
    field.append(counter);
  }
  element.replaceChildren(field);
  passOn(element, control, "value");
};

const buildBox = (element) => {
  const control = make("input", { type: "checkbox", value: "on", ...words(element, ["name", "value", "required", "disabled", "checked"]) });
  const text = make("span", {}, ...element.childNodes);
  element.replaceChildren(labelled(control, text.textContent.trim() ? text : element.getAttribute("name"), true));
  passOn(element, control, "checked", "value");
};

// The name that the browser groups by is the group's; the answer's name stays with the button.
const buildRadio = (element) => {
  const group = element.closest("crowd-radio-group");
  if (group) group.dataset.group ||= newId("group");
  const control = make("input", { type: "radio", value: "on", ...words(element, ["value", "disabled", "checked"]), required: "" });
  control.name = group ? group.dataset.group : `radio-${element.getAttribute("name")}`;
  control.dataset.answer = element.getAttribute("name");
  element.replaceChildren(labelled(control, make("span", {}, ...element.childNodes), true));
  passOn(element, control, "checked", "value");
};

const buildSlider = (element) => {
  const given = { min: "0", max: "100", step: "1", ...words(element, ["name", "min", "max", "step", "value", "required", "disabled"]) };
  const control = make("input", { type: "range", ...given, "data-slider": "" });
  const shown = make("output", { class: "shown" }, element.hasAttribute("value") ? control.value : "not set");
  if (element.hasAttribute("value")) control.dataset.touched = "";
  for (const event of ["input", "pointerup", "keyup"]) {
    control.addEventListener(event, (happened) => {
      if (event === "keyup" && !/^(Arrow|Page|Home|End| )/.test(happened.key)) return;
      control.dataset.touched = "";
      shown.textContent = control.value;
      control.dispatchEvent(new Event("change", { bubbles: true }));
    });
  }
  control.setAttribute("aria-label", element.getAttribute("label") ?? element.previousElementSibling?.textContent.trim() ?? given.name);
  element.replaceChildren(make("span", { class: "slider" }, make("span", {}, given.min), control, make("span", {}, given.max), shown));
  passOn(element, control, "value");
};

const BUILDERS = {
  "crowd-input": buildText, "crowd-text-area": buildText, "crowd-checkbox": buildBox, "crowd-radio-button": buildRadio, "crowd-slider": buildSlider,
};

class TextControl {
  constructor(control) {
    this.control = control;
    this.names = [control.name];
  }

  get value() {
    const text = this.control.value;
    return text.trim() ? { [this.control.name]: text } : {};
  }

  set(content) {
    const text = content[this.control.name];
    this.control.value = typeof text === "string" ? text : "";
    this.control.dispatchEvent(new Event("input"));
  }

  clear() {
    this.set({});
  }

  get problem() {
    const { control } = this;
    const text = control.value;
    const name = control.labels?.[0]?.querySelector(".caption")?.textContent || control.name;
    const said = (reason) => control.dataset.message || `${name}: ${reason}`;
    if (!text.trim()) return control.required ? said("write something.") : null;
    if (control.minLength > 0 && text.length < control.minLength) return said(`at least ${control.minLength} characters.`);
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)) return said("it has a broken character. Delete it and type it again.");
    return control.validity.valid ? null : said(control.validationMessage || "this does not fit.");
  }

  focus() {
    this.control.focus();
  }
}

class FixedControl {
  constructor(control) {
    this.control = control;
    this.names = [control.name];
    this.problem = null;
  }

  get value() {
    return { [this.control.name]: this.control.value };
  }

  set() {}
  clear() {}
  focus() {}
}

class SelectControl extends TextControl {
  get value() {
    return { [this.control.name]: this.control.value };
  }

  set(content) {
    const value = content[this.control.name];
    if ([...this.control.options].some((option) => option.value === value)) this.control.value = value;
    else this.control.selectedIndex = [...this.control.options].findIndex((option) => option.defaultSelected);
    if (this.control.selectedIndex < 0) this.control.selectedIndex = 0;
  }

  get problem() {
    return this.control.required && !this.control.value ? `${this.control.name}: choose one.` : null;
  }
}

class SliderControl extends TextControl {
  get value() {
    return "touched" in this.control.dataset ? { [this.control.name]: Number(this.control.value) } : {};
  }

  set(content) {
    const value = content[this.control.name];
    if (typeof value !== "number") return;
    this.control.value = String(value);
    this.control.dispatchEvent(new Event("input"));
  }

  clear() {}

  get problem() {
    return this.control.required && !("touched" in this.control.dataset) ? `${this.control.name}: move the slider.` : null;
  }
}

// Boxes of one name, or the buttons of one radio group.
class ChecksControl {
  constructor(controls) {
    this.controls = controls;
    this.names = [...new Set(controls.map((control) => this.nameOf(control)))];
  }

  nameOf(control) {
    return control.dataset.answer ?? control.name;
  }

  get value() {
    const answer = {};
    for (const control of this.controls) (answer[this.nameOf(control)] ??= {})[control.value] = control.checked;
    return answer;
  }

  set(content) {
    for (const control of this.controls) control.checked = content[this.nameOf(control)]?.[control.value] === true;
  }

  clear() {
    for (const control of this.controls) control.checked = control.defaultChecked;
  }

  pickNumber(number) {
    this.controls[number - 1]?.click();
    this.controls[number - 1]?.focus();
  }

  get problem() {
    const radio = this.controls[0].type === "radio";
    if (radio && this.controls.some((control) => control.required) && !this.controls.some((control) => control.checked)) return "Choose one of the buttons.";
    const open = radio ? null : this.controls.find((control) => control.required && !control.checked);
    return open ? `${open.labels?.[0]?.textContent.trim() || open.name}: check this box first.` : null;
  }

  focus() {
    this.controls[0].focus();
  }
}

const controlsIn = (root) => {
  const fields = [];
  const groups = new Map();
  const add = (key, control) => {
    if (groups.has(key)) groups.get(key).push(control);
    else groups.set(key, [control]);
  };
  for (const control of root.querySelectorAll("input, textarea, select")) {
    if (!control.name || control.disabled || "own" in control.dataset) continue;
    if (control.type === "checkbox" || control.type === "radio") add(`${control.type} ${control.name}`, control);
    else if ("slider" in control.dataset) fields.push(new SliderControl(control));
    else if (control.localName === "select") fields.push(new SelectControl(control));
    else if (control.type === "hidden") fields.push(new FixedControl(control));
    else if (!["submit", "button", "reset", "image"].includes(control.type)) fields.push(new TextControl(control));
  }
  return [...fields, ...[...groups.values()].map((controls) => new ChecksControl(controls))];
};
