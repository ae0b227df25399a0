// Ends of sessions: warning, extension and expiry of an idle one, and a token that is replaced before it ends.
const { accessible, card, messages, open, run, signIn, until } = require("./stage.cjs");

run(async (stage) => {
  await Promise.all([idle(stage), shortToken(stage)]);
});

/** The browser's clock is an hour wrong: the countdown follows the server's. */
async function idle(stage) {
  const page = await open(stage, {
    before: () =>
      (Date.now = (
        (now) => () =>
          now() + 3_600_000
      )(Date.now)),
  });
  await signIn(page, { device: "Idle", user: "GEN-002" });
  const warning = page.getByText("Your session ends soon");
  const time = page.locator(".bar .time");
  await until("a countdown", async () => /^0:(0[1-9]|1\d|20)$/.test(await time.innerText()));
  await warning.waitFor();
  await page.getByRole("button", { name: "Stay signed in" }).click();
  await warning.waitFor({ state: "detached" });
  await messages(page).getByText("security:session_extended").waitFor();
  // The second warning is left unanswered.
  await warning.waitFor();
  await accessible(page, "warned");
  await page.getByText("Your session has ended").waitFor();
  await messages(page)
    .getByText(/closed with 4401/)
    .waitFor();
  await accessible(page, "expired");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("Live on gateway A").waitFor();
}

/** Activity keeps the session; the token ends first, and the page replaces it when the user asks for that. */
async function shortToken(stage) {
  const page = await open(stage, { gateway: 1 });
  await signIn(page, { device: "Short token", user: "GEN-003", lifetime: "20 seconds, to see it end soon" });
  const refresh = card(page, "Devices").getByRole("button", { name: "Refresh" });
  const warning = page.getByText("Your token ends soon");
  await until("the warning", async () => {
    await refresh.click();
    return warning.waitFor({ timeout: 3_000 }).then(
      () => true,
      () => false,
    );
  });
  await page.getByRole("button", { name: "Stay signed in" }).click();
  await warning.waitFor({ state: "detached" });
  await messages(page).getByText("auth:refreshed").waitFor();
}
