// Elements, built from texts only: nothing that a stranger wrote is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Element with properties (`class`, `on...` listeners, attributes) and children (nodes and texts). */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "text") element.textContent = value;
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Text of a stranger amid texts of the page: isolated, so that it does not reorder them (Unicode bidi). */
export function stranger(text) {
  return el("bdi", { text });
}

/** Symbol of the page's sprite. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Button with a label, and an icon before it where one is named. */
export function button(label, { icon: symbol, kind = "", ...properties }) {
  const shown = el("span", { text: label });
  return el("button", { type: "button", class: `button ${kind}`, ...properties }, symbol ? icon(symbol) : null, shown);
}

/** Changes the label of a `button`. */
export function relabel(element, label) {
  element.querySelector("span").textContent = label;
}

/** Runs a command of a button. The button keeps the focus, and ignores presses until the command has ended. */
export async function busy(element, run) {
  if (element.getAttribute("aria-disabled") === "true") return undefined;
  element.setAttribute("aria-disabled", "true");
  try {
    return await run();
  } finally {
    element.removeAttribute("aria-disabled");
  }
}

/** Updates the children of `list` to one element per item; elements of known keys stay, and so does the focus in them. */
export function keyed(list, items, { key, create, update }) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const children = items.map((item) => {
    const name = String(key(item));
    const child = old.get(name) ?? create(item);
    child.dataset.key = name;
    update?.(child, item);
    return child;
  });
  const lost = [...old.values()].some((child) => !children.includes(child) && child.contains(document.activeElement));
  children.forEach((child, index) => {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
  while (list.children.length > children.length) list.lastElementChild.remove();
  // The element with the focus is gone: a keyboard continues at the card instead of at the start of the page.
  if (lost) list.closest("section")?.querySelector("h2")?.focus();
}

/** Section with a heading, which takes the focus where a control vanishes. */
export function card(id, title, symbol, lead, ...children) {
  const heading = el("h2", { id: `${id}-title`, tabindex: "-1" }, icon(symbol), title);
  const intro = lead ? el("p", { class: "lead", text: lead }) : null;
  return el("section", { id, class: "card", "aria-labelledby": `${id}-title` }, heading, intro, ...children);
}
