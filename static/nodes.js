// The node list: completion in the search field.
"use strict";

// The search field is a combobox (WAI-ARIA) whose list the server writes: what can stand
// at the cursor. The list opens while a filter is typed, with the arrow keys, and with a
// click into an empty field.
{
  const WAIT = 120;
  const input = () => one("#q[data-complete]");
  const list = () => one("#q-options");
  const options = () => all("[role=option]", list());
  const isOpen = () => list() && !list().hidden;
  let timer = 0;
  let request = null;

  const active = () => options().find((option) => option.getAttribute("aria-selected") === "true");
  const choose = (option) => {
    for (const other of options()) other.setAttribute("aria-selected", String(other === option));
    if (option) {
      input().setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      input().removeAttribute("aria-activedescendant");
    }
  };
  const close = () => {
    clearTimeout(timer);
    request?.abort();
    if (!list()) return;
    list().hidden = true;
    one("#q-count").textContent = "";
    input()?.setAttribute("aria-expanded", "false");
    input()?.removeAttribute("aria-activedescendant");
  };
  const load = async (first) => {
    const field = input();
    clearTimeout(timer);
    request?.abort();
    request = new AbortController();
    const { signal } = request;
    const before = [...field.value.slice(0, field.selectionStart)].length;
    try {
      const query = new URLSearchParams({ q: field.value, at: before });
      const answer = await fetch(`${field.dataset.complete}?${query}`, { headers: { "HX-Request": "true" }, signal });
      if (!answer.ok) return close();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (signal.aborted || document.activeElement !== input()) return;
      list().replaceChildren(...page.body.children);
      one("#q-count").textContent = one("[data-count]", list()).textContent;
      list().hidden = options().length === 0;
      input().setAttribute("aria-expanded", String(isOpen()));
      choose(first ? options()[0] : null);
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };
  const accept = (option) => {
    const field = input();
    const text = [...field.value];
    const after = text.slice(Number(option.dataset.end)).join("");
    const open = option.hasAttribute("data-open");
    const added = option.dataset.text + (open || after.startsWith(" ") || after.startsWith(",") ? "" : " ");
    const start = text.slice(0, Number(option.dataset.start)).join("") + added;
    field.value = start + after;
    field.focus();
    field.setSelectionRange(start.length, start.length);
    close();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    clearTimeout(timer);
    if (open) load();
  };

  on("input", (event) => {
    if (event.target !== input() || event.isComposing) return;
    clearTimeout(timer);
    const before = event.target.value.slice(0, event.target.selectionStart);
    if (before === "" || /\s$/.test(before)) return close(); // all fields would cover the list
    timer = setTimeout(load, WAIT);
  });
  on("keydown", (event) => {
    if (event.target !== input() || event.isComposing || event.ctrlKey || event.metaKey) return;
    const at = options().indexOf(active());
    switch (event.key) {
      case "ArrowDown":
      case "ArrowUp": {
        event.preventDefault();
        if (!isOpen()) return load(true);
        const step = event.key === "ArrowDown" ? 1 : -1;
        const count = options().length;
        return choose(options()[at < 0 && step < 0 ? count - 1 : (at + step + count) % count]);
      }
      case "Enter":
      case "Tab":
        if (!isOpen()) return;
        if (event.shiftKey || at < 0) return close();
        event.preventDefault();
        return accept(active());
      case "Escape":
        if (isOpen()) event.preventDefault(); // otherwise the browser clears the field
        return close();
      case "ArrowLeft":
      case "ArrowRight":
      case "Home":
      case "End":
        return close();
    }
  });
  on("mousedown", (event) => {
    if (event.target.closest?.("#q-options")) event.preventDefault(); // the field keeps the focus
    else if (event.target !== input()) close();
  });
  on("click", (event) => {
    const option = event.target.closest?.("#q-options [role=option]");
    if (option) accept(option);
  });
  on("click", (event) => event.target === input() && input().value === "" && !isOpen() && load());
  on("focusout", (event) => event.target === input() && close());
  on("htmx:after:swap", () => input()?.setAttribute("aria-invalid", String(Boolean(one("#q-problem *")))));
}
