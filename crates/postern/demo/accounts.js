// Linked accounts: link by the hosted callback, sync, a mention from the platform, unlink.

import { AccountTile } from "./account_tile.js";
import { sentence } from "./commands.js";
import { card, el } from "./dom.js";
import { platformName } from "./platforms.js";

export class Accounts {
  node;
  #app;
  #tiles = new Map();

  constructor(app) {
    this.#app = app;
    const actions = {
      link: (tile) => this.#link(tile),
      sync: (tile) => this.#sync(tile),
      mention: (tile) => this.#mention(tile),
      unlink: (tile) => this.#unlink(tile),
    };
    for (const accountType of app.cluster.platforms) this.#tiles.set(accountType, new AccountTile(accountType, actions));
    const tiles = [...this.#tiles.values()].map((tile) => tile.node);
    this.node = card(
      "accounts",
      "Linked accounts",
      "link",
      "Link an account: the simulated platform asks for consent in a new tab. Every device of the user sees the change.",
      el("ul", { class: "tiles" }, ...tiles),
    );
    this.node.classList.add("full");
    app.on("account:status_changed", (change) => this.#changed(change));
    app.on("account:connect_response", (answer) => this.#connected(answer));
  }

  /** Number of linked accounts. */
  get linked() {
    return [...this.#tiles.values()].filter((tile) => tile.account).length;
  }

  async read() {
    const answer = await this.#app.link.request("account:list");
    if (!answer.success) return;
    for (const tile of this.#tiles.values())
      tile.show(answer.accounts.find((account) => account.accountType === tile.accountType) ?? null);
  }

  #changed({ accountType, status, metadata = {} }) {
    const tile = this.#tiles.get(accountType);
    if (!tile) return;
    if (status === "disconnected") tile.show(null);
    else if (tile.account) tile.show({ ...tile.account, status, errorMessage: undefined, ...metadata });
    // The event has no profile: a newly linked account is read.
    else if (status !== "error") this.read();
    // A link that failed: its answer says why.
    const isNothing = status === "error" && !tile.account;
    if (status !== "syncing" && !isNothing)
      this.#app.toasts.show(`${platformName(accountType)} is ${STATUS[status] ?? status}.`, {
        symbol: "link",
        kind: status === "error" ? "bad" : "",
      });
  }

  #connected(answer) {
    if (answer.success) {
      const tile = this.#tiles.get(answer.account.accountType);
      tile?.show(answer.account);
      tile?.awaitConsent(null);
      return;
    }
    for (const tile of this.#tiles.values())
      if (tile.awaitsConsent && (answer.accountType ?? tile.accountType) === tile.accountType) tile.fail(sentence(answer));
  }

  async #link(tile) {
    const { commands, api } = this.#app;
    const { accountType } = tile;
    // The callback of a gateway that runs: this page's own may have been killed.
    const cluster = await api.cluster().catch(() => null);
    if (!cluster) return tile.fail("No gateway answers.");
    const answer = await commands.send("account:authorize", { accountType, redirectUri: cluster.hostedCallback[accountType] });
    if (!answer.success) return tile.fail(sentence(answer));
    const url = new URL(answer.authorizationUrl);
    if (!["https:", "http:"].includes(url.protocol)) return tile.fail("The platform's address is no web address.");
    window.open(url.href, "_blank", "noopener");
    // A blocker of windows gives no sign with noopener: the link stays until the answer comes.
    return tile.awaitConsent(url.href);
  }

  async #sync(tile) {
    const { commands, identity } = this.#app;
    const answer = await commands.send("account:sync", { userId: identity.userId, accountType: tile.accountType });
    if (!answer.success) return tile.fail(sentence(answer));
    return tile.synced(answer);
  }

  async #mention(tile) {
    const { api, identity } = this.#app;
    const { accountType } = tile;
    try {
      // X counts what came before the first sync as read.
      if (!tile.account.lastSynced) await this.#sync(tile);
      const { arrives } = await api.mention({ userId: identity.userId, accountType });
      if (arrives === "sync") await this.#sync(tile);
      else tile.say(`Sent. ${platformName(accountType)}'s bot delivers it within seconds.`);
    } catch (error) {
      tile.fail(error.message);
    }
  }

  async #unlink(tile) {
    const { commands, identity } = this.#app;
    const answer = await commands.send("account:disconnect", { userId: identity.userId, accountType: tile.accountType });
    if (!answer.success) return tile.fail(sentence(answer));
    return tile.show(null);
  }
}

const STATUS = { connected: "linked and working", disconnected: "unlinked", error: "not working" };
