// From the sign-in to the revocation of everything, in two browsers on two gateways.
const assert = require("node:assert/strict");
const { TOTP } = require("otpauth");
const { accessible, card, fits, messages, open, photograph, run, signIn, until } = require("./stage.cjs");
const { collect } = require("./secrets.cjs");

run(async (stage) => {
  const laptop = await open(stage);
  await accessible(laptop, "signed out");
  const secrets = collect(laptop);
  await signIn(laptop, { device: "Laptop" });
  await card(laptop, "Linked accounts").getByText("Not linked").first().waitFor();
  await accessible(laptop, "nothing linked");

  const phone = await open(stage, { gateway: 1, fragment: "#user=GEN-001", width: 900 });
  await signIn(phone, { device: "Phone" });
  await phone.getByText("Live on gateway B").waitFor();
  await card(laptop, "Alerts")
    .getByText(/new device signed in: Phone/)
    .waitFor();
  await card(laptop, "Devices").getByText("Phone").waitFor();

  await link(laptop);
  for (const page of [laptop, phone]) await tile(page).getByText("ada (simulated)").waitFor();
  await tile(phone).getByRole("button", { name: "Sync GitHub" }).click();
  for (const page of [laptop, phone])
    await tile(page)
      .getByText(/^Linked, synced at/)
      .waitFor();
  await tile(laptop).getByRole("button", { name: "Mention GitHub" }).click();
  for (const page of [laptop, phone]) await card(page, "Notifications").getByText("mention", { exact: true }).waitFor();

  await card(laptop, "Alerts").getByRole("button", { name: "Raise an alert" }).click();
  const alert = card(phone, "Alerts")
    .getByRole("listitem")
    .filter({ has: phone.getByRole("button", { name: "Acknowledge" }) });
  await alert.first().waitFor();
  const open_alerts = await alert.count();
  await alert.first().getByRole("button").click();
  await until("one alert less", async () => (await alert.count()) === open_alerts - 1);

  const totp = await enrol(laptop);
  await card(phone, "Second factor").getByText("Codes of an authenticator app are asked for.").waitFor();
  await photographed(laptop);
  await accessible(laptop, "second factor on");
  await stepUp(phone, laptop, totp);

  const device = card(laptop, "Devices").getByRole("listitem").filter({ hasText: "Phone" });
  await device.getByRole("button", { name: "End Phone" }).click();
  await device.waitFor({ state: "detached" });
  await phone.getByText("This session was ended").waitFor();
  await messages(phone)
    .getByText(/closed with 4403/)
    .waitFor();
  await accessible(phone, "session ended");

  await card(laptop, "Revoke everything").getByRole("button").click();
  const dialog = laptop.getByRole("dialog", { name: "Revoke all access?" });
  await dialog.getByText("1 account is unlinked, on all devices.").waitFor();
  await accessible(laptop, "confirmation");
  await dialog.getByRole("button", { name: "Revoke everything" }).click();
  await card(laptop, "Revoke everything").getByText("1 account was unlinked.").waitFor();
  await tile(laptop).getByText("Not linked").waitFor();
  await wireShowsBothWaysAndNoSecret(laptop, secrets);
  await fits(laptop, "everything revoked");
});

function tile(page) {
  return card(page, "Linked accounts")
    .getByRole("listitem")
    .filter({ has: page.getByRole("heading", { name: "GitHub" }) });
}

/** Links an account by the simulator's consent page and the hosted callback, as a person does. */
async function link(page) {
  const opened = page.context().waitForEvent("page");
  await tile(page).getByRole("button", { name: "Link GitHub" }).click();
  const platform = await opened;
  await platform.getByRole("button", { name: "Continue as ada", exact: true }).click();
  await platform.getByRole("button", { name: "Link this account" }).click();
  await platform.getByRole("heading", { name: "The GitHub account is linked" }).waitFor();
  await platform.close();
}

/** Turns the second factor on with a code of an independent library; the page's own authenticator agrees with it. */
async function enrol(page) {
  const factor = card(page, "Second factor");
  await factor.getByRole("button", { name: "Turn it on" }).click();
  const key = (await factor.locator(".manual-key code").innerText()).replaceAll(" ", "");
  const image = factor.getByRole("img", { name: "QR code with the key below" });
  await until("the QR code", () => image.evaluate((one) => one.naturalWidth > 0));
  await accessible(page, "enrolment");
  await factor.getByRole("button", { name: "Put it into the authenticator here" }).click();
  const totp = new TOTP({ secret: key });
  const shown = card(page, "Authenticator").locator(".otp");
  await until("the same code in the authenticator", async () => (await shown.innerText()).replace(" ", "") === totp.generate());
  // The code of the step before counts too, and leaves the current one for the step-up.
  await until("ten seconds of this step", () => totp.remaining() > 10_000);
  await factor.getByRole("textbox", { name: "Code" }).fill(totp.generate({ timestamp: Date.now() - 30_000 }));
  await factor.getByRole("button", { name: "Turn it on" }).click();
  await until("ten recovery codes", async () => (await factor.locator(".recovery li").count()) === 10);
  return totp;
}

/** A command is refused until a code is entered: a wrong one first, of which the other device is notified. */
async function stepUp(page, other, totp) {
  await card(page, "Revoke everything").getByRole("button").click();
  const dialog = page.getByRole("dialog", { name: "One more proof that it is you" });
  const code = dialog.getByRole("textbox", { name: "Code" });
  await code.fill(totp.generate() === "000000" ? "000001" : "000000");
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await dialog.getByText(/That code is wrong/).waitFor();
  await card(other, "Alerts").getByText("failed_2fa").waitFor();
  await accessible(page, "wrong code");
  await code.fill(totp.generate());
  await dialog.getByRole("button", { name: "Confirm" }).click();
  const confirmation = page.getByRole("dialog", { name: "Revoke all access?" });
  await confirmation.waitFor();
  await page.keyboard.press("Escape");
  await confirmation.waitFor({ state: "detached" });
}

/** Picture for the documentation: two devices, a linked account, and the messages of it. */
async function photographed(page) {
  await page.evaluate(() => {
    scrollTo(0, 0);
    document.getElementById("toasts").replaceChildren();
    document.querySelector("#tour details").open = false;
  });
  const change = messages(page).getByText("account:status_changed").last();
  await change.click();
  await change.scrollIntoViewIfNeeded();
  await photograph(page, "demo");
  await change.click();
}

async function wireShowsBothWaysAndNoSecret(page, secrets) {
  await page.getByRole("checkbox", { name: "Expand" }).check();
  const text = await messages(page).innerText();
  for (const line of ["security:revoke_all", "security:revoke_complete", "auth", "ready", "notification:incoming"])
    assert.ok(text.includes(line), line);
  assert.ok(secrets.size >= 5, "no secret was collected");
  const shown = await page.evaluate(() => document.getElementById("wire").textContent);
  for (const secret of secrets) assert.ok(!shown.includes(secret), `shown: ${secret}`);
  await page.getByRole("radio", { name: "↑ Sent" }).check();
  await messages(page).getByText("security:revoke_complete", { exact: true }).waitFor({ state: "hidden" });
  await messages(page).getByText("security:revoke_all", { exact: true }).waitFor();
}
