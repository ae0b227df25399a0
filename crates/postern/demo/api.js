// The demo's own HTTP API, which stands for the application's server. Any gateway serves it, so the page survives the kill of its own.

export class DemoApi {
  /** Origins to ask, the one that answered last first. */
  #bases = [location.origin];

  /** Origins of gateways to ask where this page's own does not answer. */
  learn(urls) {
    this.#bases = [...new Set([...this.#bases, ...urls])];
  }

  /** Asks this gateway last: it has gone away. */
  avoid(url) {
    this.#bases = [...this.#bases.filter((base) => base !== url), url];
  }

  cluster() {
    return this.#call("cluster");
  }

  token(of) {
    return this.#call("token", of);
  }

  alert(of) {
    return this.#call("alert", of);
  }

  mention(of) {
    return this.#call("mention", of);
  }

  kill(gateway) {
    return this.#call("kill", { gateway });
  }

  /** Throws an `Error` with a sentence for the user. */
  async #call(name, body) {
    for (const base of this.#bases) {
      const response = await request(`${base}/demo/api/${name}`, body);
      if (!response) continue;
      this.#bases = [base, ...this.#bases.filter((other) => other !== base)];
      const answer = await response.json().catch(() => ({}));
      if (response.ok) return answer;
      throw new Error(answer.message ?? `The demo's API answered ${response.status}.`);
    }
    throw new Error("No gateway answers. Is postern dev still running?");
  }
}

/** Null where the gateway cannot be reached. */
async function request(url, body) {
  const post = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const options = { ...(body === undefined ? {} : post), cache: "no-store", signal: AbortSignal.timeout(WITHIN) };
  return fetch(url, options).catch(() => null);
}

const WITHIN = 5_000;
