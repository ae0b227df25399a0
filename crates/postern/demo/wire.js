// Messages as they go over the wire, both ways, decoded, with secrets masked and a sentence about each.

import { timeOfDay } from "./clock.js";
import { button, el } from "./dom.js";
import { GLOSSARY } from "./glossary.js";
import { json } from "./json.js";
import { claims, masked } from "./mask.js";

export class Wire {
  #list = el("ol", { class: "frames" });
  #empty = el("p", {
    class: "wire-empty",
    text: "Nothing yet. Sign in, and the first message appears here: auth, with the token.",
  });
  #scroller = el(
    "div",
    { class: "wire-scroll", tabindex: "0", role: "region", "aria-label": "Messages" },
    this.#empty,
    this.#list,
  );
  #counted = 0;

  constructor(node, link) {
    const filters = el(
      "fieldset",
      { class: "switch" },
      el("legend", { class: "hidden", text: "Show" }),
      ...FILTERS.map(([value, label]) => filter(value, label, () => (node.dataset.show = value))),
    );
    const clear = button("Clear", { kind: "quiet", onclick: () => this.#clear() });
    const expand = el("input", { type: "checkbox", id: "wire-expand", onchange: () => this.#expandAll(expand.checked) });
    node.dataset.show = "all";
    node.append(
      el(
        "div",
        { class: "wire-head" },
        el("h2", { id: "wire-title", text: "On the wire" }),
        el("p", { text: "Each message of this tab, as JSON over one WebSocket. Secrets are masked here, not on the wire." }),
      ),
      el("div", { class: "wire-tools" }, filters, el("label", { class: "check" }, expand, "Expand"), clear),
      this.#scroller,
    );
    link.on("frame", (frame) => this.#add(frameItem(frame, expand.checked)));
    link.on("note", (note) => this.#add(noteItem(note)));
  }

  /** Shows the number of messages since the page was opened. */
  count(node) {
    node.textContent = String(++this.#counted);
  }

  #add(item) {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const followsEnd = scrollHeight - scrollTop - clientHeight < 60;
    this.#empty.hidden = true;
    this.#list.append(item);
    while (this.#list.children.length > KEPT) this.#list.firstElementChild.remove();
    if (followsEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  #clear() {
    this.#list.replaceChildren();
    this.#empty.hidden = false;
    this.#empty.textContent = "Cleared. The next message appears here.";
  }

  #expandAll(open) {
    for (const details of this.#list.querySelectorAll("details")) details.open = open;
  }
}

function filter(value, label, choose) {
  return el(
    "label",
    {},
    el("input", { type: "radio", name: "wire-filter", value, checked: value === "all", onchange: choose }),
    el("span", { text: label }),
  );
}

function frameItem({ direction, message, bytes, batch }, open) {
  const { event, data = {} } = message;
  const outcome = "success" in data ? (data.success ? ["ok", "good"] : [data.error, "bad"]) : null;
  const summary = el(
    "summary",
    {},
    el("span", { class: "arrow", "aria-hidden": "true", text: direction === "sent" ? "↑" : "↓" }),
    el("span", { class: "hidden", text: `${direction} ` }),
    el("code", { class: "name", text: event }),
    outcome ? el("span", { class: `outcome ${outcome[1]}`, text: outcome[0] }) : null,
    batch > 1 ? el("span", { class: "outcome", text: `batch of ${batch}` }) : null,
    el("time", { text: timeOfDay(Date.now()) }),
  );
  const details = el("details", { open }, summary);
  // Built when it is opened: most messages never are.
  const fill = () => details.children.length === 1 && details.append(...explanation(message, bytes));
  details.addEventListener("toggle", fill);
  if (open) fill();
  return el("li", { class: direction }, details);
}

function explanation(message, bytes) {
  const token = ["auth", "auth:refresh"].includes(message.event) && claims(message.data?.token ?? "");
  return [
    el("p", {
      class: "about",
      text: `${GLOSSARY[message.event] ?? "A message that this page does not know; clients ignore it."} ${bytes} bytes.`,
    }),
    json(masked(message)),
    token ? el("p", { class: "about", text: "Claims of the token, which anyone can read who has it:" }) : null,
    token ? json(token) : null,
  ].filter(Boolean);
}

function noteItem({ text, kind }) {
  return el("li", { class: `wire-note ${kind}` }, el("span", { text }), el("time", { text: timeOfDay(Date.now()) }));
}

const KEPT = 300;
const FILTERS = [
  ["all", "All"],
  ["sent", "↑ Sent"],
  ["received", "↓ Received"],
];
