// Settings of the user, as the server last reported them.

import { Emitter } from "./emitter.js";

/** Emits `change` with the settings. */
export class Settings extends Emitter {
  #app;
  /** Null until they are read. */
  current = null;

  constructor(app) {
    super();
    this.#app = app;
    app.on("security:settings_updated", ({ settings }) => this.#set(settings));
  }

  async read() {
    const answer = await this.#app.link.request("security:get_settings");
    if (answer.success) this.#set(answer.settings);
  }

  /** Changes settings; resolves with the answer. */
  async update(settings) {
    const { commands, identity } = this.#app;
    const answer = await commands.send("security:update_settings", { userId: identity.userId, settings });
    if (answer.success) this.#set(answer.settings);
    return answer;
  }

  #set(settings) {
    this.current = settings;
    this.emit("change", settings);
  }
}
