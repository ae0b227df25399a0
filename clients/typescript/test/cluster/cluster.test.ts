/** The client against two gateways: every scenario over both dialects on Node.js and in Chromium, and tabs in Chromium. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import type { Page } from "playwright-core";
import { WebSocket } from "ws";

import { type Client, type ClientOptions, createClient, webSocket } from "../../src/index.js";
import { socketIo } from "../../src/socketio.js";
import { Chromium, open } from "./browser.js";
import { Drain, UserStage, pagePort } from "./cluster.js";
import { scenarios } from "./scenarios.js";

const DIALECTS = ["websocket", "socket.io"];
const drain = new Drain(DIALECTS.length * 2);
const stages = new Map<string, UserStage>();
let browser: Chromium;
/** Tab in which all scenarios run at once: each further one costs a process. */
let page: Page;

async function stageOf(name: string): Promise<UserStage> {
  // A code is asked for once on a socket: a second one would be asked for after the drain.
  const stage = await UserStage.start(name, drain, !name.includes("stepUp"));
  stages.set(stage.user, stage);
  return stage;
}

/** Calls a method of a user's stage for a page. */
async function call(user: string, method: string, args: unknown[]): Promise<unknown> {
  const stage = stages.get(user);
  assert.ok(stage && method in stage, `${user} ${method}`);
  return (stage[method as keyof UserStage] as (...args: unknown[]) => unknown).apply(stage, args);
}

before(async () => {
  browser = await Chromium.start();
  page = await open(await browser.context(call));
});

after(async () => {
  await browser.end();
  for (const stage of stages.values()) stage.balancer.end();
});

describe("against a cluster", { concurrency: true, timeout: 90_000 }, () => {
  test("the example, built with the packed client, shows state, alerts and countdown of one socket", async () => {
    const stage = await stageOf("example");
    const context = await browser.context(call);
    // It ends within the five minutes of a warning.
    const token = await stage.token(200, 0);
    await context.addInitScript((text) => sessionStorage.setItem("token", text), token);
    const example = await context.newPage();
    await example.goto(`http://127.0.0.1:${pagePort}/example?gateway=${encodeURIComponent(stage.balancer.url)}`);
    await example.getByRole("status").getByText("live").waitFor();
    await example.getByText(/The session ends in \d+ s/).waitFor();
    await stage.alert("Somebody signed in.");
    await example.getByRole("listitem").getByText("Somebody signed in.").waitFor();
    await stage.cut();
    await example.getByRole("status").getByText("waiting").waitFor();
    await stage.alert("Somebody else signed in.");
    await stage.allow();
    await example.getByRole("listitem").getByText("Somebody else signed in.").waitFor();
    assert.equal(await example.getByRole("listitem").count(), 2);
    assert.equal(await stage.sockets(), 1);
    await context.close();
  });

  for (const dialect of DIALECTS) {
    for (const [name, scenario] of Object.entries(scenarios)) {
      test(`${name} over ${dialect} on Node.js`, async () => {
        const stage = await stageOf(`node-${dialect}-${name}`);
        const transport = dialect === "socket.io" ? socketIo() : webSocket({ WebSocket });
        const create = (more: Partial<ClientOptions>): Client =>
          createClient({ url: stage.balancer.url, transport, token: () => null, reconnectDelay: { min: 20, max: 200 }, ...more });
        await scenario(stage, create);
      });

      test(`${name} over ${dialect} in Chromium`, async () => {
        const stage = await stageOf(`chromium-${dialect}-${name}`);
        await page.evaluate((args) => window.run(...args), [name, dialect, stage.user, stage.balancer.url] as const);
      });
    }

    test(`tabs share one socket over ${dialect}, and one takes it over when its leader closes`, async () => {
      const stage = await stageOf(`tabs-${dialect}`);
      const context = await browser.context(call);
      const tabs = [await open(context), await open(context), await open(context)];
      const [leader, next, last] = tabs;
      assert.ok(leader && next && last);
      for (const tab of tabs) {
        await tab.evaluate((args) => window.share(...args), [dialect, stage.user, stage.balancer.url] as const);
      }
      assert.equal(await stage.sockets(), 1);
      await stage.publish("1");
      for (const tab of tabs) await tab.evaluate(() => window.log.received("1"));
      const { settings } = await last.evaluate(() => window.client.send("security:get_settings"));
      assert.equal(settings.sessionTimeout, 30);

      await stage.cut();
      const lists = [next, last].map((tab) => tab.evaluate(() => window.client.send("account:list")));
      await leader.close();
      await stage.publish("2");
      await stage.allow();
      for (const { accounts } of await Promise.all(lists)) assert.deepEqual(accounts, []);
      await stage.publish("3");
      for (const tab of [next, last]) await tab.evaluate(() => window.log.received("1", "2", "3"));
      for (const tab of [next, last]) {
        assert.equal(await tab.evaluate(() => window.log.fresh), 1, "the leader's connection is resumed");
      }
      await next.evaluate(() => window.client.disconnect());
      await last.evaluate(async () => {
        await window.client.send("security:get_settings");
        await window.log.live();
      });
      const states = await last.evaluate(() => window.log.states.map(({ status }) => status));
      assert.ok(!states.includes("idle"), states.join());
      assert.equal(await stage.sockets(), 1);

      await stage.endSessions();
      await last.waitForFunction(() => window.log.state?.status === "stopped", undefined, { polling: 100 });
      stage.session = "after another sign-in";
      for (const tab of [last, next]) {
        // A token of the second in which the sessions ended is refused: it may have been issued before.
        const session = await tab.waitForFunction(() => {
          const { state } = window.client;
          if (state.status === "stopped" || state.status === "idle") window.client.connect();
          return state.status === "live" && state.sessionId;
        }, undefined, { polling: 100 });
        assert.equal(await session.jsonValue(), stage.session);
      }
      assert.equal(await stage.sockets(), 1);
      await context.close();
    });
  }
});
