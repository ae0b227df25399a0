// Sign-in. There are no passwords: the demo's API issues tokens, as an application's server would for users who have signed in.

import { el, icon } from "./dom.js";
import { load, suggestedName } from "./identity.js";

export class SignIn {
  node;
  #submit;

  constructor(app, signIn, notice) {
    const { users, gateways, version } = app.cluster;
    const preferred = new URLSearchParams(location.hash.slice(1)).get("user") ?? load()?.userId;
    const chosen = users.includes(preferred) ? preferred : users[0];
    const user = el(
      "fieldset",
      { class: "choices" },
      el("legend", { text: "User" }),
      ...users.map((name) => choice(name, name === chosen)),
    );
    const device = el("input", {
      id: "device-name",
      name: "device",
      maxlength: "60",
      required: true,
      autocomplete: "off",
      value: load()?.deviceName ?? suggestedName(),
    });
    const lifetime = el(
      "select",
      { id: "lifetime", name: "lifetime" },
      ...LIFETIMES.map(([seconds, label]) => el("option", { value: seconds, text: label })),
    );
    this.#submit = el("button", { type: "submit", class: "button primary wide" }, icon("gate"), el("span", { text: "Sign in" }));
    const fields = el(
      "form",
      { class: "card sign-in", "aria-labelledby": "sign-in-title" },
      el("h2", { id: "sign-in-title", text: "Sign in on this device" }),
      user,
      el("p", { class: "field" }, el("label", { for: "device-name", text: "Name of this device" }), device),
      el(
        "details",
        {},
        el("summary", { text: "Lifetime of the token" }),
        el("p", { class: "field" }, el("label", { for: "lifetime", text: "The token ends after" }), lifetime),
      ),
      this.#submit,
      el("p", { class: "hint", text: "No password: postern dev issues the token, in the place of your own server." }),
    );
    fields.addEventListener("submit", (event) => {
      event.preventDefault();
      const entered = new FormData(fields);
      signIn({
        userId: entered.get("user"),
        deviceName: entered.get("device").trim() || suggestedName(),
        lifetime: Number(entered.get("lifetime")),
      });
    });
    this.node = el(
      "div",
      { class: "welcome" },
      el("div", { class: "pitch" }, ...pitch(gateways, version)),
      el("div", {}, notice ? noticeOf(notice) : null, fields),
    );
  }

  focus() {
    this.#submit.focus({ preventScroll: true });
  }
}

function choice(name, checked) {
  return el(
    "label",
    { class: "choice" },
    el("input", { type: "radio", name: "user", value: name, checked }),
    el("span", { text: name }),
  );
}

function noticeOf({ title, text }) {
  return el("div", { class: "notice", role: "alert" }, el("strong", { text: title }), el("p", { text }));
}

function pitch(gateways, version) {
  const gateway = gateways.findIndex(({ url }) => url === location.origin);
  const letter = gateway < 0 ? "" : ` ${LETTERS[gateway]}`;
  return [
    el("p", { class: "eyebrow", text: `postern dev ${version ?? ""} · gateway${letter}` }),
    el("h1", { text: "Every device of a user, notified at once." }),
    el("p", {
      class: "lead",
      text: "This tab becomes a device. Open a second one on the other gateway, link an account, and see both change. Beside it you read each message as it goes over the wire.",
    }),
    el(
      "ol",
      { class: "route", "aria-label": "Path of a message" },
      ...ROUTE.map(([symbol, title, text]) => el("li", {}, icon(symbol), el("strong", { text: title }), el("span", { text }))),
    ),
  ];
}

/** Names of gateways on the page. */
export const LETTERS = ["A", "B", "C", "D"];

const ROUTE = [
  ["device", "Devices", "tabs of this browser, each with a session"],
  ["gate", "Two gateways", "stateless, without secrets"],
  ["bolt", "Worker", "commits first, then notifies"],
  ["link", "Platforms", "simulated, with a consent page"],
];

const LIFETIMES = [
  ["3600", "1 hour"],
  ["900", "15 minutes"],
  ["60", "1 minute, to see it end"],
  ["20", "20 seconds, to see it end soon"],
];
