// Modal dialogs: the native element keeps the focus inside, closes on Escape, and returns the focus.

import { el, button } from "./dom.js";

/**
 * Opens a dialog; resolves with what `submit` returns once that is not undefined, or with null when the user cancels.
 *
 * `submit` throws an `Error` whose sentence is shown in the dialog, which stays open then.
 */
export function ask({ title, body, confirm, kind = "primary", submit, onclose }) {
  return new Promise((resolve) => {
    const fault = el("p", { class: "fault", role: "alert" });
    const accept = el("button", { type: "submit", class: `button ${kind}`, text: confirm });
    const cancel = button("Cancel", { onclick: () => dialog.close() });
    const fields = el(
      "form",
      { method: "dialog", novalidate: true },
      ...body,
      fault,
      el("div", { class: "actions" }, accept, cancel),
    );
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, el("h2", { id: "dialog-title", text: title }), fields);
    let result = null;
    fields.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (accept.getAttribute("aria-disabled") === "true") return;
      accept.setAttribute("aria-disabled", "true");
      fault.textContent = "";
      try {
        result = await submit(new FormData(fields));
        dialog.close();
      } catch (error) {
        fault.textContent = error.message;
        fields.querySelector("input")?.select();
      } finally {
        accept.removeAttribute("aria-disabled");
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      onclose?.();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
