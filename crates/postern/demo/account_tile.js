// Tile of one platform: the linked account, or the button to link one.

import { timeOfDay } from "./clock.js";
import { busy, button, el, icon, stranger } from "./dom.js";
import { monogram, platformName } from "./platforms.js";

export class AccountTile {
  node;
  accountType;
  /** Linked account, or null. */
  account = null;
  #avatar = el("span", { class: "avatar" });
  #name = el("p", { class: "account-name" });
  #status = el("p", { class: "account-status" });
  #said = el("p", { class: "said", role: "status" });
  #consent = el("p", { class: "consent" });
  #buttons;

  constructor(accountType, actions) {
    this.accountType = accountType;
    const platform = platformName(accountType);
    const run = (action) => (event) => {
      this.say("");
      return busy(event.currentTarget, () => action(this));
    };
    const of = (label, symbol, action, kind = "") =>
      button(label, { icon: symbol, kind, "aria-label": `${label} ${platform}`, onclick: run(action) });
    this.#buttons = {
      link: of("Link", "plus", actions.link, "primary"),
      sync: of("Sync", "sync", actions.sync),
      mention: of("Mention", "chat", actions.mention),
      unlink: of("Unlink", "stop", actions.unlink, "quiet"),
    };
    this.node = el(
      "li",
      { class: "tile", "data-platform": accountType },
      el("div", { class: "tile-head" }, this.#avatar, el("div", {}, el("h3", { text: platform }), this.#name)),
      this.#status,
      el("div", { class: "actions" }, ...Object.values(this.#buttons)),
      this.#consent,
      this.#said,
    );
    this.show(null);
  }

  get awaitsConsent() {
    return this.#consent.hasChildNodes();
  }

  show(account) {
    const hadFocus = this.node.contains(document.activeElement);
    this.account = account;
    const status = account?.status ?? "unlinked";
    this.node.dataset.status = status;
    this.#name.replaceChildren(account ? stranger(account.displayName ?? account.username) : "Not linked");
    this.#avatar.replaceChildren(
      el("span", { text: monogram(this.accountType) }),
      account?.avatarUrl ? avatar(account.avatarUrl) : "",
    );
    this.#status.hidden = !account;
    this.#status.replaceChildren(el("span", { class: "dot" }), stranger(describe(account)));
    this.#buttons.link.hidden = status !== "unlinked" && status !== "error";
    for (const name of ["sync", "mention", "unlink"]) this.#buttons[name].hidden = !account;
    // A hidden button would take the focus with it.
    if (hadFocus && document.activeElement?.hidden !== false)
      Object.values(this.#buttons)
        .find((one) => !one.hidden)
        .focus();
  }

  /** Offers the consent page as a link, for browsers that block windows; null removes it. */
  awaitConsent(url) {
    this.#consent.replaceChildren();
    if (!url) return;
    const page = el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, "Open the consent page", icon("tab"));
    this.#consent.append("Waiting for your consent in the other tab. ", page);
  }

  synced({ lastSynced, data: { notifications, more } }) {
    if (this.account) this.show({ ...this.account, lastSynced });
    this.say(notifications ? `Synced: ${notifications}${more ? " and more" : ""} new.` : "Synced: nothing new.");
  }

  say(text) {
    this.#said.classList.remove("fault");
    this.#said.textContent = text;
  }

  fail(text) {
    this.awaitConsent(null);
    this.say(text);
    this.#said.classList.add("fault");
  }
}

function avatar(url) {
  return el("img", { src: url, alt: "", width: "40", height: "40", onerror: ({ currentTarget }) => currentTarget.remove() });
}

function describe(account) {
  if (!account) return "";
  const last = account.lastSynced ? `, synced at ${timeOfDay(account.lastSynced)}` : "";
  return (
    { connected: `Linked${last}`, syncing: "Syncing…", error: account.errorMessage ?? "Not working" }[account.status] ??
    account.status
  );
}
