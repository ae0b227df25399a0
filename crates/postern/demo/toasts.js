// Short messages in a corner, announced politely. They end by themselves, later while the pointer or the focus is on them.

import { el, icon } from "./dom.js";

export class Toasts {
  #list;

  constructor(list) {
    this.#list = list;
  }

  /** Shows a message; `kind` is `good`, `bad` or empty. */
  show(text, { kind = "", symbol = "bell" } = {}) {
    const close = el("button", { type: "button", class: "toast-close", "aria-label": "Dismiss", onclick: () => toast.remove() }, "×");
    const toast = el("div", { class: `toast ${kind}` }, icon(symbol), el("p", { text }), close);
    this.#list.append(toast);
    while (this.#list.children.length > MOST) this.#list.firstElementChild.remove();
    const end = () => (toast.matches(":hover, :focus-within") ? setTimeout(end, 1_000) : toast.remove());
    setTimeout(end, SHOWN);
  }
}

const MOST = 3;
const SHOWN = 7_000;
