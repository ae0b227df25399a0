// Stand-in for the authenticator app on the user's phone. It has its keys in this tab alone, where a real one never would be.

import { serverNow } from "./clock.js";
import { button, card, el, keyed } from "./dom.js";
import { STEP, base32, code } from "./totp.js";

const KEY = "postern-demo-authenticator";

export class Authenticator {
  node;
  #app;
  #keys = load();
  #list = el("ul", { class: "codes" });
  #empty = el("p", { class: "empty", text: "No key yet. Turn on the second factor, or type a key." });
  #fault = el("p", { class: "fault", role: "alert" });

  constructor(app) {
    this.#app = app;
    const input = el("input", { id: "key-field", name: "key", autocomplete: "off", spellcheck: "false" });
    const fields = el(
      "form",
      { class: "field inline" },
      el("label", { for: "key-field", text: "Type a key" }),
      input,
      el("button", { type: "submit", class: "button", text: "Add" }),
    );
    fields.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.add(input.value, app.identity.userId)) input.value = "";
    });
    this.node = card(
      "authenticator",
      "Authenticator",
      "phone",
      "A simulated app: it stands for the user's phone and is no part of the application.",
      this.#empty,
      this.#list,
      fields,
      this.#fault,
    );
    const timer = setInterval(() => this.#show(), 500);
    app.signal.addEventListener("abort", () => clearInterval(timer));
    this.#show();
  }

  /** Adds a key; false where it is none. */
  add(secret, userId) {
    this.#fault.textContent = "";
    try {
      base32(secret);
    } catch (error) {
      this.#fault.textContent = error.message;
      return false;
    }
    const name = secret.toUpperCase().replace(/[\s=-]/g, "");
    this.#keys = [...this.#keys.filter((key) => key.secret !== name), { secret: name, userId }].slice(-KEPT);
    sessionStorage.setItem(KEY, JSON.stringify(this.#keys));
    this.#show();
    return true;
  }

  async #show() {
    const now = serverNow();
    const codes = await Promise.all(
      this.#keys.map(async (key) => ({ ...key, code: await code(key.secret, now), left: STEP - (now % STEP) })),
    );
    this.#empty.hidden = codes.length > 0;
    keyed(this.#list, codes.reverse(), { key: (shown) => shown.secret, create: (shown) => this.#row(shown), update });
  }

  #row({ userId, secret }) {
    const copy = button("Copy", { kind: "quiet", "aria-label": `Copy the code of ${userId}`, onclick: () => this.#copy(row) });
    const remove = button("Remove", {
      kind: "quiet",
      "aria-label": `Remove the key of ${userId}`,
      onclick: () => this.#remove(secret),
    });
    const row = el(
      "li",
      {},
      el("span", { class: "ring", "aria-hidden": "true" }),
      el(
        "div",
        {},
        el("p", { class: "otp" }),
        el("p", { class: "row-meta" }, el("span", { text: `Postern: ${userId}` }), el("span", { class: "left" })),
      ),
      copy,
      remove,
    );
    return row;
  }

  async #copy(row) {
    const text = row.querySelector(".otp").textContent.replace(" ", "");
    const isCopied = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    this.#app.toasts.show(isCopied ? "The code is copied." : "The browser does not allow copying. Type the code.", {
      symbol: "phone",
      kind: isCopied ? "good" : "bad",
    });
  }

  #remove(secret) {
    this.#keys = this.#keys.filter((key) => key.secret !== secret);
    sessionStorage.setItem(KEY, JSON.stringify(this.#keys));
    this.#show();
  }
}

function update(row, { code: digits, left }) {
  const shown = `${digits.slice(0, 3)} ${digits.slice(3)}`;
  const otp = row.querySelector(".otp");
  if (otp.textContent !== shown) otp.textContent = shown;
  row.querySelector(".left").textContent = `${Math.ceil(left / 1_000)} s`;
  row.querySelector(".ring").style.setProperty("--part", String(left / STEP));
}

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

const KEPT = 4;
