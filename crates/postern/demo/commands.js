// Commands with step-up: a challenge or a fresher sign-in is asked for, and the command is sent again.

import { Reauthentication } from "./reauthentication.js";
import { StepUp } from "./step_up.js";

export class Commands {
  #link;
  #stepUp;
  #reauthentication;

  constructor(link, api) {
    this.#link = link;
    this.#stepUp = new StepUp(link);
    this.#reauthentication = new Reauthentication(link, api);
  }

  /** Sends a command until it is neither refused for a second factor nor for an old sign-in; resolves with its last answer. */
  async send(event, data) {
    for (;;) {
      const answer = await this.#link.request(event, data);
      const proof = { "2fa_required": this.#stepUp, reauth_required: this.#reauthentication }[answer.error];
      if (!proof || !(await proof.ask())) return answer;
    }
  }
}

/** Sentence for the user about a failed answer. */
export function sentence({ error, message, retryAfter }) {
  const known = {
    "2fa_required": "Not done: it needs a code of your second factor.",
    reauth_required: "Not done: it needs a fresh sign-in.",
    not_connected: "No such account is linked.",
  };
  const wait = retryAfter ? ` Try again in ${retryAfter} s.` : "";
  return `${known[error] ?? message ?? "It did not work."}${wait}`;
}
