/** Entry of the page: one client for the whole application. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { createClient } from "@postern/client";
import { PosternProvider } from "@postern/client/react";
import { socketIo } from "@postern/client/socket.io";

import { App } from "./app.js";

const client = createClient({
  // That of `postern dev`, unless the page's address has another one.
  url: new URLSearchParams(location.search).get("gateway") ?? "https://127.0.0.1:8443",
  // An application asks its own server: `postern token` prints a token for `postern dev`.
  token: () => sessionStorage.getItem("token") ?? window.prompt("Access token"),
  transport: socketIo(),
  secondFactor: async ({ method, error }) => window.prompt(error?.message ?? `Code (${method})`),
});

const root = document.getElementById("root");
if (!root) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <PosternProvider client={client}>
      <App />
    </PosternProvider>
  </StrictMode>,
);
