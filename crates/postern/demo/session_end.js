// Ends of session and token, in server time: as reported, and moved by each message that this tab sends.

export class SessionEnd {
  /** End without further activity; null until it is known. */
  session = null;
  /** End of this connection's token; null until it is known. */
  token = null;
  /** Milliseconds without activity after which the session ends. */
  timeout = 30 * 60_000;
  #configured = null;

  /** Takes the ends of a message. */
  report({ success, sessionExpiresAt, tokenExpiresAt, serverTime }) {
    if (success === false || !sessionExpiresAt) return;
    this.session = Date.parse(sessionExpiresAt);
    if (tokenExpiresAt) this.token = Date.parse(tokenExpiresAt);
    if (serverTime) this.timeout = Math.max(this.#configured === null ? 0 : this.timeout, this.session - Date.parse(serverTime));
  }

  /** A message was sent: it renews the session. */
  renew(now) {
    if (this.session !== null) this.session = Math.max(this.session, now + this.timeout);
  }

  /** A changed timeout counts from the last activity. */
  setTimeout(timeout, lastSent) {
    const isChange = this.#configured !== null && this.#configured !== timeout;
    this.#configured = timeout;
    if (!isChange) return;
    this.timeout = timeout;
    this.session = lastSent + timeout;
  }
}
