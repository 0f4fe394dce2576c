// What a key press means, the same on the page and in the task's frame. Letters go by what the key says (by its place where it says no
// Latin letter), digits by their place: on AZERTY the row of digits gives "&" or "é" without Shift. Single keys can be switched off or
// changed (WCAG 2.1.4); with Alt they always work. Enter and Escape are no characters.
"use strict";

const DEFAULT_KEYS = Object.freeze({ on: true, cannotTell: "0", skip: "s", undo: "u", flag: "f", guidelines: "g" });
const KEY_ACTIONS = ["cannotTell", "skip", "undo", "flag", "guidelines"];

// Keys as they were kept, in the form that the page works with, whatever was kept.
const keysOf = (kept) => {
  const chosen = KEY_ACTIONS.map((name) => [name, typeof kept?.[name] === "string" && /^[a-z0]$/.test(kept[name]) ? kept[name] : DEFAULT_KEYS[name]]);
  return { on: kept?.on !== false, ...Object.fromEntries(chosen) };
};

// "1" to "9", "0", "a" to "z", or null.
const plainKey = (event) => {
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code ?? "");
  if (digit && event.key.length === 1) return digit[1];
  if (/^[a-z0-9]$/i.test(event.key)) return event.key.toLowerCase();
  const letter = /^Key([A-Z])$/.exec(event.code ?? "");
  return letter && event.key.length === 1 ? letter[1].toLowerCase() : null;
};

// {action: "submit" | "clear" | "choose" | one of KEY_ACTIONS, number?}, or null. `typing`: letters and digits are for a search.
const meaningOf = (event, keys, typing) => {
  if (event.ctrlKey || event.metaKey || event.isComposing) return null;
  if (event.key === "Enter" && !event.altKey) return { action: "submit" };
  if (event.key === "Escape" && !event.altKey) return { action: "clear" };
  const pressed = plainKey(event);
  if (pressed === null || (!event.altKey && (typing || !keys.on))) return null;
  const action = KEY_ACTIONS.find((name) => keys[name] === pressed);
  if (action) return { action };
  if (!event.altKey && /^[1-9]$/.test(pressed)) return { action: "choose", number: Number(pressed) };
  return null;
};
