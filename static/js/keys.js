// The keys of the dashboard, and the drawer beside a list. What a key does can be done without it: each
// presses a link, button or form of the page.
"use strict";
(() => {
  const { $, all, readyMade, openFilled } = window.thingpost;

  // ---- The drawer: a row's own page beside the list, where there is room for both.
  const drawer = $("#drawer");
  const wide = matchMedia("(width >= 64rem)");
  let shown = ""; // the address of what is in the drawer
  const rows = () => all("a.row-link").filter((row) => row.checkVisibility());
  const rowOf = (href) => rows().find((row) => row.getAttribute("href") === href);
  const openDrawer = (row) => {
    shown = row.getAttribute("href");
    htmx.ajax("GET", shown, { source: drawer, target: drawer });
  };
  document.addEventListener("click", (event) => {
    const row = event.target.closest("a[data-drawer]");
    if (!row || !drawer || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || !wide.matches) return;
    event.preventDefault();
    openDrawer(row);
  });
  drawer?.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== drawer) return;
    openFilled(drawer);
    $("[autofocus]", drawer)?.focus({ preventScroll: true });
  });
  drawer?.addEventListener("click", (event) => {
    const step = event.target.closest("[data-step]");
    if (step) move(Number(step.dataset.step));
    if (event.target === drawer) drawer.close();
  });
  drawer?.addEventListener("close", (event) => {
    if (event.target !== drawer) return;
    drawer.replaceChildren();
    rowOf(shown)?.focus({ preventScroll: true });
    shown = "";
  });

  // ---- Going up and down a list: the focus is the mark.
  const marked = () => (drawer?.open ? rowOf(shown) : rows().find((row) => row === document.activeElement));
  const move = (step) => {
    const list = rows();
    const at = list.indexOf(marked());
    const next = list[at < 0 ? 0 : at + step];
    if (!next) return;
    if (drawer?.open) openDrawer(next);
    else next.focus();
  };
  const retry = () => {
    const form = $("[data-retry-form]", drawer?.open ? drawer : document);
    if (form) return form.requestSubmit();
    const post = marked()?.closest("[data-retry]")?.dataset.retry;
    if (post && !drawer?.open) return htmx.ajax("POST", post, { source: "#toasts", target: "#toasts", swap: "beforeend" });
    readyMade("no-retry");
  };
  const search = () => {
    const field = $("form[role=search] input[type=search]");
    const log = $('[data-go="d"]');
    if (field) {
      field.focus();
      field.select();
    } else if (log) location.assign(`${log.href}#find`);
  };
  // Of the views of a list one has a key: it goes there, and from there back to the first.
  const view = (key) => {
    const link = $(`.tabs-line [data-key="${key}"]`);
    (link?.hasAttribute("aria-current") ? $("a", link.parentElement) : link)?.click();
  };
  const letters = {
    "/": search, j: () => move(1), k: () => move(-1), r: retry, e: () => view("e"), t: () => $("#tail:enabled")?.click(),
    "?": () => $("#keys")?.showModal(), g: () => (going = performance.now()),
  };
  const inDrawer = "jkr";
  let going = -Infinity; // when g was pressed

  const typing = (element) => element.closest("input:not([type=checkbox], [type=radio], [type=submit], [type=button]), textarea, select, [contenteditable]");
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && !$("dialog[open], :popover-open") && event.target.matches("a.row-link, input[type=search]")) event.target.blur();
    if (typing(event.target) || $(":popover-open:not(.toasts)")) return;
    const dialog = all("dialog[open]").pop();
    if (dialog && (dialog !== drawer || !inDrawer.includes(event.key))) return;
    if (event.repeat && !"jk".includes(event.key)) return;
    const after = event.timeStamp - going < 1500;
    going = -Infinity;
    const target = after && /^[a-z]$/.test(event.key) && $(`[data-go="${event.key}"]`);
    const act = target ? () => target.click() : Object.hasOwn(letters, event.key) && letters[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  if (location.hash === "#find") search();
})();
