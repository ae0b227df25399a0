// A gateway that is killed while the page is open: the page continues on the other one and misses nothing; it reports what is lost.
const assert = require("node:assert/strict");
const { card, internal, live, messages, open, publish, run, signIn, until } = require("./stage.cjs");

run(scenario, [/ERR_INTERNET_DISCONNECTED/]);

async function scenario(stage) {
  const page = await open(stage);
  await signIn(page, { device: "Survivor" });
  await live(page, "A");
  const other = await open(stage, { gateway: 1 });
  await signIn(other, { device: "Bystander" });

  await killed(page);
  await lost(page);
  assert.deepEqual(
    await messages(other)
      .getByText(/closed with/)
      .allInnerTexts(),
    [],
    "the other tab has lost its connection",
  );
}

async function killed(page) {
  await publish(1, "alert 0");
  await card(page, "Gateways").getByRole("button", { name: "Kill gateway A" }).click();
  for (const number of [1, 2, 3]) await publish(1, `alert ${number}`);
  await messages(page)
    .getByText(/closed with 1006/)
    .waitFor();
  await live(page, "B");
  await page.getByText(/Connected again, and nothing was lost/).waitFor();
  const rows = card(page, "Alerts").getByText(/^alert \d$/);
  await until("each alert, once", async () => (await rows.allInnerTexts()).join() === "alert 3,alert 2,alert 1,alert 0");
  await card(page, "Gateways").getByText("killed, restarts soon").waitFor({ state: "hidden" });
  await card(page, "Gateways").getByText("running").waitFor();
  // The page's own origin is the gateway that was killed; its commands go to the other one.
  await card(page, "Alerts").getByRole("button", { name: "Raise an alert" }).click();
  await card(page, "Alerts").getByRole("button", { name: "Acknowledge" }).first().waitFor();
}

/** More events than an event log has happen while the page is offline. */
async function lost(page) {
  await page.context().setOffline(true);
  await page.evaluate(() => dispatchEvent(new Event("offline")));
  await card(page, "Gateways").getByRole("button", { name: "Lose the connection" }).click();
  await page.getByText("Connection lost, trying again").waitFor();
  const event = (number) => ({
    userId: "GEN-001",
    event: "notification:incoming",
    data: { platform: "github", type: "mention", content: `mention ${number}`, sender: "octocat" },
  });
  const response = await internal(1, "events", { events: Array.from({ length: 300 }, (_, number) => event(number)) });
  assert.ok((await response.json()).results.every(({ eventId }) => eventId));
  await publish(1, "after the loss");
  await page.context().setOffline(false);
  await page.getByText(/Some events were lost while this tab was away/).waitFor();
  await card(page, "Alerts").getByText("after the loss").waitFor();
}
