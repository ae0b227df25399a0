/** TCP proxy in front of gateways: each connection goes to the first that accepts it. */

import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";

/** Proxy on a free port of 127.0.0.1. */
export class Balancer {
  readonly #server: Server;
  readonly #gateways: readonly URL[];
  readonly #open = new Set<Socket>();
  #refuses = false;

  private constructor(gateways: readonly URL[]) {
    this.#gateways = gateways;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(gateways: readonly URL[]): Promise<Balancer> {
    const balancer = new Balancer(gateways);
    await new Promise<void>((resolve) => balancer.#server.listen(0, "127.0.0.1", resolve));
    return balancer;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resets all connections, and refuses new ones until `allow`. */
  cut(): void {
    this.#refuses = true;
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  allow(): void {
    this.#refuses = false;
  }

  end(): void {
    this.cut();
    this.#server.close();
  }

  #accept(client: Socket): void {
    if (this.#refuses) client.resetAndDestroy();
    else this.#connect(client, 0);
  }

  #connect(client: Socket, index: number): void {
    const gateway = this.#gateways[index];
    if (!gateway) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(Number(gateway.port), gateway.hostname);
    const refused = (): void => this.#connect(client, index + 1);
    upstream.once("error", refused);
    upstream.once("connect", () => {
      upstream.off("error", refused);
      for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
        this.#open.add(from);
        from.on("error", () => to.destroy());
        from.on("close", () => this.#open.delete(from));
        from.pipe(to);
      }
    });
  }
}
