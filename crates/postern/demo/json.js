// JSON with colours by kind of token. Texts only: the parts are spans with text content.

import { el } from "./dom.js";

/** Value as indented, coloured JSON. */
export function json(value) {
  const text = JSON.stringify(value, null, 2).replace(INVISIBLE, escaped);
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(TOKEN)) {
    parts.push(text.slice(end, found.index));
    const kind = found[2] ? "key" : found[1] ? "string" : "literal";
    parts.push(el("span", { class: `json-${kind}`, text: found[1] ?? found[0] }), found[2] ?? "");
    end = found.index + found[0].length;
  }
  return el("pre", {}, ...parts.filter(Boolean), text.slice(end));
}

/** Characters that are not seen, or reorder what is, as JSON escapes. */
function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

const INVISIBLE = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A text with the colon after it where it is a key, or a number, a boolean or null. */
const TOKEN = /("(?:\\.|[^"\\])*")(:)?|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|true|false|null/gi;
