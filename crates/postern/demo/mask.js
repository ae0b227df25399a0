// Masks secrets of messages before they are shown. Screens are shared and photographed.

const SECRETS = new Set([
  "token",
  "resumeToken",
  "confirmationToken",
  "secret",
  "otpauthUrl",
  "qrPng",
  "state",
  "oauthCode",
  "codeVerifier",
]);

/** Copy of a message without its secrets. */
export function masked(value, name = "") {
  if (Array.isArray(value)) return value.map((item) => (name === "recoveryCodes" ? hidden(item) : masked(item)));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, masked(inner, key)]));
  }
  if (typeof value !== "string") return value;
  if (SECRETS.has(name)) return hidden(value);
  return name === "authorizationUrl" ? value.replace(/([?&](?:state|code_challenge)=)[^&]+/g, "$1••••") : value;
}

function hidden(text) {
  const start = text.length > 40 ? text.slice(0, 8) : "";
  return `${start}•••• (${text.length} characters)`;
}

/** Claims of a JWT, which are no secret: they are readable by everybody who has it. Null where it is none. */
export function claims(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(payload));
  } catch {
    return null;
  }
}
