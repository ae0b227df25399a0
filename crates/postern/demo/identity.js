// This tab as a device: who is signed in, in which session. `sessionStorage` belongs to the tab, so each tab is a device of its own.

const KEY = "postern-demo-device";

/** New identity of a user who signs in here. A session that was ended stays ended, so each sign-in has another `sessionId`. */
export function signIn({ userId, deviceName, lifetime }) {
  const known = load();
  const deviceId = known?.deviceName === deviceName ? known.deviceId : crypto.randomUUID();
  const identity = {
    userId,
    deviceName,
    lifetime,
    deviceId,
    sessionId: `tab-${crypto.randomUUID().slice(0, 8)}`,
    signedIn: true,
  };
  save(identity);
  return identity;
}

/** Identity of this tab, kept through a reload. */
export function load() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** Forgets the session. The device stays known, as a browser does. */
export function signOut() {
  const identity = load();
  if (identity) save({ ...identity, signedIn: false });
}

/** Suggested name of this device. */
export function suggestedName() {
  const agent = navigator.userAgent;
  const browser = /Edg\//.test(agent)
    ? "Edge"
    : /Firefox\//.test(agent)
      ? "Firefox"
      : /Chrome\//.test(agent)
        ? "Chrome"
        : /Safari\//.test(agent)
          ? "Safari"
          : "Browser";
  return `${browser} tab ${Math.floor(Math.random() * 90) + 10}`;
}

function save(identity) {
  sessionStorage.setItem(KEY, JSON.stringify(identity));
}
