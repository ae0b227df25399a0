// Second factor: enrolment with QR code and manual key, recovery codes, and turning it off.

import { sentence } from "./commands.js";
import { busy, button, card, el } from "./dom.js";
import { codeField, refusal } from "./step_up.js";

export class Factor {
  node;
  #app;
  #settings;
  #authenticator;
  #content = el("div", { class: "factor" });
  #fault = el("p", { class: "fault", role: "alert" });
  #isEnrolling = false;
  /** State that is shown; null before it is known. */
  #shown = null;

  constructor(app, settings, authenticator) {
    [this.#app, this.#settings, this.#authenticator] = [app, settings, authenticator];
    this.node = card(
      "factor",
      "Second factor",
      "shield",
      "With it on, a stolen session cannot change accounts or settings.",
      this.#content,
      this.#fault,
    );
    settings.on("change", ({ twoFactorEnabled }) => {
      // The event of the change may come after the answer, which has shown the recovery codes.
      if (!this.#isEnrolling && twoFactorEnabled !== this.#shown) this.#show(twoFactorEnabled);
    });
  }

  #show(isOn, ...more) {
    this.#shown = isOn;
    const change = isOn
      ? button("Turn it off", { icon: "stop", kind: "danger", onclick: () => busy(change, () => this.#turnOff()) })
      : button("Turn it on", { icon: "shield", kind: "primary", onclick: () => busy(change, () => this.#enrol()) });
    const state = el(
      "p",
      { class: "state" },
      el("span", { class: `tag ${isOn ? "good" : ""}`, text: isOn ? "on" : "off" }),
      isOn ? "Codes of an authenticator app are asked for." : "A password alone opens everything.",
    );
    this.#replace(state, ...more, el("div", { class: "actions" }, change));
  }

  async #enrol() {
    this.#fault.textContent = "";
    const answer = await this.#settings.update({ twoFactorEnabled: true });
    if (!answer.success) this.#fault.textContent = sentence(answer);
    else if (answer.enrolment) this.#offer(answer.enrolment);
  }

  #offer({ sessionId, secret, qrPng, otpauthUrl }) {
    this.#isEnrolling = true;
    const code = codeField();
    const add = button("Put it into the authenticator here", {
      icon: "phone",
      onclick: () => this.#authenticator.add(secret, this.#app.identity.userId),
    });
    const confirm = el("button", { type: "submit", class: "button primary", text: "Turn it on" });
    const cancel = button("Cancel", { onclick: () => this.#cancel() });
    const fields = el("form", { class: "code-form" }, code, el("div", { class: "actions" }, confirm, cancel));
    fields.addEventListener("submit", (event) => {
      event.preventDefault();
      busy(confirm, () => this.#confirm(sessionId, new FormData(fields).get("code")));
    });
    const image = el("img", {
      class: "qr",
      src: `data:image/png;base64,${qrPng}`,
      alt: "QR code with the key below",
      width: "180",
      height: "180",
    });
    const key = el(
      "p",
      { class: "manual-key" },
      "Or type this key: ",
      el("code", { text: (secret.match(/.{1,4}/g) ?? []).join(" ") }),
    );
    const app = el("p", { class: "hint" }, "On a phone: ", el("a", { href: otpauthUrl, text: "open an authenticator app" }), ".");
    this.#replace(
      el("p", { text: "Scan this with an authenticator app, real or the one on this page. Then enter its code." }),
      el("div", { class: "enrolment" }, image, el("div", {}, key, add, app)),
      fields,
    );
    fields.querySelector("input").focus();
  }

  async #confirm(sessionId, token) {
    this.#fault.textContent = "";
    const answer = await this.#app.link.request("security:verify_2fa", { userId: this.#app.identity.userId, sessionId, token });
    if (!answer.success) {
      this.#fault.textContent =
        answer.error === "challenge_expired" ? "This enrolment has expired. Cancel, and turn it on again." : refusal(answer);
      return;
    }
    this.#isEnrolling = false;
    this.#show(true, recoveryCodes(answer.recoveryCodes ?? []));
    this.node.querySelector("h2").focus();
  }

  #cancel() {
    this.#isEnrolling = false;
    this.#fault.textContent = "";
    this.#show(this.#settings.current.twoFactorEnabled);
    this.node.querySelector(".button").focus();
  }

  async #turnOff() {
    this.#fault.textContent = "";
    const answer = await this.#settings.update({ twoFactorEnabled: false });
    if (!answer.success) this.#fault.textContent = sentence(answer);
  }

  /** Replaces the content; the focus does not vanish with a button. */
  #replace(...children) {
    const hadFocus = this.#content.contains(document.activeElement);
    this.#content.replaceChildren(...children);
    if (hadFocus) this.node.querySelector("h2").focus();
  }
}

function recoveryCodes(codes) {
  return el(
    "div",
    { class: "recovery" },
    el("p", {}, el("strong", { text: "Recovery codes" }), " Store them now: they are shown once, and each works once."),
    el("ul", {}, ...codes.map((code) => el("li", {}, el("code", { text: code })))),
  );
}
