// Names of the platforms.

const NAMES = { github: "GitHub", discord: "Discord", telegram: "Telegram", x_twitter: "X" };

export function platformName(accountType) {
  return NAMES[accountType] ?? accountType;
}

/** Monogram of a platform: no logo of theirs is used. */
export function monogram(accountType) {
  return { github: "Gh", discord: "Di", telegram: "Te", x_twitter: "X" }[accountType] ?? "?";
}
