// Security alerts, newest first. Those that require an action stay until they are acknowledged.

import { timeOfDay } from "./clock.js";
import { sentence } from "./commands.js";
import { busy, button, card, el, keyed, stranger } from "./dom.js";

export class Alerts {
  node;
  #app;
  #alerts = new Map();
  #list = el("ul", { class: "rows" });
  #empty = el("p", { class: "empty", text: "No alerts. A new device, a linked account or a wrong code raises one." });
  #fault = el("p", { class: "fault", role: "alert" });

  constructor(app) {
    this.#app = app;
    const raise = button("Raise an alert", { icon: "bolt", onclick: () => busy(raise, () => this.#raise()) });
    this.node = card(
      "alerts",
      "Alerts",
      "bell",
      "What concerns the user's security. The button publishes one as your server would.",
      el("div", { class: "actions" }, raise),
      this.#fault,
      this.#empty,
      this.#list,
    );
    app.on("security:alert", (alert) => this.#received(alert));
  }

  async read() {
    let after;
    for (let page = 0; page < PAGES; page++) {
      const answer = await this.#app.link.request("security:alerts", after ? { after } : {});
      if (!answer.success || answer.alerts.length === 0) break;
      for (const alert of answer.alerts)
        this.#alerts.set(alert.alertId, { ...alert, ...this.#alerts.get(alert.alertId), isOld: true });
      after = answer.alerts.at(-1).alertId;
    }
    this.#show();
  }

  #received(alert) {
    // Sent again to each new connection until it is acknowledged: the same id is the same alert.
    if (!this.#alerts.has(alert.alertId))
      this.#app.toasts.show(stranger(alert.message), { symbol: "bell", kind: alert.requiresAction ? "bad" : "" });
    this.#alerts.set(alert.alertId, { ...alert, isOpen: alert.requiresAction });
    this.#show();
  }

  #show() {
    const newest = [...this.#alerts.values()]
      .sort((one, other) => Date.parse(other.timestamp) - Date.parse(one.timestamp))
      .slice(0, SHOWN);
    this.#empty.hidden = newest.length > 0;
    keyed(this.#list, newest, {
      key: (alert) => alert.alertId,
      create: (alert) => this.#row(alert),
      update: (row, alert) => update(row, alert),
    });
  }

  #row(alert) {
    const acknowledge = button("Acknowledge", {
      icon: "check",
      onclick: () => busy(acknowledge, () => this.#acknowledge(alert)),
    });
    return el(
      "li",
      { class: `alert ${alert.severity}` },
      el("p", { class: "row-text" }, stranger(alert.message)),
      el(
        "p",
        { class: "row-meta" },
        el("span", { class: "tag", text: alert.severity }),
        el("code", { text: alert.type }),
        el("time", { text: timeOfDay(alert.timestamp) }),
      ),
      acknowledge,
    );
  }

  async #acknowledge({ alertId }) {
    this.#fault.textContent = "";
    const answer = await this.#app.commands.send("security:ack", { alertId });
    if (!answer.success) {
      this.#fault.textContent = sentence(answer);
      return;
    }
    this.#alerts.set(alertId, { ...this.#alerts.get(alertId), isOpen: false });
    this.#show();
    this.#app.link.emit("acknowledged", alertId);
  }

  async #raise() {
    this.#fault.textContent = "";
    try {
      await this.#app.api.alert({ userId: this.#app.identity.userId });
    } catch (error) {
      this.#fault.textContent = error.message;
    }
  }
}

function update(row, { isOpen }) {
  const acknowledge = row.querySelector(".button");
  const hadFocus = acknowledge === document.activeElement;
  acknowledge.hidden = !isOpen;
  row.classList.toggle("open", Boolean(isOpen));
  if (hadFocus && !isOpen) row.closest("section")?.querySelector("h2").focus();
}

const SHOWN = 12;
/** Pages of 100 alerts that are read at most. */
const PAGES = 5;
