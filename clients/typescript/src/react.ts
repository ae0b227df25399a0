/** React hooks: the entry point `@postern/client/react`. */

import {
  type ReactElement,
  type ReactNode,
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";

import type { Client, EventInfo } from "./client.js";
import type { SendOptions } from "./commands.js";
import type { SessionCountdown } from "./countdown.js";
import type { PosternError } from "./error.js";
import { lease } from "./lease.js";
import type { ConnectionState } from "./machine.js";
import type { Command, CommandAnswer, CommandData, CommandWithoutData, ServerEvent, ServerEvents } from "./protocol.js";
import { Read, type ReadState } from "./read.js";

const ClientContext = createContext<Client | undefined>(undefined);

/** Connects a client while it is mounted, and hands it to the hooks below it. Several providers of one client share its socket. */
export function PosternProvider(props: { client: Client; children?: ReactNode }): ReactElement {
  const { client, children } = props;
  useEffect(() => lease(client), [client]);
  return createElement(ClientContext.Provider, { value: client }, children);
}

/** Client of the nearest provider. */
export function useClient(): Client {
  const client = useContext(ClientContext);
  if (!client) throw new Error("there is no PosternProvider above this component");
  return client;
}

/** State of the connection. */
export function useConnection(): ConnectionState {
  const client = useClient();
  const subscribe = useCallback((changed: () => void) => client.on("state", changed), [client]);
  const state = (): ConnectionState => client.state;
  return useSyncExternalStore(subscribe, state, state);
}

/** Calls the listener of the last render with each event. */
export function useEvent<E extends ServerEvent>(event: E, listener: (data: ServerEvents[E], info: EventInfo) => void): void {
  const client = useClient();
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(
    () => client.on(event, (...args) => latest.current(...(args as [ServerEvents[E], EventInfo]))),
    [client, event],
  );
}

/** Sender of one command, and what became of the last one. */
export interface CommandHook<C extends Command> {
  send: (data: CommandData<C>, options?: SendOptions) => Promise<CommandAnswer<C>>;
  isPending: boolean;
  data: CommandAnswer<C> | undefined;
  error: PosternError | undefined;
}

/** Sends a command on demand. */
export function useCommand<C extends Command>(command: C): CommandHook<C> {
  const client = useClient();
  const [state, setState] = useState<Omit<CommandHook<C>, "send">>(NOT_SENT);
  const last = useRef(0);
  const send = useCallback(
    async (data: CommandData<C>, options?: SendOptions) => {
      const mine = (last.current += 1);
      const settle = (settled: Omit<CommandHook<C>, "send">): void => {
        if (mine === last.current) setState(settled);
      };
      setState({ ...NOT_SENT, isPending: true });
      try {
        const answer = await client.send(command, data, options);
        settle({ isPending: false, data: answer, error: undefined });
        return answer;
      } catch (error) {
        settle({ isPending: false, data: undefined, error: error as PosternError });
        throw error;
      }
    },
    [client, command],
  );
  return { send, ...state };
}

const NOT_SENT = { isPending: false, data: undefined, error: undefined };

/** Answer of a reading command: at the first use, after each fresh start, and after each of these events. */
export function useRead<C extends CommandWithoutData>(
  command: C,
  ...events: ServerEvent[]
): ReadState<C> & { reload: () => void } {
  const read = reader(useClient(), command, events);
  return { ...useSyncExternalStore(read.subscribe, read.state, read.state), reload: read.reload };
}

/** Linked accounts, as they are now. */
export function useAccounts(): ReadState<"account:list"> & { reload: () => void } {
  return useRead("account:list", "account:status_changed");
}

/** Security settings, as they are now. */
export function useSettings(): ReadState<"security:get_settings"> & { reload: () => void } {
  return useRead("security:get_settings", "security:settings_updated");
}

/** Countdown of the session. */
export interface SessionHook extends SessionCountdown {
  /** Seconds until the end, 0 at the least; null until the gateway has named it. */
  secondsLeft: number | null;
  extend: () => Promise<CommandAnswer<"security:extend_session">>;
}

/** Countdown of the session, which renders once a second while it runs. */
export function useSession(): SessionHook {
  const client = useClient();
  const subscribe = useCallback((changed: () => void) => client.on("session", changed), [client]);
  const current = (): SessionCountdown => client.session;
  const session = useSyncExternalStore(subscribe, current, current);
  const [now, setNow] = useState(Date.now);
  const isCounting = session.expiresAt !== null;
  useEffect(() => {
    setNow(Date.now());
    if (!isCounting) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isCounting, session]);
  const secondsLeft = session.expiresAt === null ? null : Math.max(0, Math.ceil((session.expiresAt - now) / 1000));
  const extend = useCallback(() => client.extendSession(), [client]);
  return { ...session, secondsLeft, extend };
}

const readers = new WeakMap<Client, Map<string, unknown>>();

/** Reader that all components of a client share. */
function reader<C extends CommandWithoutData>(client: Client, command: C, events: readonly ServerEvent[]): Read<C> {
  const ofClient = readers.get(client) ?? new Map<string, unknown>();
  readers.set(client, ofClient);
  const key = [command, ...events].join(" ");
  const known = ofClient.get(key) as Read<C> | undefined;
  const read = known ?? new Read(client, command, events);
  ofClient.set(key, read);
  return read;
}
