/** Components that need a client to be connected. */

import type { Client } from "./client.js";

const leases = new WeakMap<Client, number>();

/** Keeps a client connected until the last lease ends. React mounts twice in development: the end waits for the next turn. */
export function lease(client: Client): () => void {
  leases.set(client, (leases.get(client) ?? 0) + 1);
  client.connect();
  return () =>
    void setTimeout(() => {
      const left = (leases.get(client) ?? 1) - 1;
      leases.set(client, left);
      if (left === 0) client.disconnect();
    });
}
