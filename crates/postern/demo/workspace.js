// Cards of a signed-in user, and what reads their state again after a fresh start.

import { Accounts } from "./accounts.js";
import { Alerts } from "./alerts.js";
import { Authenticator } from "./authenticator.js";
import { Devices } from "./devices.js";
import { el } from "./dom.js";
import { Factor } from "./factor.js";
import { Gateways } from "./gateways.js";
import { Notifications } from "./notifications.js";
import { Revocation } from "./revocation.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { Tour } from "./tour.js";

export class Workspace {
  node;
  #until = new AbortController();

  constructor(signedIn, banner) {
    const { signal } = this.#until;
    // The link outlives the cards of one sign-in.
    const app = { ...signedIn, signal, on: (name, listener) => signedIn.link.on(name, listener, signal) };
    const settings = new Settings(app);
    const authenticator = new Authenticator(app);
    const accounts = new Accounts(app);
    const alerts = new Alerts(app);
    const devices = new Devices(app);
    const stacks = [
      [alerts, new Notifications(app), new Session(app, settings, banner), new Gateways(app)],
      [devices, new Factor(app, settings, authenticator), authenticator, new Revocation(app, accounts)],
    ];
    const title = el("h1", { class: "hidden", text: `Account security of ${app.identity.userId}` });
    const columns = stacks.map((cards) => el("div", { class: "stack" }, ...cards.map((card) => card.node)));
    this.node = el("div", { class: "workspace" }, title, new Tour(app).node, accounts.node, ...columns);
    app.on("fresh", ({ isLoss }) => {
      if (isLoss) app.toasts.show(LOST, { kind: "bad", symbol: "sync", kept: true });
      for (const card of [settings, accounts, alerts, devices]) card.read();
    });
    app.on("recovered", () => app.toasts.show(RECOVERED, { kind: "good", symbol: "check", kept: true }));
  }

  /** Ends listeners and timers of the cards. */
  end() {
    this.#until.abort();
  }
}

const LOST = "Some events were lost while this tab was away. It has read everything again.";
const RECOVERED = "Connected again, and nothing was lost: the gateway sent what this tab had missed.";
