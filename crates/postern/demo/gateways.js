// The two gateways: which one this tab is on, a button that kills one, and losses of this tab's connection.

import { busy, button, card, el } from "./dom.js";
import { LETTERS } from "./sign_in.js";

export class Gateways {
  node;
  #app;
  #rows;
  #fault = el("p", { class: "fault", role: "alert" });
  #timer = 0;

  constructor(app) {
    this.#app = app;
    this.#rows = app.cluster.gateways.map((gateway, index) => this.#row(gateway, index));
    const drop = button("Lose the connection", { icon: "bolt", onclick: () => app.link.drop({ resumes: true }) });
    const forget = button("Lose it, and forget the offset", { icon: "bolt", onclick: () => app.link.drop({ resumes: false }) });
    this.node = card(
      "gateways",
      "Gateways",
      "gate",
      "Kill the one that this tab is on: the tab connects to the other one, resumes, and misses nothing.",
      el("ul", { class: "nodes" }, ...this.#rows),
      el("div", { class: "actions" }, drop, forget),
      this.#fault,
    );
    app.on("state", () => this.#show(app.cluster.gateways));
    app.signal.addEventListener("abort", () => clearTimeout(this.#timer));
    this.#show(app.cluster.gateways);
    this.#watch();
  }

  #row({ url }, index) {
    const letter = LETTERS[index];
    const kill = button("Kill", {
      icon: "stop",
      kind: "danger",
      "aria-label": `Kill gateway ${letter}`,
      onclick: () => busy(kill, () => this.#kill(index)),
    });
    return el(
      "li",
      { class: "node" },
      el("span", { class: "node-letter", "aria-hidden": "true", text: letter }),
      el(
        "div",
        {},
        el("p", { class: "row-text" }, `Gateway ${letter}`, el("span", { class: "tag" })),
        el("p", { class: "row-meta" }, el("code", { text: url.replace(/^https?:\/\//, "") })),
      ),
      kill,
    );
  }

  async #kill(index) {
    this.#fault.textContent = "";
    try {
      await this.#app.api.kill(index);
      this.#app.api.avoid(this.#app.cluster.gateways[index].url);
      this.#show(this.#app.cluster.gateways.map((gateway, at) => (at === index ? { ...gateway, isRunning: false } : gateway)));
    } catch (error) {
      this.#fault.textContent = error.message;
    }
    this.#watch();
  }

  /** Asks which gateways are running, more often while one is not. */
  async #watch() {
    clearTimeout(this.#timer);
    const { api, cluster, signal } = this.#app;
    const answer = document.hidden ? cluster : await api.cluster().catch(() => null);
    if (signal.aborted) return;
    if (answer) this.#show(answer.gateways);
    const allRun = answer?.gateways.every((gateway) => gateway.isRunning);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#watch(), allRun ? 10_000 : 1_000);
  }

  #show(gateways) {
    const { link } = this.#app;
    gateways.forEach(({ isRunning }, index) => {
      const { url } = this.#app.cluster.gateways[index];
      const row = this.#rows[index];
      const isHere = link.state === "live" && link.gateway === url;
      row.dataset.state = isRunning ? (isHere ? "here" : "running") : "killed";
      row.querySelector(".tag").textContent = isRunning ? (isHere ? "this tab" : "running") : "killed, restarts soon";
      row.querySelector(".button").hidden = !isRunning;
    });
  }
}
