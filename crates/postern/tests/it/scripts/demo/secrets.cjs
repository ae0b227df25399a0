// Secrets that went over a page's WebSockets, to look for them in what the page shows.

const NAMES = ["token", "resumeToken", "confirmationToken", "state", "oauthCode", "codeVerifier", "otpauthUrl"];

/** Set of the secrets of the messages of a page's WebSockets, which grows with them. */
exports.collect = (page) => {
  const secrets = new Set();
  const visit = (value, name) => {
    if (typeof value === "string" && NAMES.includes(name)) secrets.add(value);
    if (value && typeof value === "object") for (const [key, inner] of Object.entries(value)) visit(inner, key);
  };
  page.on("websocket", (socket) => {
    for (const event of ["framesent", "framereceived"]) socket.on(event, ({ payload }) => visit(JSON.parse(payload), ""));
  });
  return secrets;
};
