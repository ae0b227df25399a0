/** Linked accounts, alerts and the countdown of the session. */

import { type ReactElement, useState } from "react";

import { type Alert, PosternError } from "@postern/client";
import { useAccounts, useClient, useCommand, useConnection, useEvent, useSession } from "@postern/client/react";

export function App(): ReactElement {
  const connection = useConnection();
  return (
    <main>
      <p role="status">{connection.status === "stopped" ? connection.error.message : connection.status}</p>
      <Session />
      <Accounts />
      <Alerts />
    </main>
  );
}

function Session(): ReactElement | null {
  const { secondsLeft, isWarned, canExtend, extend } = useSession();
  if (!isWarned) return null;
  return (
    <p role="alert">
      The session ends in {secondsLeft} s. {canExtend && <button onClick={() => void extend()}>Stay</button>}
    </p>
  );
}

function Accounts(): ReactElement {
  const { data, error } = useAccounts();
  const client = useClient();
  const sync = useCommand("account:sync");
  if (error) return <p role="alert">{error.message}</p>;
  return (
    <section>
      <h1>Accounts</h1>
      <ul>
        {data?.accounts.map(({ accountType, username, status }) => (
          <li key={accountType}>
            {username} at {accountType}: {status}{" "}
            <button disabled={sync.isPending} onClick={() => void sync.send({ accountType }).catch(() => undefined)}>
              Sync
            </button>
          </li>
        ))}
      </ul>
      {sync.error && <p role="alert">{describe(sync.error)}</p>}
      <button onClick={() => void client.revokeAll().catch(() => undefined)}>Unlink all</button>
    </section>
  );
}

function describe(error: PosternError): string {
  return error.retryAfter === undefined ? error.message : `${error.message} Again in ${error.retryAfter} s.`;
}

function Alerts(): ReactElement {
  const [alerts, setAlerts] = useState<Alert[]>([]);
  useEvent("security:alert", (alert) => setAlerts((shown) => [...shown, alert]));
  return (
    <ul aria-label="Alerts">
      {alerts.map((alert) => (
        <li key={alert.alertId}>{alert.message}</li>
      ))}
    </ul>
  );
}
