// The page: one link, one wire panel, and either the sign-in or the cards of a signed-in user.

import { DemoApi } from "./api.js";
import { Commands } from "./commands.js";
import { el, button } from "./dom.js";
import * as identity from "./identity.js";
import { Link } from "./link.js";
import { Toasts } from "./toasts.js";
import { SignIn } from "./sign_in.js";
import { StatusBar } from "./status_bar.js";
import { Wire } from "./wire.js";
import { Workspace } from "./workspace.js";

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const api = new DemoApi();
const link = new Link(api);
const toasts = new Toasts(document.getElementById("toasts"));
const wire = new Wire(document.getElementById("wire"), link);
const app = { api, link, toasts, cluster: null, identity: null, commands: new Commands(link, api), signOut };
let workspace = null;
/** Position of each view of a narrow window, where only one is shown. */
const scrolled = {};
const statusBar = new StatusBar(document.getElementById("status"), app);

link.on("ended", ({ code, reason }) => {
  identity.signOut();
  showSignIn(ending(code, reason));
});

for (const choice of document.querySelectorAll(".views button")) {
  choice.addEventListener("click", () => showView(choice.dataset.view));
}
link.on("frame", () => wire.count(document.getElementById("wire-count")));

await open();

/** Reads the cluster; shows the sign-in, or continues the session of a page that was reloaded. */
async function open() {
  try {
    app.cluster = await api.cluster();
  } catch (error) {
    const again = button("Try again", { kind: "primary", onclick: open });
    main.replaceChildren(
      el(
        "div",
        { class: "notice empty-page" },
        el("h1", { text: "The cluster does not answer" }),
        el("p", { text: error.message }),
        again,
      ),
    );
    return;
  }
  for (const gateway of app.cluster.gateways) gateway.url = sameHost(gateway.url);
  const urls = app.cluster.gateways.map((gateway) => gateway.url);
  api.learn(urls);
  link.gateways = urls;
  const known = identity.load();
  if (known?.signedIn) signIn(known);
  else showSignIn();
}

/** URL of a gateway by the name that this page was opened with: 127.0.0.1 and localhost are two origins of one gateway. */
function sameHost(url) {
  const { protocol, port } = new URL(url);
  return `${protocol}//${location.hostname}:${port}`;
}

function signIn(known) {
  app.identity = known;
  banner.replaceChildren();
  statusBar.show(known);
  document.title = `${known.deviceName} of ${known.userId} · Postern demo`;
  workspace = new Workspace(app, banner);
  main.replaceChildren(workspace.node);
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
  link.start(known);
}

function signOut() {
  identity.signOut();
  link.stop();
  showSignIn();
}

function showSignIn(notice) {
  workspace?.end();
  document.title = "Postern demo";
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  app.identity = null;
  banner.replaceChildren();
  statusBar.clear();
  showView("user");
  const signInView = new SignIn(app, (chosen) => signIn(identity.signIn(chosen)), notice);
  main.replaceChildren(signInView.node);
  signInView.focus();
}

function showView(view) {
  scrolled[document.body.dataset.view] = scrollY;
  document.body.dataset.view = view;
  scrollTo(0, scrolled[view] ?? 0);
  for (const choice of document.querySelectorAll(".views button"))
    choice.setAttribute("aria-pressed", String(choice.dataset.view === view));
}

/** Notice of the end of a session, as the user reads it. */
function ending(code, reason) {
  const endings = {
    idle: ["Your session has ended", "Nothing was sent for as long as the session timeout. Sign in again to continue."],
    ended: [
      "This session was ended",
      "Another device of yours, or the application, has ended it. Its tokens are refused from now on, on every gateway.",
    ],
    token_expired: ["Your session has ended", "The token has expired, and nobody replaced it in time."],
  };
  const other = [
    "The gateway has closed the connection",
    `It will not let this tab in again as it is (close code ${code}${reason ? `, ${reason}` : ""}).`,
  ];
  const [title, text] = endings[reason] ?? (code === 4403 ? endings.ended : other);
  return { title, text };
}
