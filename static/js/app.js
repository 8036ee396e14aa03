// Thingpost's own script. Every page works without it; it adds copy buttons, the reader's time zone,
// toasts, dialogs and filters that submit themselves, and decides which answers htmx may show.
// It sets no style and evaluates no text, so that the strictest CSP allows it.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => {
    const found = [...root.querySelectorAll(selector)];
    return root.matches?.(selector) ? [root, ...found] : found;
  };

  // ---- Times. The server writes UTC; here the reader's zone. Same rules as views/ui/time.go.
  const formats = new Map();
  const part = (date, options) => {
    const key = JSON.stringify(options);
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", options));
    return formats.get(key).format(date);
  };
  const seconds = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const minutes = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const day = (date, month) => `${date.getDate()} ${part(date, { month })}`;
  const exact = (date) =>
    `${part(date, { weekday: "long" })} ${day(date, "long")} ${date.getFullYear()}, ` +
    `${part(date, seconds)}.${String(date.getMilliseconds()).padStart(3, "0")} ` +
    `${part(date, { timeZoneName: "short" }).split(", ").pop()}`;
  const sameDay = (a, b) => a.toDateString() === b.toDateString();
  const span = (ms) => {
    const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    if (s < 60) return `${s} s`;
    if (m < 60) return `${m} min`;
    if (h < 10 && m % 60) return `${h} h ${m % 60} min`;
    if (h < 48) return `${h} h`;
    return `${d} days`;
  };
  const dateOf = (date, now) => day(date, "long") + (date.getFullYear() === now.getFullYear() ? "" : ` ${date.getFullYear()}`);
  const ways = {
    ago: (date, now) => {
      const ms = now - date;
      if (Math.abs(ms) < 1000) return "now";
      if (Math.abs(ms) >= 30 * 864e5) return dateOf(date, now);
      return ms > 0 ? `${span(ms)} ago` : `in ${span(-ms)}`;
    },
    clock: (date, now) => {
      if (sameDay(date, now)) return part(date, seconds);
      if (date.getFullYear() === now.getFullYear()) return `${day(date, "short")} ${part(date, minutes)}`;
      return `${day(date, "short")} ${date.getFullYear()}`;
    },
    minute: (date) => part(date, minutes),
    point: (date) => `${day(date, "short")} ${part(date, minutes)}`,
    date: dateOf,
    stamp: (date) => `${day(date, "long")} ${date.getFullYear()}, ${part(date, seconds)}`,
  };
  const showTime = (element, now = new Date()) => {
    const date = new Date(element.dateTime);
    const way = ways[element.dataset.time];
    if (!way || isNaN(date)) return;
    const text = way(date, now);
    const millis = $("[data-ms]", element);
    if (millis) millis.hidden = !sameDay(date, now);
    const target = element.firstChild;
    if (target && target.nodeValue !== text) target.nodeValue = text;
    element.title = exact(date);
  };
  const localize = (root) => {
    all("time[data-time]", root).forEach((element) => showTime(element));
    all("input[data-utc]", root).forEach(showField);
    all("[data-zone]", root).forEach((element) => (element.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone));
  };
  // Fields of date and time hold UTC for the server, and are read and typed in the reader's zone.
  const showField = (field) => {
    const date = new Date(`${field.defaultValue}Z`);
    if (!field.dataset.utc && !isNaN(date)) field.value = new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    field.dataset.utc = "shown";
  };
  document.addEventListener("formdata", (event) => {
    all("input[data-utc=shown]", event.target).forEach((field) => {
      const date = new Date(field.value);
      if (field.value && !isNaN(date)) event.formData.set(field.name, date.toISOString().slice(0, 16));
    });
  });
  document.addEventListener("input", (event) => {
    const range = event.target.matches("input[data-utc]") && $("input[type=radio][value=range]", event.target.closest("fieldset"));
    if (range) range.checked = true;
  });
  setInterval(() => document.hidden || all('time[data-time="ago"]').forEach((element) => showTime(element)), 10_000);

  // ---- Toasts.
  const toasts = () => $("#toasts");
  const armed = new WeakSet();
  const arm = (toast) => {
    if (armed.has(toast)) return;
    armed.add(toast);
    if (toast.hasAttribute("data-stay")) return;
    let timer;
    const start = () => (timer = setTimeout(() => toast.remove(), 7000));
    const stop = () => clearTimeout(timer);
    toast.addEventListener("pointerenter", stop);
    toast.addEventListener("focusin", stop);
    toast.addEventListener("pointerleave", start);
    toast.addEventListener("focusout", start);
    start();
  };
  const raise = () => {
    const region = toasts();
    // An open dialog covers all but what came to the top layer after it.
    if (!region?.showPopover || !$("dialog[open]")) return;
    region.popover = "manual";
    if (region.matches(":popover-open")) region.hidePopover();
    region.showPopover();
  };
  const readyMade = (name) => {
    const region = toasts();
    const template = $(`template[data-toast="${name}"]`);
    if (!region || !template) return;
    unmake(name);
    const toast = template.content.firstElementChild.cloneNode(true);
    toast.dataset.made = name;
    region.append(toast);
    arm(toast);
    raise();
  };
  const unmake = (name) => all(`[data-made="${name}"]`, toasts() ?? document).forEach((toast) => toast.remove());
  const announce = (text) => {
    const line = $("#announce");
    if (line) line.textContent = text;
  };

  // ---- Copying.
  const copy = async (button) => {
    const source = button.dataset.copy ? document.getElementById(button.dataset.copy) : $("pre, input", button.parentElement);
    if (!source) return;
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // No clipboard without a secure context: select it, so that the keyboard can.
      if (source.select) return source.select();
      return getSelection().selectAllChildren(source);
    }
    const use = $("use", button);
    const href = use?.getAttribute("href");
    announce("Copied");
    if (!href || href.endsWith("#check")) return;
    use.setAttribute("href", href.replace(/#.*/, "#check"));
    setTimeout(() => (use.setAttribute("href", href), announce("")), 1600);
  };

  // ---- Dialogs.
  const closeDialog = (dialog) => {
    dialog.close();
    if (dialog.id === "dialog") dialog.replaceChildren();
  };
  const openFilled = (dialog) => {
    if (!dialog.open && dialog.firstElementChild) {
      document.querySelectorAll("[popover]:popover-open").forEach((open) => open.hidePopover());
      dialog.showModal();
    }
  };
  const focusFault = (root) => $('[aria-invalid="true"]', root)?.focus();

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-copy], [data-dismiss], [data-close], [commandfor]");
    if (!target) {
      if (event.target.matches("dialog.dialog")) closeDialog(event.target);
      return;
    }
    if (target.hasAttribute("data-copy")) copy(target);
    if (target.hasAttribute("data-dismiss")) target.closest(".toast")?.remove();
    const dialog = target.closest("dialog");
    if (target.hasAttribute("data-close") && dialog) {
      event.preventDefault();
      closeDialog(dialog);
    }
    // Browsers that do not know commandfor yet.
    if (target.hasAttribute("commandfor") && !("commandForElement" in target)) {
      const other = document.getElementById(target.getAttribute("commandfor"));
      if (target.getAttribute("command") === "show-modal") other?.showModal();
      if (target.getAttribute("command") === "close") other?.close();
    }
  });
  document.addEventListener("close", (event) => event.target.id === "dialog" && event.target.replaceChildren(), true);

  // ---- Forms that submit themselves.
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.hasAttribute("data-autosubmit")) form.requestSubmit();
  });

  // ---- htmx: which answers are shown, and where.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status < 400) return;
    const ours = xhr.getResponseHeader("HX-Retarget");
    event.detail.shouldSwap = xhr.status === 422 || Boolean(ours);
    event.detail.isError = !event.detail.shouldSwap;
    if (!event.detail.shouldSwap && asked(event)) readyMade("failed");
  });
  // What nobody has asked for fails in silence: live.js says so, and tries again.
  const asked = ({ detail }) => !detail.elt?.matches("[data-live-section], [data-live-count]");
  for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, (event) => asked(event) && readyMade("lost"));
  document.addEventListener("htmx:afterSwap", (event) => {
    const { target, xhr } = event.detail;
    if (target.id === "dialog") openFilled(target);
    if (target.id === "toasts") raise();
    if (xhr?.status === 422) focusFault(document.getElementById(target.id) ?? target);
  });
  document.addEventListener("htmx:load", (event) => {
    localize(event.detail.elt);
    all(".toast", event.detail.elt).forEach(arm);
  });

  // What live.js and keys.js need of this.
  window.thingpost = Object.freeze({ $, all, announce, readyMade, unmake, openFilled });

  localize(document);
  if (toasts()) all(".toast", toasts()).forEach(arm);
  focusFault(document);
})();
