/** Second factor and renewed sign-in, which some commands need first. */

import { PosternError } from "./error.js";
import type { Command, CommandAnswer, CommandData, FactorMethod, TwoFactorRequired } from "./protocol.js";

/** Question for a code. */
export interface SecondFactorPrompt {
  /** Command that needs the code. */
  command: Command;
  /** Method of the factor; `sms` and `email` have sent a code. A recovery code answers each of them. */
  method: FactorMethod;
  /** Seconds until the challenge expires. */
  expiresIn: number;
  /** Failure of the last code: `2fa_invalid`, `bad_request`, or `rate_limited` with `retryAfter`. */
  error: PosternError | undefined;
}

/** Callbacks for commands that need more than a token. Null or undefined gives up, and the command fails with its error. */
export interface StepUpCallbacks {
  /** Asks the user for a code. */
  secondFactor?: ((prompt: SecondFactorPrompt) => Promise<string | null | undefined>) | undefined;
  /** Signs the user in again; the result is a token with a newer `auth_time` or `iat`. */
  reauthenticate?: ((command: Command) => Promise<string | null | undefined>) | undefined;
}

/** Sender of the commands of a step-up. */
export type SendCommand = <C extends Command>(command: C, data: CommandData<C>) => Promise<CommandAnswer<C>>;

/** Step-up of one socket: commands that need it at the same time share one question. */
export class StepUp {
  readonly #callbacks: StepUpCallbacks;
  readonly #send: SendCommand;
  #challenge: TwoFactorRequired | undefined;
  #verifying: Promise<boolean> | undefined;
  #signingIn: Promise<boolean> | undefined;

  constructor(callbacks: StepUpCallbacks, send: SendCommand) {
    this.#callbacks = callbacks;
    this.#send = send;
  }

  /** Records the challenge that precedes `2fa_required`. */
  challenged(challenge: TwoFactorRequired): void {
    this.#challenge = challenge;
  }

  /** Does what a refused command needs; true if the command is to be sent again. */
  async answer(refusal: PosternError, command: Command): Promise<boolean> {
    switch (refusal.code) {
      case "2fa_required":
        this.#verifying ??= this.#verify(command).finally(() => (this.#verifying = undefined));
        return this.#verifying;
      case "reauth_required":
        this.#signingIn ??= this.#signIn(command).finally(() => (this.#signingIn = undefined));
        return this.#signingIn;
      default:
        return false;
    }
  }

  async #verify(command: Command): Promise<boolean> {
    const [challenge, ask] = [this.#challenge, this.#callbacks.secondFactor];
    if (!challenge || !ask) return false;
    const { method, expiresIn } = challenge;
    let error: PosternError | undefined;
    for (;;) {
      const token = await ask({ command, method, expiresIn, error });
      if (token === null || token === undefined) return false;
      try {
        await this.#send("security:verify_2fa", { sessionId: challenge.sessionId, token });
        return true;
      } catch (failure) {
        if (!(failure instanceof PosternError)) throw failure;
        // The command brings a new challenge.
        if (failure.code === "challenge_expired") return true;
        if (!ASKED_AGAIN.has(failure.code)) throw failure;
        error = failure;
      }
    }
  }

  async #signIn(command: Command): Promise<boolean> {
    const token = await this.#callbacks.reauthenticate?.(command);
    if (token === null || token === undefined) return false;
    await this.#send("auth:refresh", { token });
    return true;
  }
}

/** Failures of a code after which the user may enter another. */
const ASKED_AGAIN: ReadonlySet<string> = new Set(["2fa_invalid", "bad_request", "rate_limited"]);
