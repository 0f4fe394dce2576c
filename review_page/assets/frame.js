// Inside the task's frame: what its other scripts share. The frame is sandboxed, has no origin, and talks to the page around by messages:
//   frame -> page  {type: "ready" | "height" | "draft" | "submit" | "action" | "say", ...}
//   page -> frame  {type: "start", answer, suggestion, keys, height} | {type: "key", ...} | {type: "keys", keys} | {type: "room", height}
//                  | {type: "guidelines"} | {type: "unlock"}; the height is the window's
"use strict";

const tell = (type, more = {}) => parent.postMessage({ type, ...more }, "*");
const say = (text) => tell("say", { text });

const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

// SageMaker's own examples write lists with single quotes, which is not JSON.
const readList = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(text.replaceAll("'", '"'));
  }
};

// Without case and accents, so that "ecole" finds "École".
const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

const ids = { last: 0 };
const newId = (word) => `${word}-${(ids.last += 1)}`;

// -- characters that nobody sees ---------------------------------------------------------------------

// Controls, also of direction, characters without width, fillers, tags, soft hyphens: they hide or reorder what a text says. And what
// stands for a character that no page can show.
const UNSEEN = /[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\ufffd]|[\u{16fe4}\u{1bca0}-\u{1bca3}\u{1d159}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;
// Those, and what changes only the look of a character before it.
const UNREADABLE = new RegExp(`${UNSEEN.source}|\\p{Default_Ignorable_Code_Point}`, "gu");
// Joiners have their place in emoji and in the scripts of Arabic and of India. A look-behind, because Chromium (156) finds no match for a range
// above U+FFFF that "$" follows at once.
const JOINED = /(?<=[\u{1f000}-\u{1faff}\u2190-\u2bff\ufe0f\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Gujarati}\p{Script=Gurmukhi}\p{Script=Sinhala}\p{Script=Mongolian}\p{M}])$/u;
// In a text in Braille its blank is the space between words.
const IN_BRAILLE = /(?<=[\u2801-\u28ff]\u2800*)$/u;
const UNSEEN_NAMES = {
  "00AD": "soft hyphen", "061C": "Arabic letter mark", "200B": "zero width space", "200C": "zero width non-joiner", "200D": "zero width joiner",
  "200E": "left-to-right mark", "200F": "right-to-left mark", "202A": "left-to-right embedding", "202B": "right-to-left embedding",
  "202C": "end of embedding", "202D": "left-to-right override", "202E": "right-to-left override", "2060": "word joiner",
  "2066": "left-to-right isolate", "2067": "right-to-left isolate", "2068": "first strong isolate", "2069": "end of isolate", FEFF: "byte order mark",
  "115F": "Hangul choseong filler", "1160": "Hangul jungseong filler", "2800": "Braille blank", "3164": "Hangul filler", FFA0: "halfwidth Hangul filler",
  FFFD: "stands for a character that cannot be shown",
};

const unseenIn = (text) =>
  [...text.matchAll(UNSEEN)].filter(({ 0: character, index }) => {
    const place = /^[\u200c\u200d]$/.test(character) ? JOINED : character === "\u2800" ? IN_BRAILLE : null;
    return !place?.test(text.slice(0, index));
  });

const isBlank = (text) => text.replace(UNREADABLE, "").trim() === "";

// The character stays in the text, for itself in a span that isolates it: it cannot reorder its neighbours, and offsets stay.
const unseenMark = (character) => {
  const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  const name = `U+${code}${UNSEEN_NAMES[code] ? ` ${UNSEEN_NAMES[code]}` : ""}`;
  return make("span", { class: "unseen", role: "img", "aria-label": name, title: name, "data-code": code }, character);
};

const withMarks = (text) => {
  const nodes = [];
  let at = 0;
  for (const found of unseenIn(text)) {
    nodes.push(text.slice(at, found.index), unseenMark(found[0]));
    at = found.index + found[0].length;
  }
  return [...nodes, text.slice(at)];
};

const markUnseen = (element) => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const node of texts) if (unseenIn(node.data).length) node.replaceWith(...withMarks(node.data));
};

const blankNote = () => make("p", { class: "blank" }, "This text is blank: it holds nothing that can be read.");
