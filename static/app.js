// The panel's own script. Every page works without it; with it the page stays
// fresh, listens to keys and says so when it is no longer live.
"use strict";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const on = (event, handle, options) => document.addEventListener(event, handle, options);

// The reader's time zone, for the times that the server writes.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `tz=${zone}; path=/; max-age=31536000; samesite=lax${secure}`;
}

// What a link carries behind its #, which no server sees, goes into the form that
// wants it, and out of the address and the history of the browser.
{
  const take = () => {
    const field = one("[data-fragment]");
    const text = decodeURIComponent(location.hash.slice(1));
    if (!field || !text) return;
    one("input", field).value = text;
    field.hidden = true;
    history.replaceState(null, "", location.pathname);
  };
  take();
  addEventListener("hashchange", take);
}

// Relative times, with the sentences and the steps of the server.
{
  const words = JSON.parse(document.body.dataset.ago || "{}");
  const steps = [["d", 86400], ["h", 3600], ["min", 60], ["s", 5]];
  const agoText = (seconds) => {
    const step = steps.find(([, length]) => seconds >= length);
    if (!step) return words.now;
    const [unit, length] = step;
    return words[unit]?.replace("{0}", Math.floor(seconds / (unit === "s" ? 1 : length)));
  };
  const freshen = () => {
    if (document.hidden) return;
    for (const time of all("time[data-relative]")) {
      const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
      const text = seconds < 30 * 86400 ? agoText(seconds) : null;
      if (text && time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(freshen, 5000);
  on("visibilitychange", freshen);
}

// Dialogs: what the server draws into #dialog opens by itself. Buttons use the
// browser's own commands; older browsers get them here.
{
  on("htmx:after:swap", () => {
    const dialog = one("#dialog > dialog:not([open])");
    if (!dialog) return;
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
  });
  const native = "commandForElement" in HTMLButtonElement.prototype;
  on("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.hasAttribute("data-close")) {
      const dialog = button.closest("dialog");
      dialog ? dialog.close() : history.back();
    } else if (!native && button.getAttribute("command") === "show-modal") {
      document.getElementById(button.getAttribute("commandfor"))?.showModal();
    }
    // A menu has done its work once something in it was chosen.
    if (button.closest(".menu-list")) button.closest("[popover]")?.hidePopover();
  });
}

// Toasts go away by themselves; bad news waits to be read.
{
  const place = one("#toasts");
  const leave = (toast) => {
    if (toast.dataset.toast === "bad" || toast.dataset.timed) return;
    toast.dataset.timed = "1";
    const wait = one("form", toast) ? 20000 : 6000; // time to decide about an undo
    const later = () => setTimeout(() => (toast.matches(":hover, :focus-within") ? later() : toast.remove()), wait);
    later();
  };
  if (place) {
    new MutationObserver(() => all(".toast", place).forEach(leave)).observe(place, { childList: true });
    all(".toast", place).forEach(leave);
  }
  on("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast")?.remove());
}

// Copy buttons. The clipboard's own interface needs a secure page; without one
// the old way still works.
on("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(button.dataset.copy);
  } else {
    const area = document.createElement("textarea");
    area.value = button.dataset.copy;
    area.className = "away";
    (button.closest("dialog") || document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const label = button.getAttribute("aria-label");
  button.title = document.body.dataset.copied;
  button.setAttribute("aria-label", document.body.dataset.copied);
  button.classList.add("done");
  setTimeout(() => {
    button.title = label;
    button.setAttribute("aria-label", label);
    button.classList.remove("done");
  }, 1500);
});

// The name of a file that was chosen stands beside its button.
{
  const name = (input) => {
    const place = one("[data-chosen]", input.parentElement);
    place.dataset.none ??= place.textContent;
    place.textContent = [...input.files].map((file) => file.name).join(", ") || place.dataset.none;
  };
  on("change", (event) => event.target.matches(".file input") && name(event.target));
  all(".file input").forEach(name); // a page that was left and came back
}

// Selection: the box in the header, ranges with shift, and the count.
{
  let last = null;
  const boxes = (table) => all("tbody .pick input", table);
  const count = (table) => {
    const list = boxes(table);
    const checked = list.filter((box) => box.checked).length;
    const header = one("thead .pick input", table);
    if (header) {
      header.checked = checked > 0 && checked === list.length;
      header.indeterminate = checked > 0 && checked < list.length;
    }
    document.body.toggleAttribute("data-picked", checked > 0);
    const every = one("[data-every]", table);
    if (every && checked < list.length) every.checked = false;
    const number = one("[data-count]", table);
    const said = every?.checked ? every.dataset.every : String(checked);
    if (number && number.textContent !== said) number.textContent = said;
  };
  on("click", (event) => {
    const box = event.target.closest?.(".pick input");
    const table = box?.closest("[data-select]");
    if (!table) return;
    if (box.closest("thead")) {
      boxes(table).forEach((other) => (other.checked = box.checked));
    } else {
      const list = boxes(table);
      const [from, to] = [list.indexOf(last), list.indexOf(box)].sort((a, b) => a - b);
      if (event.shiftKey && from >= 0) list.slice(from, to + 1).forEach((other) => (other.checked = box.checked));
      last = box;
    }
    count(table);
  });
  on("change", (event) => {
    const table = event.target.closest?.("[data-select]");
    if (!table) return;
    if (event.target.matches("[data-every]") && event.target.checked) boxes(table).forEach((box) => (box.checked = true));
    count(table);
  });
  on("click", (event) => {
    const table = event.target.closest?.("[data-unpick]")?.closest("[data-select]");
    if (!table) return;
    boxes(table).forEach((box) => (box.checked = false));
    count(table);
  });
  on("htmx:after:swap", () => all("[data-select]").forEach(count));
  all("[data-select]").forEach(count); // a page that was left and came back
}

// A password prompt that must wait counts down, and takes nothing before the end.
{
  const problem = one("#problem[data-wait]");
  const form = problem?.closest("form");
  if (form) {
    const end = Date.now() + Number(problem.dataset.wait) * 1000;
    const said = one("span", problem);
    const button = one(".btn.primary", form);
    const early = (event) => event.preventDefault();
    const tick = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      if (left > 0) {
        const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
        said.textContent = problem.dataset.waiting.replace("{0}", clock);
        return;
      }
      clearInterval(timer);
      form.removeEventListener("submit", early);
      button.removeAttribute("aria-disabled");
      problem.setAttribute("aria-live", "polite");
      said.textContent = problem.dataset.over;
    };
    form.addEventListener("submit", early);
    button.setAttribute("aria-disabled", "true");
    problem.setAttribute("aria-live", "off"); // not every second
    const timer = setInterval(tick, 250);
    tick();
  }
}

// Keys.
{
  const typing = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  const rows = () => all("[data-rows] > *").filter((row) => one("a", row));
  const move = (by) => {
    const list = rows();
    if (!list.length) return;
    const at = list.findIndex((row) => row.classList.contains("at"));
    const row = list[Math.min(list.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    list[at]?.classList.remove("at");
    row.classList.add("at");
    one("a", row).focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };
  const range = (box) => box?.dispatchEvent(new MouseEvent("click", { shiftKey: true, bubbles: true, cancelable: true }));
  const keys = {
    "/": () => one("[data-search]")?.focus(),
    "?": () => one("#help")?.showModal(),
    j: () => move(1),
    k: () => move(-1),
    x: () => one("[data-rows] > .at .pick input")?.click(),
    X: () => range(one("[data-rows] > .at .pick input")),
    ".": () => openMenu(one("[data-rows] > .at td.menu button[popovertarget]")),
  };
  // The first entry of a menu that was opened by a key has the focus.
  const openMenu = (button) => {
    button?.click();
    one("a, button", document.getElementById(button?.getAttribute("popovertarget")))?.focus();
  };
  on("keydown", (event) => {
    const menu = event.target.closest(".menu-list");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!menu || !step) return;
    event.preventDefault();
    const list = all("a, button", menu);
    list[(list.indexOf(event.target) + step + list.length) % list.length]?.focus();
  });
  // The row of the keys stays the same one when it is drawn again.
  let at = "";
  on("htmx:before:swap", () => (at = one("[data-rows] > .at")?.id ?? ""));
  on("htmx:after:swap", () => at && document.getElementById(at)?.classList.add("at"));
  on("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(event.target) || one("dialog[open], [popover]:popover-open")) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

// The swap "cells" replaces the cells of a row that differ, but not one that is being
// edited. Its cells have no attributes of htmx. See docs/adr/0014-rows-of-a-stream.md.
htmx.registerExtension("cells", {
  handle_swap: (style, row, fragment) => {
    if (style !== "cells") return false;
    const drawn = fragment.firstElementChild;
    for (const { name } of [...row.attributes]) if (name !== "class" && !drawn.hasAttribute(name)) row.removeAttribute(name);
    for (const { name, value } of drawn.attributes) if (row.getAttribute(name) !== value) row.setAttribute(name, value);
    const cells = [...drawn.children];
    [...row.children].forEach((old, i) => {
      if (!old.hasAttribute("hx-morph-skip") && !old.isEqualNode(cells[i])) old.replaceWith(cells[i]);
    });
    return []; // nothing to initialize
  },
});

// A changed row glows once. Its data-key says what it showed.
{
  let shown = new Map();
  on("htmx:before:swap", (event) => {
    for (const { target } of event.detail.tasks ?? []) {
      if (target?.dataset?.key) shown.set(target.id, target.dataset.key);
    }
  });
  on("htmx:after:swap", () => {
    for (const [id, key] of shown) {
      const row = document.getElementById(id);
      if (!row || row.dataset.key === key) continue;
      row.classList.add("fresh");
      clearTimeout(row.glow);
      row.glow = setTimeout(() => row.classList.remove("fresh"), 1600);
    }
    shown = new Map();
  });
}

// An address has no empty filters in it. The field "was" may be empty; it marks a form.
on("htmx:config:request", (event) => {
  const { method, body } = event.detail.ctx.request;
  if (method !== "GET" || !(body instanceof FormData)) return;
  for (const [name, value] of [...body]) if (value === "" && name !== "was") body.delete(name);
});

// Focus survives a list that is drawn again.
{
  let held = "";
  on("htmx:before:swap", () => (held = document.activeElement?.id || ""));
  on("htmx:after:swap", () => {
    if (held && document.activeElement === document.body) document.getElementById(held)?.focus({ preventScroll: true });
  });
}

// The stream. The extension reconnects a stream that broke, but gives up on one
// that never began, asks for ever where the login has ended, and does not
// notice silence. The server sends a ping every 20 seconds.
{
  const SILENCE = 45000;
  const BUDGET = 10; // milliseconds of work in one task
  let heard = Date.now();
  let tries = 0;
  let waiting = 0;
  const stream = () => one("#stream");
  const live = () => {
    heard = Date.now();
    tries = 0;
    clearTimeout(waiting);
    waiting = 0;
    const word = one("#live");
    if (word) word.hidden = true;
  };
  const dead = (crowded = false) => {
    const word = one("#live");
    if (!word) return;
    one("[data-crowded]", word).hidden = !crowded;
    one("[data-silent]", word).hidden = crowded;
    word.hidden = false;
  };
  const login = () => location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
  const reconnect = () => {
    clearTimeout(waiting);
    waiting = 0;
    const old = stream();
    if (!old || !window.htmx) return;
    const connection = old._htmx?.sse;
    const fresh = document.createElement("div");
    for (const { name, value } of old.attributes) fresh.setAttribute(name, value);
    old.replaceWith(fresh);
    connection?.reader?.cancel();
    connection?.abortController?.abort();
    heard = Date.now();
    htmx.process(fresh);
  };
  const retry = (response) => {
    if (waiting || document.hidden) return;
    tries += 1;
    const least = 1000 * (Number(response?.headers?.get("Retry-After")) || 0); // there are too many streams
    if (tries > 1 || least) dead(least > 0);
    waiting = setTimeout(reconnect, Math.max(least, Math.min(30000, 1000 * 2 ** (tries - 1))));
  };
  // A page that works on many messages lets the browser draw and answer keys in between.
  let began = 0;
  on("htmx:sse:before:message", (event) => {
    if (performance.now() - began < BUDGET) return;
    event.detail.waitUntil(new Promise((done) => setTimeout(done)).then(() => (began = performance.now())));
  });
  on("htmx:sse:after:connection", live);
  on("htmx:sse:after:message", live);
  on("ping", live);
  on("htmx:sse:error", (event) => (event.detail.status === 401 ? login() : dead(event.detail.status === 429)));
  on("htmx:response:error", (event) => {
    if (event.detail.ctx?.response?.status === 401) login();
  });
  on("htmx:finally:request", (event) => {
    // The first connect has ended; when it succeeded, the extension holds it.
    const element = stream();
    if (element && event.detail.ctx?.sourceElement === element && !element._htmx?.sse) retry(event.detail.ctx.response?.raw);
  });
  on("click", (event) => event.target.closest("[data-reconnect]") && reconnect());
  on("visibilitychange", () => {
    heard = Date.now();
    if (!document.hidden && stream() && !stream()._htmx?.sse) reconnect();
  });
  setInterval(() => {
    if (!stream() || document.hidden || Date.now() - heard < SILENCE) return;
    dead();
    reconnect();
  }, 5000);
}

// The order of a list is that of its items: buttons move them.
on("click", (event) => {
  const button = event.target.closest("[data-order] [data-move]");
  if (!button) return;
  const item = button.closest("li");
  const up = button.dataset.move === "up";
  const other = up ? item.previousElementSibling : item.nextElementSibling;
  if (!other) return;
  if (up) other.before(item);
  else other.after(item);
  button.focus();
});
