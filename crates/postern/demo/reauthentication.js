// A fresher sign-in, which the application's server would ask for: here a button stands for the password.

import { el } from "./dom.js";
import { ask } from "./dialogs.js";
import * as identity from "./identity.js";

export class Reauthentication {
  #link;
  #api;

  constructor(link, api) {
    this.#link = link;
    this.#api = api;
  }

  /** Asks the user to sign in again; resolves with true where the command is to be sent again. */
  async ask() {
    const { userId } = identity.load();
    const done = await ask({
      title: "Please sign in again",
      body: [
        el("p", {
          text: "Your sign-in is too old for this command. An application would ask for the password now; this button stands for it.",
        }),
      ],
      confirm: `Sign in again as ${userId}`,
      submit: () => replaceToken(this.#link, this.#api),
    });
    return done === true;
  }
}

/** Replaces the connection's token by a new one. Throws an `Error` with a sentence where that fails. */
export async function replaceToken(link, api) {
  const { userId, sessionId, lifetime } = identity.load();
  const { token } = await api.token({ userId, sessionId, lifetime });
  const answer = await link.request("auth:refresh", { token });
  if (!answer.success) throw new Error(answer.message);
  link.emit("token_replaced", answer);
  return true;
}
