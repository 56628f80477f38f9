// The node list: completion in the search field, editors in its cells, whole texts.
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
      const chosen = active()?.dataset.text; // before the answer to the last letter came
      list().replaceChildren(...page.body.children);
      one("#q-count").textContent = one("[data-count]", list()).textContent;
      list().hidden = options().length === 0;
      input().setAttribute("aria-expanded", String(isOpen()));
      choose(options().find((option) => option.dataset.text === chosen) ?? (first ? options()[0] : null));
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

// The rows have one menu. It is filled for a row when its button is pressed.
const fillMenu = (row) => {
  const menu = one("#row-menu");
  const filled = one("#row-menu-template").content.cloneNode(true);
  for (const part of all("[data-busy]", filled)) {
    if (part.dataset.busy !== String("busy" in row.dataset)) part.remove();
  }
  const attributes = all("*", filled).flatMap((element) => [...element.attributes]);
  for (const attribute of attributes) attribute.value = attribute.value.replaceAll("{id}", row.id.replace("node-", ""));
  one("[data-copy]", filled).dataset.copy = one(".where a", row).title;
  if (menu.dataset.row !== row.id && menu.matches(":popover-open")) menu.hidePopover(); // or the button would close it
  menu.dataset.row = row.id;
  menu.replaceChildren(filled);
  htmx.process(menu);
  return menu;
};
on("click", (event) => {
  const button = event.target.closest?.("[popovertarget=row-menu]");
  if (button) fillMenu(button.closest("tr"));
});

// The editor of a cell. It is skipped while the stream draws its row again. Without its
// column in the list, the editor is a dialog of the row's menu.
{
  const rowAt = () => one("[data-rows] > .at");
  const close = (cell) => {
    cell.removeAttribute("hx-morph-skip");
    cell.classList.remove("editing");
    one("a", cell.closest("tr"))?.focus({ preventScroll: true });
  };
  const cancel = (cell) => {
    if (!cell?.shown) return;
    cell.replaceChildren(...cell.shown);
    delete cell.shown;
    close(cell);
  };
  const edit = async (row, field) => {
    const cell = one(`[data-inline="${field}"]`, row);
    if (!cell) {
      return one(`a[href*="field=${field}"]`, fillMenu(row))?.click();
    }
    if (cell.classList.contains("editing")) return;
    cell.classList.add("editing");
    cell.setAttribute("hx-morph-skip", "");
    try {
      const answer = await fetch(`/nodes/${row.id.replace("node-", "")}/inline?field=${field}`, { headers: { "HX-Request": "true" } });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      cell.shown = [...cell.childNodes];
      cell.replaceChildren(...page.body.children);
      htmx.process(cell);
      one("[name=text]", cell).select();
    } catch {
      close(cell);
    }
  };
  on("dblclick", (event) => {
    const cell = event.target.closest?.("[data-inline]");
    if (cell && !event.target.closest("a, .inline")) edit(cell.closest("tr"), cell.dataset.inline);
  });
  on("click", (event) => {
    if (event.target.closest?.("[data-inline-cancel]")) cancel(event.target.closest("[data-inline]"));
  });
  on("keydown", (event) => {
    if (event.key !== "Escape" || !event.target.closest?.(".editing")) return;
    event.preventDefault();
    cancel(event.target.closest("[data-inline]"));
  });
  on("htmx:after:swap", () => {
    one("dialog[open]#inline [name=text]")?.select();
    for (const saved of all("[data-inline-done]")) {
      const cell = saved.closest("[data-inline]");
      saved.removeAttribute("data-inline-done");
      if (cell) {
        delete cell.shown;
        close(cell);
      } else {
        saved.closest("dialog")?.close();
      }
    }
    one(".editing [aria-invalid=true]")?.focus();
  });

  // A row without cut texts.
  let whole = new Set();
  const show = (row) => {
    if (!row) return;
    row.classList.toggle("whole") ? whole.add(row.id) : whole.delete(row.id);
  };
  on("htmx:after:swap", () => whole.forEach((id) => document.getElementById(id)?.classList.add("whole")));
  on("click", (event) => {
    if (matchMedia("(hover: none)").matches && event.target.closest?.("td .cut") && !event.target.closest("a")) show(event.target.closest(".node-list tr"));
  });

  const copy = () => {
    const picked = one("#list tbody .pick :checked");
    if (!picked && !rowAt()) return;
    one('[formaction="/nodes/copy"]', picked ? one("#bulk") : fillMenu(rowAt()))?.click();
  };
  const keys = {
    e: () => edit(rowAt(), "comment"),
    t: () => edit(rowAt(), "tags"),
    c: copy,
    v: () => show(rowAt()),
  };
  on("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select") || one("dialog[open], [popover]:popover-open")) return;
    if (!keys[event.key] || (event.key !== "c" && !rowAt())) return;
    event.preventDefault();
    keys[event.key]();
  });
}
