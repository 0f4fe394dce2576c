// What stands around the questions: instructions, cards, alerts, tabs. The guidelines stand beside the questions where there is room, else fold.
"use strict";

const buildCard = (element) => {
  const picture = element.getAttribute("image");
  if (picture) element.prepend(make("img", { src: picture, alt: "" }));
  if (element.hasAttribute("heading")) element.prepend(make("h2", {}, element.getAttribute("heading")));
};

const buildAlert = (element) => {
  element.setAttribute("role", element.getAttribute("type") === "error" ? "alert" : "note");
  if (!element.hasAttribute("dismissible")) return;
  const dismiss = make("button", { type: "button", class: "dismiss" }, "Dismiss");
  dismiss.addEventListener("click", () => {
    const next = element.contains(document.activeElement) ? focusedBeside(element) : null;
    element.remove();
    next?.focus();
  });
  element.append(dismiss);
};

// What Tab would reach after the element, or else before it: whoever closes the element goes on there.
const focusedBeside = (element) => {
  const reached = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter(
    (one) => one.tabIndex >= 0 && !one.disabled && one.getClientRects().length && !element.contains(one),
  );
  const follows = (one) => element.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING;
  return reached.find(follows) ?? reached.at(-1);
};

const buildTabs = (element) => {
  const panels = [...element.querySelectorAll(":scope > crowd-tab")];
  const tabs = panels.map((panel, index) => {
    panel.id ||= newId("panel");
    const tab = make("button", { type: "button", role: "tab", id: newId("tab"), "aria-controls": panel.id }, panel.getAttribute("header") ?? `Page ${index + 1}`);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => open(index));
    return tab;
  });
  const open = (chosen) => panels.forEach((panel, index) => {
    panel.hidden = index !== chosen;
    tabs[index].setAttribute("aria-selected", String(index === chosen));
    tabs[index].tabIndex = index === chosen ? 0 : -1;
  });
  const list = make("div", { role: "tablist", class: "tabs" }, ...tabs);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = (tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length;
    open(next);
    tabs[next].focus();
  });
  // What is wrong in a hidden page must be found: whoever looks there opens it.
  panels.forEach((panel, index) => panel.addEventListener("reveal", () => open(index)));
  element.prepend(list);
  if (panels.length) open(0);
};

const buildInstructions = (element) => {
  const parts = [["short-summary", "Summary"], ["detailed-instructions", "Detailed instructions"], ["positive-example", "Good example"], ["negative-example", "Bad example"]];
  const found = parts.flatMap(([name, heading]) => [...element.querySelectorAll(name)].map((part) => [make("h2", {}, heading), part]));
  return { heading: element.getAttribute("link-text") ?? "Instructions", parts: found.flat() };
};

const LAYOUTS = { "crowd-card": buildCard, "crowd-alert": buildAlert, "crowd-tabs": buildTabs };

// crowd-instructions has headings over its examples; beside a label they say themselves what they are of, where the template does not.
const EXAMPLES = { "positive-example": "Fits: ", "negative-example": "Does not fit: " };

// One pane of all full instructions; null without any.
const guidelinesPane = () => {
  for (const [name, said] of Object.entries(EXAMPLES)) {
    for (const example of document.querySelectorAll(`full-instructions ${name}`)) {
      if (!example.querySelector("strong")) example.prepend(make("strong", {}, said));
    }
  }
  const sections = [];
  for (const element of document.querySelectorAll("full-instructions")) sections.push({ heading: element.getAttribute("header") ?? "Full instructions", parts: [element] });
  for (const element of document.querySelectorAll("crowd-instructions")) {
    sections.push(buildInstructions(element));
    element.remove();
  }
  if (!sections.length) return null;
  const pane = make("details", { class: "guidelines" }, make("summary", {}, sections[0].heading));
  sections.forEach(({ heading, parts }, index) => pane.append(...(index ? [make("h2", {}, heading)] : []), ...parts));
  return pane;
};
