// Sections that refresh themselves. The server's events name what has changed; a section that hears a name
// fetches itself, at most twice a second. It waits while somebody points at it, reads it with the keyboard or
// has a menu open in it, and then says how much is new. One stream for each page that is in sight.
"use strict";
(() => {
  const { $, all, announce, readyMade, unmake } = window.thingpost;
  const app = $("[data-events]");
  if (!app) return;

  // ---- Which sections wait, and for what.
  const least = 500; // ms between two fetches of a section
  const known = new WeakMap();
  const of = (element) => known.get(element) ?? known.set(element, { at: -least, timer: 0, busy: false, again: false, stale: false, forced: false }).get(element);
  const sections = () => all("[data-live-section]");
  const sectionOf = (element) => element?.closest?.("[data-live-section]");
  // A finger leaves its hover behind.
  let finger = false;
  addEventListener("pointerover", (event) => (finger = event.pointerType === "touch"), { capture: true, passive: true });
  const tail = () => $("#tail");
  // A button that is pressed must be there when it is let go, or it was not clicked.
  let pressed;
  addEventListener("pointerdown", (event) => (pressed = event.target), true);
  for (const end of ["pointerup", "pointercancel", "dragend"]) {
    addEventListener(end, () => setTimeout(() => ((pressed = undefined), settle())), true);
  }
  const chosen = (section) => {
    const selection = getSelection();
    return selection.type === "Range" && section.contains(selection.anchorNode);
  };
  // A list stays as it is under the pointer and the keyboard, when its head has scrolled out of sight, beside
  // an open drawer, and while the tail is switched off.
  const read = (list) =>
    tail()?.checked === false || (!finger && list.matches(":hover")) || Boolean($(":focus-visible", list)) ||
    list.getBoundingClientRect().top < -1 || Boolean($("dialog.drawer[open]"));
  const held = (section) => Boolean($(":popover-open", section)) || section.contains(pressed ?? null) || chosen(section) || (section.matches("[data-live-hold]") && read(section));

  const count = (section) => {
    const counter = $("[data-live-count]", section);
    if (counter) ask(counter);
  };
  const ask = (element) => {
    const state = of(element);
    if (state.busy) state.again = true;
    if (state.busy || state.timer) return;
    const pause = Math.max(Number(element.dataset.liveLeast) || 0, least);
    state.timer = setTimeout(() => {
      state.timer = 0;
      if (!element.isConnected || document.hidden) return;
      if (element === sectionOf(element) && !state.forced && held(element)) return wait(element);
      Object.assign(state, { busy: true, again: false, stale: false, at: performance.now() });
      htmx.trigger(element, "refresh");
    }, state.forced ? 0 : Math.max(50, state.at + pause - performance.now()));
  };
  const wait = (section) => {
    of(section).stale = true;
    count(section);
  };
  const changed = (section) => (held(section) ? wait(section) : ask(section));
  const take = (section) => {
    of(section).forced = true;
    ask(section);
  };
  // Whatever lets go of a section may be the last to hold it.
  const settle = () => sections().forEach((section) => of(section).stale && !held(section) && ask(section));

  // ---- What is fetched, and what stays as the reader left it.
  const kept = new WeakMap();
  // How to find an element again in what replaces it.
  const attribute = (element, name) => `[${name}="${CSS.escape(element.getAttribute(name))}"]`;
  const nameOf = (element) => {
    if (element.id) return `#${CSS.escape(element.id)}`;
    if (element.matches("a[href]")) return `a${attribute(element, "href")}`;
    if (element.matches("[popovertarget]")) return attribute(element, "popovertarget");
    const form = element.closest("form[action]");
    return form && element.matches("button") ? `form${attribute(form, "action")} button` : "";
  };
  const scrolled = (root) => all(".table-container, pre[id]", root).map((box) => [box.scrollLeft, box.scrollTop]);
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { target, xhr } = detail;
    if (target !== sectionOf(target) || detail.requestConfig?.elt !== target || xhr.status >= 400) return;
    if (held(target) && !of(target).forced) {
      detail.shouldSwap = false;
      return wait(target);
    }
    of(target).forced = false;
    kept.set(target, {
      open: new Map(all("details[id]", target).map((details) => [details.id, details.open])),
      chosen: all(".tabs-line input:checked", target).map((input) => `input[name="${CSS.escape(input.name)}"][value="${CSS.escape(input.value)}"]`),
      focus: target.contains(document.activeElement) ? nameOf(document.activeElement) : "",
      scrolled: scrolled(target),
    });
  });
  document.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
    const before = kept.get(target);
    if (!before) return;
    kept.delete(target);
    all("details[id]", target).forEach((details) => {
      if (before.open.has(details.id)) details.open = before.open.get(details.id);
    });
    before.chosen.forEach((selector) => {
      const input = $(selector, target);
      if (input) input.checked = true;
    });
    all(".table-container, pre[id]", target).forEach((box, i) => {
      if (before.scrolled[i]) [box.scrollLeft, box.scrollTop] = before.scrolled[i];
    });
    if (before.focus) $(before.focus, target)?.focus({ preventScroll: true });
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const element = detail.elt;
    if (!element?.matches?.("[data-live-section], [data-live-count]") || detail.requestConfig?.elt !== element) return;
    const state = of(element);
    state.busy = false;
    const section = sectionOf(element);
    if (detail.xhr?.status >= 500 && element === section) {
      readyMade("stale");
      state.at = performance.now() + 5000; // not at once again
      return ask(section);
    }
    if (detail.successful && element === section) unmake("stale");
    if (state.again && section) changed(section);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-live-take]");
    if (!button) return;
    event.preventDefault();
    take(sectionOf(button));
  });
  for (const leaving of ["mouseout", "focusout"]) {
    document.addEventListener(leaving, (event) => {
      const section = sectionOf(event.target);
      if (section && !section.contains(event.relatedTarget)) setTimeout(settle);
    });
  }
  for (const letting of ["toggle", "close"]) document.addEventListener(letting, () => setTimeout(settle), true);
  document.addEventListener("selectionchange", () => getSelection().type === "Range" || settle());
  addEventListener("scroll", settle, { passive: true });

  // ---- The tail's switch. It has nothing to do where the list does not refresh itself: further back.
  const setTail = () => {
    if (tail()) tail().disabled = !$("[data-live-hold]");
  };
  document.addEventListener("change", (event) => {
    if (event.target !== tail()) return;
    announce(tail().checked ? "Live tail on" : "Live tail off");
    settle();
  });

  // ---- The stream.
  let source, tries = 0, timer, warning;
  const heard = new Set();
  const hear = (name) => {
    if (heard.has(name)) return;
    heard.add(name);
    source?.addEventListener(name, on);
  };
  const on = ({ type }) => sections().forEach((section) => section.dataset.hears.split(" ").includes(type) && changed(section));
  const listen = (root) => all("[data-hears]", root).forEach((section) => section.dataset.hears.split(" ").forEach(hear));
  // The session may be over: then the page itself leads to the sign-in.
  const comeBack = () => fetch(location.href, { method: "HEAD", redirect: "manual" }).then((answer) => answer.type === "opaqueredirect" && location.reload(), () => {});
  const close = () => {
    source?.close();
    source = undefined;
    clearTimeout(timer);
    clearTimeout(warning);
  };
  const open = () => {
    if (source || document.hidden) return;
    clearTimeout(timer);
    source = new EventSource(app.dataset.events);
    const opened = source;
    heard.forEach((name) => source.addEventListener(name, on));
    let since;
    source.onopen = () => {
      since = performance.now();
      clearTimeout(warning);
      warning = undefined;
      if ($('[data-made="offline"]')) announce("Connected again");
      unmake("offline");
      // What was missed before the stream was open, or while it was down. A server that stops ends it at once.
      setTimeout(() => source === opened && sections().forEach(changed), 100);
    };
    source.onerror = () => {
      // A stream that the server ends at once is no connection.
      tries = performance.now() - since > 5000 ? 0 : tries + 1;
      const answered = source.readyState === EventSource.CLOSED;
      source.close();
      source = undefined;
      if (answered) comeBack();
      warning ??= setTimeout(() => readyMade("offline"), 1500);
      timer = setTimeout(open, Math.min(15_000, 250 * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2));
    };
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-reconnect]")) open();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("online", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());

  document.addEventListener("htmx:load", ({ detail }) => {
    listen(detail.elt);
    setTail();
  });
  listen(document);
  setTail();
  open();
})();
