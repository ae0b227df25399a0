// Status in the header: connection, gateway, end of the session, user, and the way out.

import { countdown } from "./clock.js";
import { button, el, stranger } from "./dom.js";
import { LETTERS } from "./sign_in.js";

export class StatusBar {
  #node;
  #app;
  #state = el("span", { class: "state-text" });
  #chip = el("p", { class: "chip", role: "status" }, el("span", { class: "dot" }), this.#state);
  #time = el("span", { class: "time", text: "–:––" });
  #clock = el(
    "p",
    { class: "chip clock", title: "Time until the session ends without activity" },
    el("span", { class: "hidden", text: "Session ends in " }),
    this.#time,
  );
  #user = el("span", { class: "who" });
  #out = button("Sign out", { icon: "out", kind: "quiet" });

  constructor(node, app) {
    [this.#node, this.#app] = [node, app];
    this.#out.addEventListener("click", () => app.signOut());
    app.link.on("state", (state) => this.#update(state));
    app.link.on("session_left", (left) => this.#tick(left));
  }

  show({ userId, deviceName }) {
    this.#user.replaceChildren(el("strong", {}, stranger(userId)), el("span", {}, stranger(deviceName)));
    this.#node.replaceChildren(this.#chip, this.#clock, this.#user, this.#out);
  }

  clear() {
    this.#node.replaceChildren();
  }

  #update(state) {
    const { link, cluster } = this.#app;
    const index = cluster?.gateways.findIndex(({ url }) => url === link.gateway) ?? -1;
    const gateway = `gateway ${LETTERS[index] ?? ""}`;
    const texts = {
      live: `Live on ${gateway}`,
      connecting: `Connecting to ${gateway}`,
      waiting: "Connection lost, trying again",
    };
    this.#chip.dataset.state = state;
    this.#state.textContent = texts[state] ?? "Signed out";
  }

  #tick(left) {
    this.#time.textContent = countdown(left);
    this.#clock.classList.toggle("soon", left < 60_000);
  }
}
