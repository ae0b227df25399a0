// Steps to try. Each is checked by what happens on the wire, not by a press.

import { card, el, icon } from "./dom.js";

const KEY = "postern-demo-tour";

export class Tour {
  node;
  #done = new Set(load());
  #items = new Map();
  #count = el("span", { class: "count" });
  #bar = el("progress", { max: String(STEPS.length), value: "0", "aria-label": "Steps done" });

  constructor(app) {
    const steps = STEPS.map(([id, title, where, hint]) => {
      const state = el("span", { class: "hidden" });
      const item = el(
        "li",
        {},
        el("span", { class: "check-mark" }, icon("check")),
        el("a", { href: `#${where}`, text: title, onclick: (event) => jump(event, where) }),
        state,
        el("span", { class: "hint", text: hint }),
      );
      this.#items.set(id, { item, state });
      return item;
    });
    const list = el(
      "details",
      { open: true },
      el("summary", {}, "Things to try, ", this.#count),
      el("ol", { class: "steps" }, ...steps),
    );
    this.node = card("tour", "Start here", "list", null, this.#bar, list);
    this.node.classList.add("full");
    this.#listen(app);
    this.#show();
  }

  #listen(app) {
    const on = (event, id, isDone = () => true) => app.on(event, (data) => isDone(data) && this.#check(id));
    const succeeded = ({ success }) => success;
    on("fresh", "sign_in");
    on("devices", "second_tab", (count) => count > 1);
    on("account:connect_response", "link", succeeded);
    on("account:sync_complete", "sync", succeeded);
    on("notification:incoming", "mention");
    on("security:2fa_verified", "enrol", ({ success, recoveryCodes }) => success && recoveryCodes);
    on("security:2fa_verified", "step_up", ({ success, recoveryCodes }) => success && !recoveryCodes);
    on("security:session_extended", "extend", succeeded);
    on("auth:refreshed", "extend", succeeded);
    on("acknowledged", "acknowledge");
    on("recovered", "resume");
    on("security:end_sessions_response", "end", ({ success, sessionsEnded }) => success && sessionsEnded > 0);
    on("security:revoke_complete", "revoke", succeeded);
  }

  #check(id) {
    this.#done.add(id);
    sessionStorage.setItem(KEY, JSON.stringify([...this.#done]));
    this.#show();
  }

  #show() {
    for (const [id, { item, state }] of this.#items) {
      item.classList.toggle("done", this.#done.has(id));
      state.textContent = this.#done.has(id) ? " (done)" : "";
    }
    const done = [...this.#items.keys()].filter((id) => this.#done.has(id)).length;
    this.#count.textContent = `${done} of ${STEPS.length} done`;
    this.#bar.value = done;
  }
}

/** Scrolls to a card and focuses its heading, without a change of the address. */
function jump(event, where) {
  event.preventDefault();
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const target = document.getElementById(where);
  target.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
  target.querySelector("h2").focus({ preventScroll: true });
}

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

const STEPS = [
  ["sign_in", "Sign in", "session", "auth, ready"],
  ["second_tab", "Open a second tab on the other gateway", "devices", "an alert reaches both"],
  ["link", "Link an account", "accounts", "consent, then both tabs change"],
  ["sync", "Sync it", "accounts", "syncing, connected"],
  ["mention", "Get a mention", "notifications", "notification:incoming"],
  ["acknowledge", "Acknowledge an alert", "alerts", "security:ack"],
  ["enrol", "Turn on a second factor", "factor", "QR code or key"],
  ["step_up", "Enter a code in the second tab", "revocation", "2fa_required, and the command again"],
  ["extend", "Extend the session after its warning", "session", "timeout of 1 minute"],
  ["resume", "Kill this tab's gateway", "gateways", "resume on the other one"],
  ["end", "End the other tab's session", "devices", "closed with 4403"],
  ["revoke", "Revoke everything", "revocation", "with a confirmation token"],
];
