// Revoking everything: a confirmation token of 60 s first, then one command.

import { countdown } from "./clock.js";
import { sentence } from "./commands.js";
import { ask } from "./dialogs.js";
import { busy, button, card, el } from "./dom.js";

export class Revocation {
  node;
  #app;
  #accounts;
  #result = el("p", { class: "said", role: "status" });
  #fault = el("p", { class: "fault", role: "alert" });

  constructor(app, accounts) {
    [this.#app, this.#accounts] = [app, accounts];
    const revoke = button("Revoke all access…", {
      icon: "stop",
      kind: "danger strong",
      onclick: () => busy(revoke, () => this.#revoke()),
    });
    this.node = card(
      "revocation",
      "Revoke everything",
      "stop",
      "Unlinks every account at once, and revokes each grant at its platform.",
      el("div", { class: "actions" }, revoke),
      this.#result,
      this.#fault,
    );
    this.node.classList.add("danger-zone");
  }

  async #revoke() {
    [this.#result.textContent, this.#fault.textContent] = ["", ""];
    const { commands } = this.#app;
    const answer = await commands.send("security:request_confirmation", { action: "security:revoke_all" });
    if (!answer.success) {
      this.#fault.textContent = sentence(answer);
      return;
    }
    const count = await this.#confirm(answer);
    if (count !== null) this.#result.textContent = count === 1 ? "1 account was unlinked." : `${count} accounts were unlinked.`;
  }

  #confirm({ confirmationToken, expiresIn }) {
    const left = el("span", { class: "time" });
    const ends = Date.now() + expiresIn * 1_000;
    const tick = () => (left.textContent = countdown(ends - Date.now()));
    tick();
    const timer = setInterval(tick, 500);
    const linked = this.#accounts.linked;
    return ask({
      title: "Revoke all access?",
      body: [
        el("p", {
          text:
            linked === 0
              ? "No account is linked at the moment; links in progress are revoked too."
              : `${linked === 1 ? "1 account is" : `${linked} accounts are`} unlinked, on all devices. This cannot be undone: each account has to be linked again.`,
        }),
        el("p", { class: "hint" }, "This confirmation is valid for ", left, "."),
      ],
      confirm: "Revoke everything",
      kind: "danger strong",
      submit: async () => {
        const { link, identity } = this.#app;
        const answer = await link.request("security:revoke_all", { userId: identity.userId, confirmationToken });
        if (answer.success) return answer.accountsDisconnected;
        throw new Error(
          answer.error === "confirmation_invalid" ? "This confirmation has expired. Cancel, and start again." : sentence(answer),
        );
      },
      onclose: () => clearInterval(timer),
    });
  }
}
