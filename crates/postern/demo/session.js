// The session's end: countdown by the server's clock, warning, extension, timeout.

import { countdown, serverNow, timeOfDay } from "./clock.js";
import { sentence } from "./commands.js";
import { busy, button, card, el } from "./dom.js";
import { replaceToken } from "./reauthentication.js";
import { SessionEnd } from "./session_end.js";

export class Session {
  node;
  #app;
  #settings;
  #banner;
  #end = new SessionEnd();
  #left = el("p", { class: "big-time", role: "timer", "aria-live": "off" });
  #bar = el("progress", { max: "1", value: "1", "aria-label": "Part of the session that is left" });
  #ends = el("dl", { class: "facts" });
  #fault = el("p", { class: "fault", role: "alert" });
  #timeout = el(
    "select",
    { id: "session-timeout" },
    ...TIMEOUTS.map((minutes) => el("option", { value: minutes, text: minutes === 1 ? "1 minute" : `${minutes} minutes` })),
  );

  constructor(app, settings, banner) {
    [this.#app, this.#settings, this.#banner] = [app, settings, banner];
    const extend = button("Extend the session", {
      icon: "clock",
      kind: "primary",
      onclick: () => busy(extend, () => this.#extend(true)),
    });
    const renew = button("Replace the token", { icon: "sync", onclick: () => busy(renew, () => this.#extend(false)) });
    const set = button("Set", { onclick: () => busy(set, () => this.#setTimeout()) });
    this.node = card(
      "session",
      "Session",
      "clock",
      "It ends without activity. With 1 minute you see the warning after 30 seconds.",
      this.#left,
      this.#bar,
      this.#ends,
      el("div", { class: "actions" }, extend, renew),
      el(
        "div",
        { class: "field inline" },
        el("label", { for: "session-timeout", text: "End it without activity after" }),
        this.#timeout,
        set,
      ),
      this.#fault,
    );
    for (const event of [
      "ready",
      "security:session_extended",
      "security:2fa_verified",
      "auth:refreshed",
      "security:session_warning",
    ])
      app.on(event, (ends) => this.#end.report(ends));
    for (const event of ["security:session_extended", "auth:refreshed", "ready"])
      app.on(event, () => this.#banner.replaceChildren());
    app.on("security:session_warning", (warning) => this.#warn(warning));
    app.on("frame", ({ direction }) => direction === "sent" && this.#end.renew(app.link.lastSent));
    settings.on("change", ({ sessionTimeout }) => this.#settled(sessionTimeout));
    const timer = setInterval(() => this.#tick(), 500);
    app.signal.addEventListener("abort", () => clearInterval(timer));
    this.#tick();
  }

  #settled(minutes) {
    if (![...this.#timeout.options].some((option) => Number(option.value) === minutes))
      this.#timeout.append(el("option", { value: minutes, text: `${minutes} minutes` }));
    this.#timeout.value = String(minutes);
    this.#end.setTimeout(minutes * 60_000, this.#app.link.lastSent);
  }

  #tick() {
    const { session, token, timeout } = this.#end;
    if (session === null) return;
    const left = Math.min(session, token ?? Infinity) - serverNow();
    this.#left.textContent = countdown(left);
    this.#left.classList.toggle("soon", left < 60_000);
    this.#bar.value = Math.max(0, Math.min(1, left / timeout));
    facts(this.#ends, { "Session, without activity": timeOfDay(session), Token: token ? timeOfDay(token) : "–" });
    this.#app.link.emit("session_left", left);
    for (const shown of this.#banner.querySelectorAll(".time")) shown.textContent = countdown(left);
  }

  #warn({ expiresIn, canExtend }) {
    const stay = button("Stay signed in", {
      icon: "clock",
      kind: "primary",
      onclick: () => busy(stay, () => this.#extend(canExtend)),
    });
    const text = canExtend
      ? "Your session ends soon, because nothing was sent for a while."
      : "Your token ends soon. It can be replaced by a new one.";
    this.#banner.replaceChildren(
      el(
        "div",
        { class: "warning" },
        el("p", {}, el("strong", { text }), el("span", { class: "hidden", text: ` ${expiresIn} seconds are left.` })),
        el("span", { class: "time", "aria-hidden": "true", text: countdown(expiresIn * 1_000) }),
        stay,
      ),
    );
  }

  /** Renews the session; where the token ends first, replaces the token, which renews both. */
  async #extend(canExtend) {
    const hadFocus = this.#banner.contains(document.activeElement);
    this.#fault.textContent = "";
    try {
      const answer = canExtend ? await this.#app.commands.send("security:extend_session") : { canExtend: false };
      if (answer.success === false) throw new Error(sentence(answer));
      if (!answer.canExtend) await replaceToken(this.#app.link, this.#app.api);
      this.#banner.replaceChildren();
      if (hadFocus) this.node.querySelector("h2").focus();
    } catch (error) {
      this.#fault.textContent = error.message;
    }
  }

  async #setTimeout() {
    this.#fault.textContent = "";
    const answer = await this.#settings.update({ sessionTimeout: Number(this.#timeout.value) });
    if (answer.success) return;
    this.#fault.textContent = sentence(answer);
    this.#timeout.value = String(this.#settings.current.sessionTimeout);
  }
}

/** Sets the rows of a list of facts; texts that stay the same are not written again, for screen readers. */
function facts(list, rows) {
  const entries = Object.entries(rows);
  if (list.children.length === 0) list.append(...entries.map(([name]) => el("div", {}, el("dt", { text: name }), el("dd"))));
  entries.forEach(([, value], index) => {
    const shown = list.children[index].lastElementChild;
    if (shown.textContent !== value) shown.textContent = value;
  });
}

const TIMEOUTS = [1, 2, 5, 15, 30, 60];
