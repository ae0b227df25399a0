/** Commands: repeated under one idempotency key until their outcome is known, with the step-up that they need. */

import { ConnectionLost, PosternError } from "./error.js";
import type { Link } from "./link.js";
import type { ConnectionState } from "./machine.js";
import type { Command, CommandAnswer, CommandData, Failure } from "./protocol.js";
import type { StepUp } from "./step_up.js";
import type { Answer } from "./transport.js";

/** Options of one command. */
export interface SendOptions {
  /** Milliseconds until the command is given up, with code `timeout`; the time of a step-up does not count. */
  timeout?: number;
  /** Key of its repetitions, 1 to 128 characters; a random one by default. */
  idempotencyKey?: string;
  /** W3C trace context of the application. */
  traceparent?: string;
}

/** Sender of commands over a link. */
export class CommandSender {
  readonly #link: Link;
  readonly #timeout: number;
  #waiting = new Set<(state: ConnectionState) => void>();

  constructor(link: Link, timeout: number) {
    this.#link = link;
    this.#timeout = timeout;
  }

  /** Takes the new state of the link: commands wait for a live one. */
  stateChanged(state: ConnectionState): void {
    for (const waiting of [...this.#waiting]) waiting(state);
  }

  /** Sends a command until its outcome is known. */
  async send<C extends Command>(
    command: C,
    data: CommandData<C>,
    stepUp: StepUp | undefined,
    options: SendOptions,
  ): Promise<CommandAnswer<C>> {
    const { timeout = this.#timeout, idempotencyKey = randomKey(), traceparent } = options;
    const body = { ...data, idempotencyKey, ...(traceparent === undefined ? {} : { traceparent }) };
    checkSize(body);
    const deadline = new Deadline(timeout);
    for (let stepUps = 0; ; ) {
      const answer = await this.#attempt(command, body, deadline);
      if (answer["success"] === true) return answer as CommandAnswer<C>;
      const failure = PosternError.of(answer as unknown as Failure);
      if (failure.code === "timeout" && (await deadline.pause(REPEAT_AFTER))) continue;
      if (stepUps === MAX_STEP_UPS || !stepUp) throw failure;
      stepUps += 1;
      const asked = Date.now();
      if (!(await stepUp.answer(failure, command))) throw failure;
      deadline.extend(Date.now() - asked);
    }
  }

  /** Sends a command, again after each loss of the connection. */
  async #attempt(command: Command, data: object, deadline: Deadline): Promise<Answer> {
    for (;;) {
      const userId = await this.#live(deadline);
      try {
        return await this.#link.request(command, { userId, ...data });
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        // The state follows the loss within this turn of the event loop, in another tab a little later.
        if (!(await deadline.pause(LOST_PAUSE))) throw deadline.exceeded(error);
      }
    }
  }

  /** Waits until the link is live; returns its user. */
  async #live(deadline: Deadline): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        this.#waiting.delete(check);
        clearTimeout(timer);
        act();
      };
      const check = (state: ConnectionState): void => {
        if (state.status === "live") settle(() => resolve(state.userId));
        if (state.status === "stopped") settle(() => reject(state.error));
        if (state.status === "idle") {
          settle(() => reject(new PosternError("disconnected", "The client is not connected: call connect first.")));
        }
      };
      const timer = setTimeout(() => settle(() => reject(deadline.exceeded())), deadline.left());
      this.#waiting.add(check);
      check(this.#link.state);
    });
  }
}

/** Deadline of one command. */
class Deadline {
  #at: number;

  constructor(timeout: number) {
    this.#at = Date.now() + timeout;
  }

  left(): number {
    return Math.max(0, this.#at - Date.now());
  }

  extend(by: number): void {
    this.#at += by;
  }

  /** Pauses; false if the deadline would pass. */
  async pause(milliseconds: number): Promise<boolean> {
    if (this.left() <= milliseconds) return false;
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    return true;
  }

  exceeded(cause?: unknown): PosternError {
    return new PosternError("timeout", "No answer in time; the outcome is unknown.", { cause });
  }
}

/** A message above 64 KiB would cost the connection, and each repetition the next one. */
function checkSize(body: object): void {
  if (new TextEncoder().encode(JSON.stringify(body)).length > MAX_BODY) {
    throw new PosternError("bad_request", "The command is larger than 64 KiB.");
  }
}

/** 128 random bits. `crypto.randomUUID` exists in secure contexts alone. */
function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Below 64 KiB by the frame around the body. */
const MAX_BODY = 65_000;
/** Pause before a command whose outcome is unknown is repeated. */
const REPEAT_AFTER = 500;
const LOST_PAUSE = 50;
/** Step-ups of one command: a second one where the socket was replaced in between, a third for the other kind. */
const MAX_STEP_UPS = 3;
