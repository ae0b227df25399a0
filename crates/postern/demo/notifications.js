// Notifications of the platforms, newest first.

import { timeOfDay } from "./clock.js";
import { card, el, keyed, stranger } from "./dom.js";
import { monogram, platformName } from "./platforms.js";

export class Notifications {
  node;
  #list = el("ul", { class: "rows" });
  #empty = el("p", { class: "empty", text: "Nothing yet. Link an account, then press Mention on it." });
  #received = new Map();

  constructor(app) {
    this.node = card(
      "notifications",
      "Notifications",
      "chat",
      "What happens on the linked platforms: mentions, messages, replies, followers.",
      this.#empty,
      this.#list,
    );
    app.on("notification:incoming", (notification) => {
      // After a fresh start an event may come again, with the same id.
      if (this.#received.has(notification.eventId)) return;
      this.#received.set(notification.eventId, notification);
      app.toasts.show([`${platformName(notification.platform)}: ${notification.type} from `, stranger(notification.sender)], {
        symbol: "chat",
      });
      this.#show();
    });
  }

  #show() {
    const newest = [...this.#received.values()].slice(-SHOWN).reverse();
    this.#empty.hidden = true;
    keyed(this.#list, newest, { key: (notification) => notification.eventId, create: row });
  }
}

function row({ platform, type, sender, content, timestamp }) {
  return el(
    "li",
    { class: "notification", "data-platform": platform },
    el("span", { class: "avatar small", "aria-hidden": "true", text: monogram(platform) }),
    el(
      "div",
      {},
      el("p", { class: "row-text" }, stranger(content)),
      el(
        "p",
        { class: "row-meta" },
        el("span", { class: "tag", text: type }),
        el("span", {}, stranger(sender), ` on ${platformName(platform)}`),
        el("time", { text: timeOfDay(timestamp) }),
      ),
    ),
  );
}

const SHOWN = 12;
