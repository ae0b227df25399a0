// Short messages in a corner, announced politely. They end by themselves, later while the pointer or the focus is on them.

import { el, icon } from "./dom.js";

export class Toasts {
  #list;

  constructor(list) {
    this.#list = list;
  }

  /** Shows a message, a text or a list of nodes and texts; `kind` is `good`, `bad` or empty. A kept one does not give way to later ones. */
  show(message, { kind = "", symbol = "bell", kept = false } = {}) {
    const close = el(
      "button",
      { type: "button", class: "toast-close", "aria-label": "Dismiss", onclick: () => toast.remove() },
      "×",
    );
    const toast = el("div", { class: `toast ${kind} ${kept ? "" : "passing"}` }, icon(symbol), el("p", {}, message), close);
    this.#list.append(toast);
    const passing = this.#list.querySelectorAll(".passing");
    if (passing.length > MOST) passing[0].remove();
    const end = () => (toast.matches(":hover, :focus-within") ? setTimeout(end, 1_000) : toast.remove());
    setTimeout(end, kept ? 2 * SHOWN : SHOWN);
  }
}

const MOST = 3;
const SHOWN = 7_000;
