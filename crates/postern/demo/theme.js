// Theme of the page, set before the first paint: a classic script in the head.

(() => {
  const KEY = "postern-demo-theme";
  const themes = ["system", "light", "dark"];
  const root = document.documentElement;
  const stored = () => {
    const theme = localStorage.getItem(KEY);
    return themes.includes(theme) ? theme : "system";
  };
  const apply = (theme) => {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
  };
  apply(stored());

  document.addEventListener("DOMContentLoaded", () => {
    for (const input of document.querySelectorAll("input[name=theme]")) {
      input.checked = input.value === stored();
      input.addEventListener("change", () => {
        localStorage.setItem(KEY, input.value);
        apply(input.value);
      });
    }
  });
})();
