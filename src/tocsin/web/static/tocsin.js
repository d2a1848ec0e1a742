// Live refresh: a stream says that something changed, and the page asks for itself again.
// Everything else works without this file.
"use strict";
(() => {
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  if (!live || typeof htmx === "undefined") return;

  let shown = document.getElementById("main").dataset.version; // the version on the page
  let latest = shown; // the newest version that was heard of
  let missed = 0;
  let paused = false;
  let typing = false; // in a form that a refresh would empty
  const tags = new Map(); // of each URL, the ETag of what is shown

  const tell = (state, text) => {
    live.dataset.state = state;
    if (live.textContent !== text) live.textContent = text;
  };

  const busy = () =>
    typing ||
    document.hidden ||
    document.querySelector("dialog[open]") !== null ||
    (!document.getSelection().isCollapsed &&
      document.getElementById("main").contains(document.getSelection().anchorNode));

  const refresh = () => {
    if (latest === shown) {
      tell(paused ? "paused" : "live", paused ? "paused" : "live");
    } else if (paused || busy()) {
      tell(paused ? "paused" : "live", `${missed} new`);
    } else {
      shown = latest;
      missed = 0;
      tell("live", "live");
      document.body.dispatchEvent(new CustomEvent("changed"));
    }
  };

  const isFilter = (element) => element.closest("form[data-filter]") !== null;
  document.addEventListener("input", (event) => {
    if (event.target.form && !isFilter(event.target)) typing = true;
  });
  document.addEventListener("reset", () => (typing = false));
  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("selectionchange", () => {
    if (latest !== shown && document.getSelection().isCollapsed) refresh();
  });

  // An unchanged page is answered with 304 and no body.
  document.addEventListener("htmx:config:request", (event) => {
    const ctx = event.detail.ctx;
    if (ctx.request.method !== "GET") return;
    const tag = ctx.sourceElement.id === "main" ? tags.get(ctx.request.action) : null;
    if (tag) ctx.request.headers["If-None-Match"] = tag;
  });
  document.addEventListener("htmx:after:request", (event) => {
    const ctx = event.detail.ctx;
    const tag = ctx.response?.headers.get("ETag");
    tags.clear();
    if (tag) tags.set(ctx.request.action, tag);
    if (ctx.sourceElement.id === "main" && ctx.response?.status >= 500) {
      tell("lost", "cannot refresh, retrying");
    }
  });

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    pause.setAttribute("aria-pressed", String(paused));
    refresh();
  });

  const stream = new EventSource("/changes");
  stream.addEventListener("changed", (event) => {
    if (event.data !== latest) missed += 1;
    latest = event.data;
    refresh();
  });
  stream.addEventListener("open", refresh);
  stream.addEventListener("error", () => {
    const gone = stream.readyState === EventSource.CLOSED;
    tell("lost", gone ? "disconnected: load the page again" : "disconnected, retrying");
  });
  window.addEventListener("pagehide", () => stream.close());
})();
