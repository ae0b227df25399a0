// The user's sessions on all gateways; ends another one, or all others.

import { timeOfDay } from "./clock.js";
import { sentence } from "./commands.js";
import { busy, button, card, el, keyed, stranger } from "./dom.js";
import { LETTERS } from "./sign_in.js";

export class Devices {
  node;
  #app;
  #list = el("ul", { class: "rows" });
  #fault = el("p", { class: "fault", role: "alert" });
  #others = button("End all others", {
    icon: "stop",
    kind: "danger",
    onclick: () => busy(this.#others, () => this.#end("others")),
  });

  constructor(app) {
    this.#app = app;
    const refresh = button("Refresh", { icon: "sync", onclick: () => busy(refresh, () => this.read()) });
    this.node = card(
      "devices",
      "Devices",
      "device",
      "Each tab is a device with a session of its own. Open one on the other gateway: it is the same user.",
      el(
        "div",
        { class: "actions" },
        ...app.cluster.gateways.map(({ url }, index) => openTab(url, index, app)),
        refresh,
        this.#others,
      ),
      this.#fault,
      this.#list,
    );
    app.on("security:alert", ({ type }) => ["new_device", "suspicious_login"].includes(type) && this.read());
  }

  async read() {
    const answer = await this.#app.link.request("security:sessions");
    if (!answer.success) {
      this.#fault.textContent = sentence(answer);
      return;
    }
    const sessions = answer.sessions.sort((one, other) => Number(other.current) - Number(one.current));
    this.#others.hidden = sessions.length < 2;
    this.#app.link.emit("devices", sessions.length);
    keyed(this.#list, sessions, { key: (session) => session.sessionId, create: (session) => this.#row(session), update });
  }

  #row({ sessionId, current }) {
    const end = button("End", {
      icon: "stop",
      kind: "danger",
      "aria-label": `End ${sessionId}`,
      onclick: () => busy(end, () => this.#end(sessionId)),
    });
    end.hidden = current;
    return el("li", { class: "device" }, el("div", {}, el("p", { class: "row-text" }), el("p", { class: "row-meta" })), end);
  }

  async #end(sessionId) {
    this.#fault.textContent = "";
    const answer = await this.#app.commands.send("security:end_sessions", { sessionId });
    if (answer.success) await this.read();
    else this.#fault.textContent = sentence(answer);
  }
}

function openTab(url, index, { link, identity }) {
  const elsewhere = url !== link.gateway;
  const open = el("a", {
    class: `button ${elsewhere ? "primary" : ""}`,
    href: `${url}/demo#user=${encodeURIComponent(identity.userId)}`,
    target: "_blank",
    rel: "noopener",
  });
  open.textContent = `New tab on gateway ${LETTERS[index]}`;
  return open;
}

function update(row, { sessionId, current, deviceName, userAgent, address, lastActiveAt, sockets }) {
  row.classList.toggle("current", current);
  const name = deviceName ?? userAgent ?? "Unknown device";
  row
    .querySelector(".row-text")
    .replaceChildren(stranger(name), current ? el("span", { class: "tag good", text: "this tab" }) : "");
  const connections = sockets === 1 ? "1 connection" : `${sockets} connections`;
  row
    .querySelector(".row-meta")
    .replaceChildren(
      el("code", { text: sessionId }),
      el("span", { text: address }),
      el("span", { text: connections }),
      el("span", { text: `active at ${timeOfDay(lastActiveAt)}` }),
    );
  row.querySelector(".button").setAttribute("aria-label", `End ${name}`);
}
