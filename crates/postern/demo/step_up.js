// Step-up: a code of the second factor for the challenge that the gateway has sent.

import { el } from "./dom.js";
import { ask } from "./dialogs.js";

export class StepUp {
  #link;

  constructor(link) {
    this.#link = link;
  }

  /** Asks for a code; resolves with true where the command is to be sent again. */
  async ask() {
    const challenge = this.#link.challenge;
    const source =
      challenge.method === "totp"
        ? "your authenticator"
        : `the ${challenge.method === "sms" ? "text message" : "email"} that was sent`;
    const done = await ask({
      title: "One more proof that it is you",
      body: [
        el("p", { text: `This command changes who can reach your accounts. Enter the code of ${source}, or a recovery code.` }),
        codeField(),
      ],
      confirm: "Confirm",
      submit: (fields) => this.#verify(challenge, fields.get("code")),
    });
    return done === true;
  }

  async #verify({ userId, sessionId }, token) {
    const answer = await this.#link.request("security:verify_2fa", { userId, sessionId, token });
    // An expired challenge: the command is sent again, and brings a new one.
    if (answer.success || answer.error === "challenge_expired") return true;
    throw new Error(refusal(answer));
  }
}

/** Field for a code, as password managers and phones fill it. */
export function codeField() {
  const input = el("input", {
    name: "code",
    id: "code-field",
    autocomplete: "one-time-code",
    autofocus: true,
    required: true,
    spellcheck: "false",
    class: "code-input",
  });
  return el("p", { class: "field" }, el("label", { for: "code-field", text: "Code" }), input);
}

/** Sentence for a refused code. */
export function refusal({ error, message, retryAfter }) {
  if (error === "2fa_invalid") return "That code is wrong, or was used before: each code counts once. Wait for the next one.";
  if (error === "bad_request") return "A code has six digits; a recovery code has four groups of letters and digits.";
  return retryAfter ? `${message} Try again in ${retryAfter} s.` : message;
}
