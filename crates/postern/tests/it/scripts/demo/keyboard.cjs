// The keyboard alone, in a window of 360 pixels.
const assert = require("node:assert/strict");
const { accessible, card, fits, live, messages, open, run, until } = require("./stage.cjs");

run(async (stage) => {
  const page = await open(stage, { width: 360, height: 740 });
  await fits(page, "signed out");
  await page.evaluate(() => document.activeElement.blur());
  await tabTo(page, "Skip to the content");
  await tabTo(page, "System");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
  await tabTo(page, "Sign in");
  await page.keyboard.press("Enter");
  await live(page);
  await fits(page, "signed in");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");

  await tabTo(page, "Raise an alert");
  await page.keyboard.press("Enter");
  await card(page, "Alerts").getByRole("button", { name: "Acknowledge" }).waitFor();
  await tabTo(page, "Acknowledge");
  await page.keyboard.press("Space");
  await card(page, "Alerts").getByRole("button", { name: "Acknowledge" }).waitFor({ state: "hidden" });
  assert.equal(await focused(page), "Alerts", "the focus has left the card");

  await tabTo(page, "Turn it on");
  await page.keyboard.press("Enter");
  await card(page, "Second factor").getByRole("textbox", { name: "Code" }).waitFor();
  await fits(page, "enrolment");
  await tabTo(page, "Cancel");
  await page.keyboard.press("Enter");
  await until("the focus in the card", async () => (await focused(page)) === "Turn it on");

  await tabTo(page, "Revoke all access…");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await fits(page, "dialog");
  for (let press = 0; press < 8; press++) {
    await page.keyboard.press("Tab");
    assert.ok(
      await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog") !== null),
      "the focus has left the dialog",
    );
  }
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.equal(await focused(page), "Revoke all access…");

  await tabTo(page, /^On the wire/);
  await page.keyboard.press("Enter");
  const first = messages(page).getByText("ready", { exact: true });
  await first.waitFor();
  await tabTo(page, "Expand");
  await page.keyboard.press("Space");
  await page.getByText("The connection is live.").first().waitFor();
  await fits(page, "messages");
  await accessible(page, "messages of a narrow window");
});

/** Presses Tab until the element with this name has the focus, which must be visible. */
async function tabTo(page, name) {
  const matches = (found) => (typeof name === "string" ? found === name : name.test(found));
  for (let press = 0; press < 140; press++) {
    if (matches(await focused(page))) {
      const isVisible = await page.evaluate(() => {
        const focus = document.activeElement;
        const marked = [focus, focus.closest("label")].filter(Boolean).map((element) => getComputedStyle(element));
        return marked.some(({ outlineStyle, outlineWidth }) => outlineStyle !== "none" && parseFloat(outlineWidth) >= 2);
      });
      assert.ok(isVisible, `the focus on ${name} cannot be seen`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not reach ${name}`);
}

/** Name of the element with the focus. */
async function focused(page) {
  return page.evaluate(() => {
    const { activeElement: focus } = document;
    const label = focus.labels?.[0]?.textContent;
    return (focus.getAttribute("aria-label") ?? label ?? focus.textContent).trim();
  });
}
