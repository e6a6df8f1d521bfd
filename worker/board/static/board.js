// Shows ages and countdowns, which run in the browser so that a page is sent only when something has changed; shows
// whether the stream is alive; and remembers the name that an operator has given.
"use strict";

(() => {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  // Writes a duration as the command line does: in its two largest units.
  const span = (seconds) => {
    let left = Math.max(0, Math.round(seconds));
    const parts = [];
    for (const [name, size] of units) {
      const count = Math.floor(left / size);
      left -= count * size;
      if (count) parts.push(`${count} ${name}`);
    }
    return parts.slice(0, 2).join(" ") || "0 s";
  };

  const ahead = Number(document.documentElement.dataset.now) - Date.now(); // this clock may differ from the server's
  const write = (time) => {
    const seconds = (Number(time.dataset.ms) - Date.now() - ahead) / 1000;
    const text = time.className === "since" ? span(-seconds) : seconds > 0 ? span(seconds) : "due now";
    if (time.textContent !== text) {
      time.textContent = text;
      time.title = time.dateTime;
    }
  };
  const tick = () => document.querySelectorAll("time.since, time.until").forEach(write);

  const link = document.getElementById("link");
  const say = (state, text) => {
    if (link && link.textContent !== text) {
      link.className = `link ${state}`;
      link.textContent = text;
    }
  };
  document.addEventListener("htmx:sse:after:connection", () => say("live", "live"));
  document.addEventListener("htmx:sse:error", () => say("lost", "not live: the board does not answer"));
  document.addEventListener("htmx:sse:close", () => say("lost", "not live: load the page again"));
  document.addEventListener("htmx:after:swap", tick);
  document.addEventListener("htmx:sse:after:message", tick);

  // Forms ask each time who acts; the last answer is filled in already.
  const known = "canceller-by";
  try {
    const input = document.getElementById("by");
    if (input && !input.value) input.value = localStorage.getItem(known) || "";
    input?.form.addEventListener("submit", () => localStorage.setItem(known, input.value));
  } catch {
    // This browser stores nothing for pages.
  }

  if (document.getElementById("live")) say("", "connecting");
  tick();
  setInterval(tick, 1000);
})();
